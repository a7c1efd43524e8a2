"""What a file's name declares it to be, and what a shell or browser would therefore do with it."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Extensions by which a system runs or renders a file as active content; values are content-type
# labels (those of Magika where it has one). What carries one of these must be covered as that
# type, even when its bytes look like plain text to the type model.
ACTIVE_EXTENSIONS = {
    "asa": "asp", "ascx": "asp", "ashx": "asp", "asmx": "asp", "asp": "asp", "aspx": "asp",
    "bash": "shell", "command": "shell", "ksh": "shell", "sh": "shell", "zsh": "shell",
    "bat": "batch", "cmd": "batch",
    "cjs": "javascript", "js": "javascript", "jse": "javascript", "jsx": "jsx", "mjs": "javascript",
    "cgi": "perl", "pl": "perl", "pm": "perl",
    "hta": "hta", "htm": "html", "html": "html", "shtml": "html", "svg": "svg", "xhtml": "html",
    "inc": "php", "phar": "php", "php": "php", "php3": "php", "php4": "php", "php5": "php", "php7": "php",
    "php8": "php", "phps": "php", "pht": "php", "phtml": "php",
    "jsp": "asp", "jspf": "asp", "jspx": "asp",
    "lua": "lua", "py": "python", "pyw": "python", "rb": "ruby", "tcl": "tcl",
    "ps1": "powershell", "psd1": "powershell", "psm1": "powershell",
    "sct": "scriptwsf", "wsc": "scriptwsf", "wsf": "scriptwsf",
    "vba": "vba", "vbe": "vbe", "vbs": "vba",
}  # fmt: skip

SCRIPTS = frozenset(ACTIVE_EXTENSIONS.values()) - {"hta", "html", "svg"}
"""Labels of languages in which text that a script decodes may be run by it."""

PICTURES = frozenset({"bmp", "gif", "heic", "ico", "jpeg", "jpg", "png", "tif", "tiff", "webp"})
SOUNDS_AND_FILMS = frozenset(
    {"aac", "avi", "flac", "m4a", "mkv", "mov", "mp3", "mp4", "mpeg", "mpg", "ogg", "wav", "webm", "wmv"}
)
OFFICE_DOCUMENTS = frozenset(
    {"doc", "docx", "eml", "odp", "ods", "odt", "pdf", "ppt", "pptx", "rtf", "vsd", "vsdx", "xls", "xlsx"}
)
PLAIN_TEXTS = frozenset({"csv", "json", "log", "md", "tsv", "txt", "xml"})
HARMLESS_EXTENSIONS = PICTURES | SOUNDS_AND_FILMS | OFFICE_DOCUMENTS | PLAIN_TEXTS

RUN_BY_DOUBLE_CLICK = frozenset({
    "bat", "chm", "cmd", "com", "cpl", "exe", "hta", "jar", "js", "jse", "lnk", "msi", "pif", "ps1", "scr", "vbe",
    "vbs", "wsf", "wsh",
})  # fmt: skip

# U+202D and U+202E override the reading direction; the isolates of U+2066..2068 are ordinary
# in right-to-left languages and cannot turn an extension around by themselves.
_DIRECTION_OVERRIDES = re.compile("[\N{LEFT-TO-RIGHT OVERRIDE}\N{RIGHT-TO-LEFT OVERRIDE}]")
_FOLDERS = re.compile(r"[/\\]")
_INTERPRETERS = {
    "sh": "shell", "bash": "shell", "dash": "shell", "ksh": "shell", "zsh": "shell", "python": "python",
    "perl": "perl", "ruby": "ruby", "node": "javascript", "php": "php", "pwsh": "powershell", "lua": "lua",
}  # fmt: skip
_SHEBANG = re.compile(rb"^#!\s*(?:\S*/)?(?:env\s+(?:-\S+\s+)*)?([A-Za-z]+)")


@dataclass(frozen=True, slots=True)
class DeclaredName:
    """The parts of a file name that tell a person or a system what the file is."""

    extension: str
    """Last extension, lower case, without the dot; empty if there is none."""
    inner_extension: str
    """The extension before it, where a person might stop reading; spaces around it dropped."""
    overrides_direction: bool
    """Whether the name holds a character that makes it read backwards."""

    @classmethod
    def of(cls, name: str) -> DeclaredName:
        """Take a name apart; only its last path component counts."""
        last = _FOLDERS.split(name)[-1]
        parts = [part.strip().lower() for part in last.split(".")]
        return cls(
            extension=parts[-1] if len(parts) > 1 else "",
            inner_extension=parts[-2] if len(parts) > 2 else "",
            overrides_direction=_DIRECTION_OVERRIDES.search(last) is not None,
        )

    @property
    def active_type(self) -> str | None:
        """The content-type label under which a system would run or render the file."""
        return ACTIVE_EXTENSIONS.get(self.extension)


def interpreter_type(head: bytes) -> str | None:
    """Return the label of the language whose interpreter a `#!` line names, else None."""
    match = _SHEBANG.match(head)
    return _INTERPRETERS.get(match.group(1).decode("ascii").lower()) if match else None
