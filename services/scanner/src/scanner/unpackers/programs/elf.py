"""ELF files (System V ABI, chapter 4), read by lief."""

from __future__ import annotations

from itertools import islice
from typing import Any

from scanner.unpackers.programs.facts import MAX_SECTIONS, Facts, Section, name_of, sampled_entropy
from scanner.unpackers.programs.packers import packer_of

_RELOCATABLE, _EXECUTABLE, _SHARED = 1, 2, 3
_LOAD = 1
_NO_BITS = 8
_WRITE, _ALLOCATED, _EXECUTE = 1, 2, 4
_SEGMENT_EXECUTE, _SEGMENT_WRITE, _SEGMENT_READ = 1, 2, 4
_MAX_SYMBOLS = 100_000
# Their first ABIs begin at a function descriptor, which is data.
_ENTRY_BY_DESCRIPTOR = {"IA_64", "PARISC", "PPC64"}


def read(lief: Any, data: bytes) -> tuple[Facts, list[tuple[int, int]]] | None:
    """Return the facts, and the ranges of the file that the program does not load; None if it cannot be read."""
    config = lief.ELF.ParserConfig()
    config.parse_relocations = config.parse_notes = config.parse_overlay = False
    config.parse_symtab_symbols = config.parse_symbol_versions = False
    binary = lief.ELF.parse(data, config)
    if binary is None:
        return None
    header = binary.header
    segments = [_segment(number, one) for number, one in enumerate(binary.segments) if int(one.type) == _LOAD]
    sections = [_section(one, number) for number, one in enumerate(one for one in binary.sections if int(one.type))]
    table = header.section_header_offset + header.numberof_sections * header.section_header_size
    end = max([header.header_size, table, *(one.offset + one.size_bytes for one in (*segments, *sections))])
    # The kernel loads by segments; sections are only told by the file, and may be missing or lie.
    unusual = [one for one in segments if one.writable and one.executable]
    facts = Facts(
        format="ELF",
        size_bytes=min(end, len(data)),
        kind=_kind(binary, sections),
        machine=str(header.machine_type).rpartition(".")[2],
        packer=packer_of((one.name for one in sections), data, look_for_mark=True),
        sections=[*unusual, *sections] if sections else segments,
        damaged=end > len(data) or len(binary.sections) != header.numberof_sections,
    )
    facts.imports = [(name, []) for name in binary.libraries]
    functions: list[str | bytes] = [name_of(one) for one in islice(binary.imported_symbols, _MAX_SYMBOLS)]
    if functions:
        facts.imports.append(("", functions))
    if header.entrypoint and segments:
        facts.entry_point = header.entrypoint
        described = facts.machine in _ENTRY_BY_DESCRIPTOR
        facts.entry_in_code = any((one.executable or described) and one.holds(header.entrypoint) for one in segments)
    return facts, [(end, len(data))]


def _segment(number: int, segment: Any) -> Section:
    flags = segment.raw_flags
    return Section(
        name=f"segment {number}",
        address=segment.virtual_address,
        memory_bytes=segment.virtual_size,
        offset=segment.file_offset,
        size_bytes=segment.physical_size,
        entropy=sampled_entropy(segment.content) if number < MAX_SECTIONS else 0.0,
        readable=bool(flags & _SEGMENT_READ),
        writable=bool(flags & _SEGMENT_WRITE),
        executable=bool(flags & _SEGMENT_EXECUTE),
    )


def _section(section: Any, number: int) -> Section:
    flags = int(section.flags)
    in_file = int(section.type) != _NO_BITS
    return Section(
        name=name_of(section),
        address=section.virtual_address,
        memory_bytes=section.size if flags & _ALLOCATED else 0,
        offset=section.file_offset,
        size_bytes=section.size if in_file else 0,
        entropy=section.entropy if in_file and number < MAX_SECTIONS else 0.0,
        readable=bool(flags & _ALLOCATED),
        writable=bool(flags & _WRITE),
        executable=bool(flags & _EXECUTE),
    )


def _kind(binary: Any, sections: list[Section]) -> str:
    kind = int(binary.header.file_type)
    if kind == _RELOCATABLE:
        return "driver" if any(one.name == ".modinfo" for one in sections) else "object"
    if kind == _SHARED:
        return "program" if binary.has_interpreter else "library"
    return "program" if kind == _EXECUTABLE else "other"
