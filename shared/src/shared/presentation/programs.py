"""What the headers of a program say, in rows of words; all names in it come from the file."""

from __future__ import annotations

from shared.clock import aware
from shared.presentation.text import count_text, size_text
from shared.scan import Frozen, Program, ProgramSection, ProgramSignature

_SIGNATURES = {
    ProgramSignature.ABSENT: "Not signed",
    ProgramSignature.PRESENT: "Signed; whether it fits was not checked",
    ProgramSignature.FITTING: "Signed, and not changed since; the signer was not checked",
    ProgramSignature.BROKEN: "Signed, but the signature does not fit the file",
}


class SectionRow(Frozen):
    """One row of the table of sections."""

    name: str
    address: str
    size: str
    entropy: str
    rights: str


class ProgramView(Frozen):
    """Facts as label and value, the first sections, and the imported functions of each library."""

    facts: tuple[tuple[str, str], ...]
    sections: tuple[SectionRow, ...]
    sections_left_out: int
    libraries: tuple[tuple[str, str], ...]
    functions_left_out: int


def program_view(program: Program, sections: int = 64) -> ProgramView:
    """Return a program as it is shown, with that many sections at most."""
    shown = program.sections[:sections]
    functions = sum(len(library.functions) for library in program.libraries)
    return ProgramView(
        facts=tuple(_facts(program)),
        sections=tuple(_section(section) for section in shown),
        sections_left_out=max(0, program.section_count - len(shown)),
        libraries=tuple(
            (library.name or "any of them", ", ".join(library.functions) or "no function by name")
            for library in program.libraries
        ),
        functions_left_out=max(0, program.import_count - functions),
    )


def _facts(program: Program) -> list[tuple[str, str]]:
    facts = [("Format", f"{program.format} {'file' if program.kind == 'other' else program.kind}")]
    facts.append(("Processor", program.machine))
    if program.managed:
        facts.append(("Made of", ".NET code"))
    if program.packer:
        facts.append(("Packed with", program.packer))
    if program.entry_point:
        facts.append(("Begins at", f"{program.entry_point}{_entry_place(program)}"))
    if program.built_at:
        facts.append(("Built", f"{aware(program.built_at):%Y-%m-%d %H:%M} UTC, as it says itself"))
    if program.format != "ELF":
        facts.append(("Signature", _SIGNATURES[program.signature]))
    if program.signer:
        facts.append(("Signer", program.signer))
    facts.append(("Imports", count_text(program.import_count, "function")))
    if program.overlay_bytes:
        facts.append(("Behind the program", size_text(program.overlay_bytes)))
    return facts


def _entry_place(program: Program) -> str:
    if program.entry_in_code is False:
        return ", outside of its code"
    if program.entry_section is None or program.entry_section >= len(program.sections):
        return ""
    return f" in {program.sections[program.entry_section].name}"


def _section(section: ProgramSection) -> SectionRow:
    rights = (("read", section.readable), ("write", section.writable), ("run", section.executable))
    return SectionRow(
        name=section.name,
        address=section.address,
        size=size_text(section.size_bytes),
        entropy=f"{section.entropy:.2f}",
        rights=", ".join(right for right, given in rights if given) or "none",
    )
