"""Mach-O files (mach-o/loader.h), also several for different processors in one, read by lief."""

from __future__ import annotations

from itertools import islice
from typing import Any

from scanner.unpackers.programs.facts import MAX_SECTIONS, Facts, Section, name_of
from scanner.unpackers.programs.packers import packer_of

_READ, _WRITE, _EXECUTE = 1, 2, 4
_KINDS = {1: "object", 2: "program", 6: "library", 8: "library", 11: "driver"}
_MAX_SYMBOLS = 100_000


def read(lief: Any, data: bytes) -> tuple[Facts, list[tuple[int, int]]] | None:
    """Return the facts, and the ranges of the file that the program does not load; None if it cannot be read.

    Of several programs in one file the sections and imports of the first are told.
    """
    config = lief.MachO.ParserConfig()
    config.parse_dyld_bindings = config.parse_dyld_exports = config.parse_dyld_rebases = False
    binaries = lief.MachO.parse(data, config)
    if not binaries:
        return None
    all_binaries = list(binaries)
    first = all_binaries[0]
    segments = [_segment(one, first.fat_offset) for one in first.segments]
    sections = [
        _section(one, segment, first.fat_offset, number)
        for number, (segment, one) in enumerate(
            (segment, one) for segment in first.segments for one in segment.sections
        )
    ]
    end = max(_end(one) for one in all_binaries)
    facts = Facts(
        format="Mach-O",
        size_bytes=min(end, len(data)),
        kind=_KINDS.get(int(first.header.file_type), "other"),
        machine=", ".join(str(one.header.cpu_type).rpartition(".")[2] for one in all_binaries),
        packer=packer_of((one.name for one in sections), data, look_for_mark=True),
        signature="present" if first.has_code_signature else "absent",
        sections=sections or segments,
        damaged=end > len(data) or any(len(one.commands) != one.header.nb_cmds for one in all_binaries),
    )
    facts.imports = [(name_of(one), []) for one in first.libraries]
    functions: list[str | bytes] = [name_of(one) for one in islice(first.imported_symbols, _MAX_SYMBOLS)]
    if functions:
        facts.imports.append(("", functions))
    if first.has_entrypoint:
        facts.entry_point = first.entrypoint
        facts.entry_in_code = any(one.executable and one.holds(first.entrypoint) for one in segments)
    return facts, [(end, len(data))]


def _segment(segment: Any, base: int) -> Section:
    rights = segment.init_protection
    return Section(
        name=name_of(segment),
        address=segment.virtual_address,
        memory_bytes=segment.virtual_size,
        offset=base + segment.file_offset,
        size_bytes=segment.file_size,
        entropy=0.0,
        readable=bool(rights & _READ),
        writable=bool(rights & _WRITE),
        executable=bool(rights & _EXECUTE),
    )


def _section(section: Any, segment: Any, base: int, number: int) -> Section:
    in_file = section.offset > 0
    told = _segment(segment, base)
    told.name = ",".join(one if isinstance(one, str) else "(not text)" for one in (told.name, name_of(section)))
    told.address, told.memory_bytes = section.virtual_address, section.size
    told.offset, told.size_bytes = (base + section.offset, section.size) if in_file else (0, 0)
    told.entropy = section.entropy if in_file and number < MAX_SECTIONS else 0.0
    return told


def _end(binary: Any) -> int:
    ends = [binary.fat_offset + one.file_offset + one.file_size for one in binary.segments]
    ends += [binary.fat_offset + one.offset + one.size for one in binary.sections if one.offset]
    return int(max(ends, default=0))
