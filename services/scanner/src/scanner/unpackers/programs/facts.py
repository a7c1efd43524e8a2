"""What is told of a program, held to the limits of the scan document; see `shared.scan.Program`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

MAX_SECTIONS = 64
MAX_LIBRARIES = 64
MAX_FUNCTIONS = 200
_ENTROPY_BYTES = 1024 * 1024
_NAME_CHARACTERS = 40
_FUNCTION_CHARACTERS = 64
_LIBRARY_CHARACTERS = 80
_SIGNER_CHARACTERS = 250
_MACHINE_CHARACTERS = 100

# Kept among the first 200 functions whatever their place, because `scanner.programs` asks for them.
INJECTION_STEPS = (
    frozenset({"VirtualAllocEx", "NtAllocateVirtualMemory", "NtMapViewOfSection", "ZwMapViewOfSection"}),
    frozenset({"WriteProcessMemory", "NtWriteVirtualMemory", "ZwWriteVirtualMemory", "NtMapViewOfSection"}),
    frozenset({
        "CreateRemoteThread", "CreateRemoteThreadEx", "NtCreateThreadEx", "RtlCreateUserThread", "QueueUserAPC",
        "NtQueueApcThread", "SetThreadContext", "NtSetContextThread", "Wow64SetThreadContext",
    }),
)  # fmt: skip
_NOTABLE = frozenset[str]().union(*INJECTION_STEPS)


@dataclass(slots=True)
class Section:
    """As `shared.scan.ProgramSection`, with numbers for addresses and the name as found."""

    name: str | bytes
    address: int
    memory_bytes: int
    offset: int
    size_bytes: int
    entropy: float
    readable: bool
    writable: bool
    executable: bool

    def holds(self, address: int) -> bool:
        """Whether the address lies in it once it is loaded."""
        return self.address <= address < self.address + max(self.memory_bytes, self.size_bytes)

    def told(self) -> dict[str, object]:
        """Return it as the scanner reads it."""
        told: dict[str, object] = {
            **asdict(self),
            "name": printable(self.name, _NAME_CHARACTERS),
            "address": hexadecimal(self.address),
            "entropy": min(abs(round(self.entropy, 2)), 8.0),
        }
        del told["memory_bytes"]
        return told


@dataclass(slots=True)
class Facts:
    """What one parser found; `told` holds it to the limits."""

    format: str
    size_bytes: int
    """Of the program without what follows it."""
    kind: str = "other"
    machine: str = ""
    entry_point: int | None = None
    entry_in_code: bool | None = None
    built_at: int = 0
    """Seconds since 1970; 0 where unknown."""
    managed: bool = False
    packer: str | None = None
    signature: str = "absent"
    signer: str | None = None
    sections: list[Section] = field(default_factory=list)
    imports: list[tuple[str | bytes, list[str | bytes]]] = field(default_factory=list)
    damaged: bool = False
    """The headers speak of bytes that are not there."""
    resources_at: int = 0
    """Address of the table of resources; 0 where there is none."""
    managed_at: int = 0
    """Address of the .NET header."""

    def told(self) -> dict[str, object]:
        """Return the facts as the scanner reads them, except what follows the program."""
        entry = self.entry_point
        told: dict[str, object] = {
            "format": self.format,
            "kind": self.kind,
            "machine": printable(self.machine, _MACHINE_CHARACTERS),
            "managed": self.managed,
            "packer": self.packer,
            "signature": self.signature,
            "signer": None if self.signer is None else printable(self.signer, _SIGNER_CHARACTERS),
            "sections": [section.told() for section in self.sections[:MAX_SECTIONS]],
            "section_count": len(self.sections),
            "libraries": _libraries(self.imports),
            "import_count": sum(len(functions) for _, functions in self.imports),
            "size_bytes": self.size_bytes,
            "built_at": datetime.fromtimestamp(self.built_at, UTC).isoformat() if self.built_at else None,
        }
        if entry is not None:
            held = (number for number, one in enumerate(self.sections[:MAX_SECTIONS]) if one.holds(entry))
            told["entry_point"] = hexadecimal(entry)
            told["entry_section"] = next(held, None)
            told["entry_in_code"] = self.entry_in_code
        return told


def _libraries(imports: list[tuple[str | bytes, list[str | bytes]]]) -> list[dict[str, object]]:
    """Return libraries with 200 functions in all, those of which a finding may speak before others."""
    named = [(printable(name, _LIBRARY_CHARACTERS), _names(functions)) for name, functions in imports]
    notable = sum(1 for _, functions in named for name in functions if name in _NOTABLE)
    room = MAX_FUNCTIONS - min(notable, MAX_FUNCTIONS)
    left = MAX_FUNCTIONS
    told: list[dict[str, object]] = []
    for library, functions in sorted(named, key=lambda entry: _NOTABLE.isdisjoint(entry[1]))[:MAX_LIBRARIES]:
        kept = []
        for name in functions:
            if left and (name in _NOTABLE or room):
                room -= name not in _NOTABLE
                left -= 1
                kept.append(name)
        told.append({"name": library, "functions": kept})
    return told


def _names(functions: Iterable[str | bytes]) -> list[str]:
    return [printable(name, _FUNCTION_CHARACTERS) for name in functions]


def printable(name: str | bytes, limit: int) -> str:
    """Return at most `limit` characters of printable ASCII; all others are written as escapes."""
    text = name.decode("latin-1") if isinstance(name, bytes) else name
    escaped = "".join(one if " " <= one <= "~" else ascii(one)[1:-1] for one in text[:limit].rstrip("\0"))
    return escaped if len(escaped) <= limit and len(text) <= limit else f"{escaped[: limit - 3]}..."


def name_of(thing: Any) -> str | bytes:
    """Return the name that lief gives to something; it cannot say names that are not UTF-8."""
    try:
        name: str | bytes = thing.name
    except UnicodeDecodeError:
        return "(not text)"
    return name


def hexadecimal(number: int) -> str:
    """Return an address of at most 64 bits."""
    return f"{number & 0xFFFFFFFFFFFFFFFF:#x}"


def sampled_entropy(content: bytes | memoryview) -> float:
    """Return bits per byte of the first MiB."""
    sample = bytes(content[:_ENTROPY_BYTES])
    return -sum(count / len(sample) * math.log2(count / len(sample)) for count in Counter(sample).values())
