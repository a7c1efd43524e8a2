"""PE files (Microsoft's PE Format), read by lief."""

from __future__ import annotations

import struct
from typing import Any

from scanner.unpackers.programs.facts import MAX_SECTIONS, Facts, Section, name_of
from scanner.unpackers.programs.packers import packer_of

_RESOURCES, _CERTIFICATES, _CLR_HEADER = 2, 4, 14
_SYMBOL_BYTES = 18
_CODE, _EXECUTE, _READ, _WRITE = 0x20, 0x20000000, 0x40000000, 0x80000000
_DLL = 0x2000
_NATIVE = 1
_FITS = 0


def read(lief: Any, data: bytes) -> tuple[Facts, list[tuple[int, int]]] | None:
    """Return the facts, and the ranges of the file that the program does not load; None if it cannot be read."""
    config = lief.PE.ParserConfig()
    config.parse_exports = config.parse_rsrc = config.parse_reloc = False
    config.parse_exceptions = config.parse_arm64x_binary = False
    binary = lief.PE.parse(data, config)
    if binary is None:
        return None
    sections = [_section(section, number) for number, section in enumerate(binary.sections)]
    end = _end(binary, sections, data)
    directories = {int(one.type): one for one in binary.data_directories}
    entry = binary.optional_header.addressof_entrypoint
    facts = Facts(
        format="PE",
        size_bytes=min(end, len(data)),
        kind=_kind(binary),
        machine=_enum_name(binary.header.machine),
        packer=packer_of((section.name for section in sections), data, look_for_mark=False),
        sections=sections,
        imports=_imports(binary),
        damaged=end > len(data) or len(sections) != binary.header.numberof_sections,
    )
    facts.resources_at = directories[_RESOURCES].rva if _RESOURCES in directories else 0
    facts.managed_at = directories[_CLR_HEADER].rva if _CLR_HEADER in directories else 0
    facts.managed = facts.managed_at != 0
    if entry:
        facts.entry_point = entry
        facts.entry_in_code = any(one.executable and one.holds(entry) for one in sections)
    if not binary.is_reproducible_build:  # whose time is a hash
        facts.built_at = binary.header.time_date_stamps
    facts.signature, facts.signer = _signature(binary)
    return facts, _unloaded(directories, end, len(data))


def _section(section: Any, number: int) -> Section:
    flags = section.characteristics
    return Section(
        name=name_of(section),
        address=section.virtual_address,
        memory_bytes=section.virtual_size,
        offset=section.pointerto_raw_data,
        size_bytes=section.sizeof_raw_data,
        entropy=section.entropy if number < MAX_SECTIONS else 0.0,
        readable=bool(flags & _READ),
        writable=bool(flags & _WRITE),
        executable=bool(flags & (_EXECUTE | _CODE)),
    )


def _kind(binary: Any) -> str:
    if binary.header.characteristics & _DLL:
        return "library"
    return "driver" if int(binary.optional_header.subsystem) == _NATIVE else "program"


def _imports(binary: Any) -> list[tuple[str | bytes, list[str | bytes]]]:
    imports = [*binary.imports, *binary.delay_imports]
    return [(name_of(one), [_function(entry) for entry in one.entries]) for one in imports]


def _function(entry: Any) -> str | bytes:
    name: str | bytes = f"#{entry.ordinal}" if entry.is_ordinal else name_of(entry)
    return name


def _signature(binary: Any) -> tuple[str, str | None]:
    """Say whether it is signed and the signature is of these bytes. No certificate is trusted or distrusted."""
    if not binary.has_signatures:
        return "absent", None
    checks = type(binary.signatures[0]).VERIFICATION_CHECKS
    fits = int(binary.verify_signature(checks.SKIP_CERT_TIME)) == _FITS
    certificate = next((signer.cert for signer in binary.signatures[0].signers), None)
    return "fitting" if fits else "broken", None if certificate is None else str(certificate.subject)


def _end(binary: Any, sections: list[Section], data: bytes) -> int:
    """Return where headers, sections and symbols end."""
    end = max([binary.sizeof_headers, *(one.offset + one.size_bytes for one in sections if one.size_bytes)])
    symbols = binary.header.pointerto_symbol_table
    if symbols:
        strings = symbols + _SYMBOL_BYTES * binary.header.numberof_symbols
        if strings + 4 <= len(data):
            end = max(end, strings + struct.unpack_from("<L", data, strings)[0])
    return int(end)


def _unloaded(directories: dict[int, Any], end: int, size: int) -> list[tuple[int, int]]:
    """Return what lies before and behind the certificates, which follow the program as well."""
    certificates = directories.get(_CERTIFICATES)
    start, length = (certificates.rva, certificates.size) if certificates is not None else (0, 0)
    if not start or start < end or start + length > size:
        return [(end, size)]
    return [(end, start), (start + length, size)]


def _enum_name(value: Any) -> str:
    return str(value).rpartition(".")[2]
