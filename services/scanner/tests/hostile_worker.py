"""A sandbox worker whose parser has been taken over: it does what the artifact's bytes say.

Started by the sandbox tests in place of `scanner.sandbox.worker`, with the same confinement.
"""

from __future__ import annotations

import codecs
import ctypes
import importlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from scanner.sandbox.worker import CODECS, main
from scanner.unpackers.base import Sink


def _connect() -> object:
    return socket.create_connection(("127.0.0.1", 9), timeout=1)


def _existing_interfaces() -> object:
    return socket.if_nameindex()


def _fork() -> object:
    return os.fork()


def _execute() -> object:
    return subprocess.run(["/bin/true"], check=True)


def _read_passwd() -> object:
    return Path("/etc/passwd").read_text()


def _read_parent() -> object:
    return Path(f"/proc/{os.getppid()}/environ").read_bytes()


def _write_outside() -> object:
    return Path("/tmp/escaped").write_text("free")


def _kill_parent() -> None:
    os.kill(os.getppid(), signal.SIGKILL)


def _environment() -> object:
    return dict(os.environ)


def _user() -> object:
    return os.getuid()


def _folder() -> object:
    return list(Path().iterdir())


def _memory() -> object:
    return len(bytearray(4 << 30))


def _crash() -> object:
    return ctypes.string_at(0)


def _spin() -> object:
    while True:
        pass


def _sleep() -> None:
    time.sleep(600)


ACTIONS: dict[bytes, Callable[[], object]] = {
    name.removeprefix("_").encode(): action
    for name, action in list(globals().items())
    if name.startswith("_") and callable(action) and not name.startswith("__")
}


class Possessed:
    """Answers in the name of its only child what came of the action."""

    name = "possessed"
    labels = frozenset({"txt"})
    whole = labels

    def recognises(self, head: bytes, tail: bytes) -> bool:
        return True

    def unpack(self, source: BinaryIO, name: str, sink: Sink) -> None:
        action = source.read()
        if action == b"lie":
            sink._send(b'{"kind": "child", "name": "x", "origin": "y", "start": 0, "size": 99999}\n')
            return
        if action == b"garbage":
            sink._send(b"GET / HTTP/1.1\n")
            return
        if action == b"flood":
            sink._send(b"x" * 1_000_000)
            return
        if action == b"chatter":
            sink._send(b'{"kind": "fact", "fact": "names", "name": "x"}\n' * 10_000)
            return
        sink.store("before", "probe", [b"kept"], (), "")
        sink.flush()
        try:
            answer = str(ACTIONS[action]())
        except OSError as error:
            answer = f"refused: {type(error).__name__}"
        sink.store(answer, "probe", [], (), "")


def become_nobody() -> None:
    """Drop root before the confinement begins, as in an installation that never had it."""
    importlib.import_module("pyseccomp")  # what nobody may not read must be loaded before
    for codec in CODECS:
        codecs.lookup(codec)
    folder = sys.argv[2]
    os.chdir(folder)
    os.chown(".", 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    sys.argv[2] = "."


if __name__ == "__main__":
    if sys.argv[1] == "--as-nobody":
        del sys.argv[1]
        become_nobody()
    main({"possessed": Possessed(), "picture": Possessed()})
