"""Disguise: a name that says one thing over bytes that are another.

Only the dangerous direction is reported: something a system runs, behind a name that makes a
person expect a picture, a document or music. Text formats are close to each other and mixed up
by honest people, so scripts in `.txt`, pages in `.xml` and the like are left alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from scanner.declared import (
    HARMLESS_EXTENSIONS,
    OFFICE_DOCUMENTS,
    PICTURES,
    RUN_BY_DOUBLE_CLICK,
    SOUNDS_AND_FILMS,
    DeclaredName,
)
from scanner.detectors.base import Covered, Inspection, Subject
from scanner.detectors.pack import Pack
from shared.scan import ContentType, Finding, Verdict

PROGRAMS = frozenset({"apk", "chm", "crx", "dex", "elf", "hlp", "javabytecode", "lnk", "macho", "msi", "pebin", "swf"})
SCRIPTS = frozenset(
    {
        "asp",
        "autohotkey",
        "autoit",
        "batch",
        "javascript",
        "perl",
        "php",
        "powershell",
        "python",
        "ruby",
        "shell",
        "vba",
    }
)
# Only an extension whose format is never text may call a script disguised.
_NEVER_TEXT = PICTURES | SOUNDS_AND_FILMS | (OFFICE_DOCUMENTS - {"doc", "eml", "rtf", "xls"})
_SURE_PROGRAM = 0.7
_SURE_SCRIPT = 0.9


@dataclass(frozen=True, slots=True)
class Disguise:
    """One kind of disguise that was seen."""

    label: str
    reason: str


def find_disguises(name: str, content_type: ContentType) -> list[Disguise]:
    """Return how a name misleads about content of the given type; empty for an honest name."""
    declared = DeclaredName.of(name)
    found = []
    if declared.overrides_direction:
        found.append(
            Disguise(
                "direction-override", "The name holds a character that reverses its reading order and hides its ending."
            )
        )
    if declared.extension in RUN_BY_DOUBLE_CLICK and declared.inner_extension in HARMLESS_EXTENSIONS:
        reason = (
            f"The name looks like .{declared.inner_extension}, but its real ending .{declared.extension} makes it run."
        )
        found.append(Disguise("double-extension", reason))
    reason = f"The name says .{declared.extension}, the content is {content_type.description}."
    if _hides_program(declared.extension, content_type):
        found.append(Disguise("disguised-program", reason))
    elif _hides_script(declared.extension, content_type):
        found.append(Disguise("disguised-script", reason))
    return found


def _hides_program(extension: str, content_type: ContentType) -> bool:
    harmless = extension in HARMLESS_EXTENSIONS
    return harmless and content_type.label in PROGRAMS and content_type.score >= _SURE_PROGRAM


def _hides_script(extension: str, content_type: ContentType) -> bool:
    return extension in _NEVER_TEXT and content_type.label in SCRIPTS and content_type.score >= _SURE_SCRIPT


class DisguiseDetector:
    """Says `suspicious` to names that mislead. It covers no type: an honest name proves nothing."""

    def __init__(self, pack: Pack) -> None:
        self.info = pack.info()
        self.shadow = pack.shadow
        self.covered = Covered()

    def wants(self, subject: Subject) -> bool:
        """Look at every artifact."""
        return subject.content.size > 0

    async def inspect(self, subject: Subject) -> Inspection:
        """Compare the name with the content type."""
        disguises = find_disguises(subject.name, subject.content_type)
        return Inspection(tuple(self._finding(disguise) for disguise in disguises))

    async def close(self) -> None:
        """Hold nothing."""

    def _finding(self, disguise: Disguise) -> Finding:
        return Finding(
            detector=self.info,
            label=disguise.label,
            verdict=Verdict.SUSPICIOUS,
            reason=disguise.reason,
            shadow=self.shadow,
            metadata={"severity": "medium", "reference": "https://attack.mitre.org/techniques/T1036/"},
        )
