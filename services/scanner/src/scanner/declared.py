"""What a file's name declares it to be, and what a shell or browser would therefore do with it."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Extensions by which a system runs or renders a file as active content; values are content-type
# labels (those of Magika where it has one). What carries one of these must be covered as that
# type, even when its bytes look like plain text to the type model.
ACTIVE_EXTENSIONS = {
    "asa": "asp", "ascx": "asp", "ashx": "asp", "asmx": "asp", "asp": "asp", "aspx": "asp",
    "bash": "shell", "command": "shell", "csh": "shell", "fish": "shell", "ksh": "shell", "sh": "shell",
    "tool": "shell", "zsh": "shell",
    "bat": "batch", "cmd": "batch",
    "cjs": "javascript", "js": "javascript", "jse": "javascript", "jsx": "jsx", "mjs": "javascript",
    "pac": "javascript",
    "cgi": "perl", "pl": "perl", "pm": "perl",
    "hta": "hta", "htc": "html", "htm": "html", "html": "html", "shtm": "html", "shtml": "html", "stm": "html",
    "svg": "svg", "xht": "html", "xhtml": "html",
    "inc": "php", "phar": "php", "php": "php", "php3": "php", "php4": "php", "php5": "php", "php7": "php",
    "php8": "php", "phps": "php", "pht": "php", "phtml": "php",
    "jsp": "asp", "jspf": "asp", "jspx": "asp",
    "lua": "lua", "nse": "lua", "pth": "python", "py": "python", "pyw": "python", "rb": "ruby", "tcl": "tcl",
    "ps1": "powershell", "psd1": "powershell", "psm1": "powershell",
    "sct": "scriptwsf", "wsc": "scriptwsf", "wsf": "scriptwsf",
    "bas": "vba", "vba": "vba", "vbe": "vbe", "vbs": "vba",
}  # fmt: skip

# Texts that are no scripts, or of languages that nothing here reads, and by which a system, a shell or a program
# still acts: starts or builds something, fetches a file, signs in at a server. Without the name they are what they
# look like, most often settings.
ACTING_EXTENSIONS = {
    # Windows: shortcuts, settings, searches, installers
    "appinstaller": "appinstaller", "application": "clickonce", "appref-ms": "clickonce", "vsto": "clickonce",
    "xbap": "clickonce", "contact": "contact", "diagcab": "diagcab", "ica": "ica", "inf": "inf", "ins": "ins",
    "isp": "ins", "library-ms": "search-ms", "search-ms": "search-ms", "searchconnector-ms": "search-ms",
    "mof": "mof", "msc": "msc", "pbk": "pbk", "ps1xml": "ps1xml", "cdxml": "ps1xml", "psc1": "ps1xml",
    "pssc": "ps1xml", "rdp": "rdp", "reg": "winregistry", "scf": "scf", "settingcontent-ms": "settingcontent-ms",
    "theme": "theme", "udl": "udl", "url": "internetshortcut", "website": "internetshortcut", "wsh": "wsh",
    # Office: queries, tables with formulas, pages that are documents
    "dqy": "office-query", "iqy": "office-query", "oqy": "office-query", "rqy": "office-query", "slk": "sylk",
    "eml": "eml", "mht": "mht", "mhtml": "mht",
    # Linux and macOS
    "desktop": "desktop", "directory": "desktop", "rules": "udev-rules", "path": "systemd-unit",
    "service": "systemd-unit", "socket": "systemd-unit", "timer": "systemd-unit", "mobileconfig": "mobileconfig",
    "plist": "appleplist", "webloc": "internetshortcut", "fileloc": "internetshortcut",
    "inetloc": "internetshortcut", "applescript": "applescript",
    # languages and files by which something is built
    "a3x": "autoit", "ahk": "autohotkey", "au3": "autoit", "awk": "awk", "cfc": "coldfusion", "cfm": "coldfusion",
    "clj": "clojure", "cmake": "cmake", "coffee": "coffeescript", "cts": "typescript", "mts": "typescript",
    "ts": "typescript", "tsx": "tsx", "el": "lisp", "erb": "erb", "ex": "elixir", "exs": "elixir", "exp": "tcl",
    "gemspec": "ruby", "podspec": "ruby", "rake": "ruby", "gradle": "gradle", "groovy": "groovy", "gyp": "gyp",
    "gypi": "gyp", "jl": "julia", "jnlp": "jnlp", "kts": "kotlin", "latex": "latex", "ltx": "latex",
    "sty": "latex", "tex": "latex", "m4": "m4", "mak": "makefile", "mk": "makefile", "ps": "postscript",
    "eps": "postscript", "r": "r", "sql": "sql", "vim": "vim", "yaml": "yaml", "yml": "yaml",
    "csproj": "msbuild", "fsproj": "msbuild", "proj": "msbuild", "props": "msbuild", "targets": "msbuild",
    "vbproj": "msbuild", "vcxproj": "msbuild", "xaml": "xaml", "xoml": "msbuild", "xml": "xml", "xsl": "xslt",
    "xslt": "xslt",
}  # fmt: skip
ACTING_NAMES = {
    ".envrc": "shell", ".bash_login": "shell", ".bash_logout": "shell", ".bash_profile": "shell", ".bashrc": "shell",
    ".profile": "shell", ".xinitrc": "shell", ".xprofile": "shell", ".xsession": "shell", ".zlogin": "shell",
    ".zprofile": "shell", ".zshenv": "shell", ".zshrc": "shell", "postinst": "shell", "postrm": "shell",
    "preinst": "shell", "prerm": "shell", ".emacs": "lisp", ".gdbinit": "gdb", ".lldbinit": "lldb",
    ".exrc": "vim", ".vimrc": "vim", ".gitconfig": "git-settings", ".htaccess": "htaccess", ".user.ini": "php-settings",
    "brewfile": "ruby", "gemfile": "ruby", "podfile": "ruby", "rakefile": "ruby", "vagrantfile": "ruby",
    "crontab": "crontab", "desktop.ini": "desktop-ini", "dockerfile": "dockerfile", "containerfile": "dockerfile",
    "cmakelists.txt": "cmake", "gnumakefile": "makefile", "makefile": "makefile", "jenkinsfile": "groovy",
    "wpad.dat": "javascript",
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
_DROPPED, _MAIN_STREAM = ". ", "::$data"
_INTERPRETERS = {
    "sh": "shell", "bash": "shell", "dash": "shell", "ksh": "shell", "zsh": "shell", "python": "python",
    "perl": "perl", "ruby": "ruby", "node": "javascript", "php": "php", "pwsh": "powershell", "lua": "lua",
}  # fmt: skip
_SHEBANG = re.compile(rb"^#!\s*(?:\S*/)?(?:env\s+(?:-\S+\s+)*)?([A-Za-z]+)")


@dataclass(frozen=True, slots=True)
class DeclaredName:
    """The parts of a file name that tell a person or a system what the file is."""

    last: str
    """Last component of the path, lower case."""
    extension: str
    """Last extension, lower case, without the dot; empty if there is none."""
    inner_extension: str
    """The extension before it, where a person might stop reading; spaces around it dropped."""
    overrides_direction: bool
    """Whether the name holds a character that makes it read backwards."""

    @classmethod
    def of(cls, name: str) -> DeclaredName:
        """Take a name apart; only its last path component counts, and of that what Windows leaves when writing it."""
        last = _FOLDERS.split(name)[-1]
        written = last.lower().partition("\0")[0].rstrip(_DROPPED).removesuffix(_MAIN_STREAM).rstrip(_DROPPED)
        parts = [part.strip() for part in written.split(".")]
        return cls(
            last=written.strip(),
            extension=parts[-1] if len(parts) > 1 else "",
            inner_extension=parts[-2] if len(parts) > 2 else "",
            overrides_direction=_DIRECTION_OVERRIDES.search(last) is not None,
        )

    @property
    def active_type(self) -> str | None:
        """The content-type label under which a system would run or render the file."""
        return ACTIVE_EXTENSIONS.get(self.extension)

    @property
    def acting_type(self) -> str | None:
        """The content-type label under which a system or a program would act by the file, if it is text."""
        return ACTING_NAMES.get(self.last) or ACTING_EXTENSIONS.get(self.extension)


def interpreter_type(head: bytes) -> str | None:
    """Return the label of the language whose interpreter a `#!` line names, else None."""
    match = _SHEBANG.match(head)
    return _INTERPRETERS.get(match.group(1).decode("ascii").lower()) if match else None
