"""How a worker locks itself in before it sees the first byte: each step that the system allows.

Sources: namespaces(7), capabilities(7), getrlimit(2), landlock(7), seccomp(2).
"""

from __future__ import annotations

import ctypes
import errno
import importlib
import os
import resource
import struct
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

_CLONE_NEWNET = 0x40000000
_CLONE_NEWUSER = 0x10000000
_CLONE_THREAD = 0x00010000
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_NOBODY = 65534
# landlock(7): the system call numbers are the same on every architecture.
_LANDLOCK_CREATE_RULESET = 444
_LANDLOCK_ADD_RULE = 445
_LANDLOCK_RESTRICT_SELF = 446
_LANDLOCK_RULE_PATH_BENEATH = 1
_LANDLOCK_FILES_V1 = (1 << 13) - 1  # every file-system right of the first version
_DENIED_CALLS = (
    "socket", "socketpair", "connect", "bind", "listen", "accept", "accept4",
    "fork", "vfork", "execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev",
    "kill", "tkill", "pidfd_open", "pidfd_send_signal", "pidfd_getfd",
    "mount", "umount2", "pivot_root", "chroot", "unshare", "setns", "bpf", "perf_event_open",
    "io_uring_setup", "keyctl", "add_key", "request_key", "userfaultfd", "memfd_secret",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """Limits of the process; sizes in bytes, `cpu_seconds` over its whole life."""

    memory_bytes: int
    file_bytes: int
    cpu_seconds: int
    open_files: int = 64


@dataclass(slots=True)
class Confinement:
    """What could be put in place."""

    network_closed_by: list[str] = field(default_factory=list)
    confined_by: list[str] = field(default_factory=list)


def confine(folder: Path, limits: ProcessLimits) -> Confinement:
    """Lock the process in: network, root folder, user, limits, files, system calls, in this order.

    A step that the system refuses is left out; the caller tells the log what is in place.
    """
    done = Confinement()
    libc = ctypes.CDLL(None, use_errno=True)
    seccomp = _load_seccomp()  # looks for its C library in the file system
    if _leave_network(libc):
        done.network_closed_by.append("network namespace")
    os.chdir(folder)
    is_root = os.geteuid() == 0 and _holds_root_powers()
    if is_root:
        os.chown(folder, _NOBODY, _NOBODY)
        os.chroot(folder)
        os.chdir("/")
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
        done.confined_by += ["empty root folder", "user nobody"]
    _set_limits(limits)
    done.confined_by.append("resource limits")
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    done.confined_by.append("no new privileges")
    if _restrict_files(libc):
        done.confined_by.append("landlock")
    if seccomp is not None and _filter_calls(seccomp):
        done.confined_by.append("seccomp")
        done.network_closed_by.append("seccomp")
    return done


def _holds_root_powers() -> bool:
    """Whether root here may change folder and user; in a user namespace or container it may not."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return False
    effective = next((int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff")), 0)
    setgid, setuid, chroot = 1 << 6, 1 << 7, 1 << 18
    return effective & (setgid | setuid | chroot) == setgid | setuid | chroot


def _leave_network(libc: ctypes.CDLL) -> bool:
    """Enter a network namespace with nothing in it; without privileges by way of a user namespace."""
    return libc.unshare(_CLONE_NEWNET) == 0 or (os.geteuid() != 0 and libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0)


def _set_limits(limits: ProcessLimits) -> None:
    for kind, value in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_DATA, limits.memory_bytes),  # what py7zr sizes its buffers by
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (allowed, allowed))


def limit_cpu_from_now(seconds: int) -> None:
    """Let the kernel end the process after `seconds` more of processor time."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = int(usage.ru_utime + usage.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (min(soft, hard), hard))


def _restrict_files(libc: ctypes.CDLL) -> bool:
    """Leave the process no files but those below its present folder and those already open."""
    attributes = struct.pack("<Q", _LANDLOCK_FILES_V1)
    ruleset = libc.syscall(_LANDLOCK_CREATE_RULESET, attributes, len(attributes), 0)
    if ruleset < 0:
        return False
    folder = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        rule = struct.pack("<Qi", _LANDLOCK_FILES_V1, folder)
        if libc.syscall(_LANDLOCK_ADD_RULE, ruleset, _LANDLOCK_RULE_PATH_BENEATH, rule, 0) != 0:
            return False
        return bool(libc.syscall(_LANDLOCK_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(folder)
        os.close(ruleset)


def _load_seccomp() -> ModuleType | None:
    try:
        return importlib.import_module("pyseccomp")
    except (ImportError, OSError, RuntimeError):  # the C library is missing
        return None


def _filter_calls(pyseccomp: ModuleType) -> bool:
    """Refuse the system calls a parser never needs: sockets, programs, processes, other processes' memory."""
    calls = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    refuse = pyseccomp.ERRNO(errno.EPERM)
    for name in _DENIED_CALLS:
        if pyseccomp.resolve_syscall(pyseccomp.system_arch(), name) != -1:
            calls.add_rule(refuse, name)
    # Threads stay possible, processes do not; ENOSYS makes the C library try clone, whose flags can be seen.
    calls.add_rule(pyseccomp.ERRNO(errno.ENOSYS), "clone3")
    calls.add_rule(refuse, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, _CLONE_THREAD, 0))
    calls.add_rule(refuse, "tgkill", pyseccomp.Arg(0, pyseccomp.NE, os.getpid()))
    try:
        calls.load()
    except OSError:
        return False
    return True
