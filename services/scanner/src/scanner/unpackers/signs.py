"""Signs of active content that only a parser can see; the scanner turns them into findings.

A worker says no more than which sign it saw, so that a taken-over worker cannot put words into a
report. What each one means stands in `scanner.active_content`.
"""

from __future__ import annotations

from enum import StrEnum


class Sign(StrEnum):
    """What a document was seen to do."""

    PDF_LAUNCH = "pdf-launch-action"
    PROGRAM_ATTACHED = "program-attached"
    DDE_FIELD = "dde-field"
    REMOTE_TEMPLATE = "remote-template"
    REMOTE_OBJECT = "remote-object"
    OBJECT_UPDATE = "object-update"
    EQUATION_OBJECT = "equation-object"
    XLM_MACRO = "xlm-macro"
    LNK_INTERPRETER = "shortcut-starts-interpreter"
