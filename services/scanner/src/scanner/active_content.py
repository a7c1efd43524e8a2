"""Findings on what a document does by itself, as seen by the parsers in the sandbox."""

from __future__ import annotations

from dataclasses import dataclass

from scanner.unpackers.signs import Sign
from shared.scan import DetectorInfo, Finding, Verdict

DETECTOR = DetectorInfo(name="active-content", version="1.1.0", kind="builtin")


@dataclass(frozen=True, slots=True)
class _Meaning:
    reason: str
    reference: str


_ATTACK = "https://attack.mitre.org/techniques/"
_MEANINGS = {
    Sign.PDF_LAUNCH: _Meaning("The PDF has an action that starts a program or opens a file.", _ATTACK + "T1204/002/"),
    Sign.PROGRAM_ATTACHED: _Meaning(
        "The document carries a file that runs when it is opened from there.", _ATTACK + "T1204/002/"
    ),
    Sign.DDE_FIELD: _Meaning(
        "A field of the document asks another program for its content (dynamic data exchange).", _ATTACK + "T1559/002/"
    ),
    Sign.REMOTE_TEMPLATE: _Meaning("The document loads its template from another computer.", _ATTACK + "T1221/"),
    Sign.REMOTE_OBJECT: _Meaning("The document loads an embedded object from another computer.", _ATTACK + "T1221/"),
    Sign.OBJECT_UPDATE: _Meaning(
        "The document asks to update an object as soon as it is opened, which loads or starts what the object holds.",
        _ATTACK + "T1203/",
    ),
    Sign.EQUATION_OBJECT: _Meaning(
        "The document holds an object of the old Equation Editor, which malware opens for its holes (CVE-2017-11882).",
        _ATTACK + "T1203/",
    ),
    Sign.XLM_MACRO: _Meaning(
        "The workbook has a sheet of Excel 4.0 macros, which today hardly anything but malware uses.",
        _ATTACK + "T1059/",
    ),
    Sign.LNK_INTERPRETER: _Meaning("The shortcut starts a script or command interpreter.", _ATTACK + "T1204/002/"),
}


def finding_of(sign: Sign) -> Finding:
    """Return the finding for a sign: suspicious, since honest documents do each of these, rarely."""
    meaning = _MEANINGS[sign]
    return Finding(
        detector=DETECTOR,
        label=sign.value,
        verdict=Verdict.SUSPICIOUS,
        reason=meaning.reason,
        metadata={"severity": "medium", "reference": meaning.reference},
    )
