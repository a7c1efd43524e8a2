"""Findings on how a program is made, from the facts of its headers (`shared.scan.Program`).

All of them are suspicious at most: packers, installers and debuggers of honest people do each of these.
"""

from __future__ import annotations

from collections.abc import Iterator

from scanner.unpackers.programs.facts import INJECTION_STEPS
from shared.scan import DetectorInfo, Finding, Location, Program, ProgramSection, Verdict

DETECTOR = DetectorInfo(name="program-facts", version="1.0.0", kind="builtin")
PACKED_ENTROPY = 7.2
"""Bits per byte; compiled code stays below 6.8."""

_FEW_IMPORTS = 10
_SMALLEST_SECTION_BYTES = 1024
_SMALLEST_OVERLAY_BYTES = 64 * 1024
_RESOURCES = ".rsrc"
_ATTACK = "https://attack.mitre.org/techniques/"
_PACKING, _INJECTION, _PADDING = _ATTACK + "T1027/002/", _ATTACK + "T1055/", _ATTACK + "T1027/009/"


def findings_of(program: Program) -> list[Finding]:
    """Return what is unusual, in a fixed order."""
    return [
        *_packed(program),
        *_dense(program),
        *_writable_code(program),
        *_entry(program),
        *_injection(program),
        *_overlay(program),
    ]


def _finding(label: str, reason: str, reference: str, *places: ProgramSection) -> Finding:
    return Finding(
        detector=DETECTOR,
        label=label,
        verdict=Verdict.SUSPICIOUS,
        reason=reason,
        locations=tuple(
            Location(start=one.offset, end=one.offset + one.size_bytes, label=one.name)
            for one in places
            if one.size_bytes
        ),
        metadata={"severity": "medium", "reference": reference},
    )


def _packed(program: Program) -> Iterator[Finding]:
    if program.packer is not None:
        reason = f"The program is packed with {program.packer}, which hides its code until it runs."
        yield _finding("packed-program", reason, _PACKING)


def _dense(program: Program) -> Iterator[Finding]:
    """Few imports and dense code: what runs first has to unpack the rest. .NET code has one import by design."""
    if program.packer is not None or program.managed or program.kind not in {"program", "library"}:
        return
    if program.import_count > _FEW_IMPORTS:
        return
    dense = [one for one in program.sections if _is_dense(program, one)]
    if dense:
        reason = (
            f"Code that looks compressed or encrypted (up to {max(one.entropy for one in dense)} bits per byte), and "
            f"only {program.import_count} imported functions: the program unpacks itself when it runs."
        )
        yield _finding("dense-code", reason, _PACKING, *dense)


def _is_dense(program: Program, section: ProgramSection) -> bool:
    loaded = section.executable or (program.format == "PE" and section.name != _RESOURCES)
    return loaded and section.entropy > PACKED_ENTROPY and section.size_bytes >= _SMALLEST_SECTION_BYTES


def _writable_code(program: Program) -> Iterator[Finding]:
    both = [one for one in program.sections if one.writable and one.executable]
    if both:
        reason = "A part of the program is writable and executable at once, so that it can change its own code."
        yield _finding("writable-code", reason, _PACKING, *both)


def _entry(program: Program) -> Iterator[Finding]:
    if program.entry_in_code is False:
        yield _finding("entry-outside-code", "The program begins to run outside of its code.", _PACKING)
        return
    entry = program.entry_section
    if program.format != "PE" or program.kind == "driver" or entry is None or entry + 1 != program.section_count:
        return
    if any(one.executable for one in program.sections[:entry]):
        reason = "The program begins to run in its last section, behind its other code, where code is added later."
        yield _finding("entry-in-last-section", reason, _PACKING, program.sections[entry])


def _injection(program: Program) -> Iterator[Finding]:
    imported = {name for library in program.libraries for name in library.functions}
    steps = [sorted(imported & step) for step in INJECTION_STEPS]
    if all(steps):
        names = ", ".join(dict.fromkeys(step[0] for step in steps))
        reason = f"The program imports what it takes to run code inside other programs: {names}."
        yield _finding("injection-imports", reason, _INJECTION)


def _overlay(program: Program) -> Iterator[Finding]:
    large = program.overlay_bytes >= max(_SMALLEST_OVERLAY_BYTES, program.size_bytes)
    if large and not program.overlay_known:
        reason = (
            f"More data ({program.overlay_bytes:,} bytes) follows the program than the program has, "
            "and it begins as no archive or installer that is known here."
        )
        yield _finding("large-overlay", reason, _PADDING)
