"""Passive formats that the type model knows badly, recognised by their form.

The model takes some of these files for scripts or programs, which nothing that is shipped covers, so that
no package with one would ever be clean. No form here leaves room for a script.
"""

from __future__ import annotations

import re

from scanner.signatures import is_translation
from shared.scan import ContentType

TRANSLATION = ContentType(
    label="mo",
    mime_type="application/x-gettext-translation",
    group="application",
    description="Machine Object (MO), compiled translations of gettext",
    score=1.0,
    is_text=False,
)
"""The one type that the model has no name for."""

# https://packaging.python.org/en/latest/specifications/core-metadata/ and .../binary-distribution-format/
_FIELDS = (
    "Author", "Author-email", "Build", "Classifier", "Description", "Description-Content-Type", "Download-URL",
    "Dynamic", "Generator", "Home-page", "Import-Name", "Import-Namespace", "Keywords", "License",
    "License-Expression", "License-File", "Maintainer", "Maintainer-email", "Metadata-Version", "Name", "Obsoletes",
    "Obsoletes-Dist", "Platform", "Project-URL", "Provides", "Provides-Dist", "Provides-Extra", "Requires",
    "Requires-Dist", "Requires-External", "Requires-Python", "Root-Is-Purelib", "Summary", "Supported-Platform",
    "Tag", "Version", "Wheel-Version",
)  # fmt: skip
_METADATA = re.compile(
    rf"(?:Metadata|Wheel)-Version: [0-9.]{{1,9}}(?:\r?\n(?:(?:{'|'.join(_FIELDS)}):[^\r\n]*|[ \t][^\r\n]*)?)*"
    r"(?:\r?\nUNKNOWN\s*)?".encode()
)
_METADATA_TAKEN_FOR = frozenset({"snap", "unknown", "yaml"})

# https://setuptools.pypa.io/en/latest/userguide/miscellaneous.html#using-manifest-in
_FILE_LIST = re.compile(
    rb"(?:(?:#[^\r\n&|<>%]*|(?:(?:recursive-|global-)?(?:in|ex)clude|graft|prune)(?:[ \t]+[\w*?.,/\\@+~!{}\[\]-]+)+)?"
    rb"[ \t]*(?:\r?\n|\Z))+"
)
_FILE_LIST_TAKEN_FOR = frozenset({"asm", "batch", "makefile", "shell"})


def corrected_label(label: str, head: bytes, *, whole: bool) -> str:
    """Return what the model's label becomes; `whole` says that the first bytes are all of the file."""
    if is_translation(head):
        return TRANSLATION.label
    if whole and label in _METADATA_TAKEN_FOR and _METADATA.fullmatch(head):
        return "txt"
    if whole and label in _FILE_LIST_TAKEN_FOR and _FILE_LIST.fullmatch(head):
        return "txt"
    return label
