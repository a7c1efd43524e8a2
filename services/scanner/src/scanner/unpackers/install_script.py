"""Scripts that run when a package is installed: what they do and which other files they name.

Read with patterns, call by call, so that a name in a list of requirements is no connection. What a
script hides from them is left to the model and the rules, which see the same bytes.
"""

from __future__ import annotations

import re
from typing import BinaryIO

from scanner.unpackers.base import PackageReader, Sink, read_bounded
from scanner.unpackers.encodings import as_utf8
from scanner.unpackers.package_facts import Fact

MAX_READ_BYTES = 1024 * 1024
_PYTHON = {
    Fact.OPENS_NETWORK: re.compile(
        r"\b(?:urlopen|urlretrieve|create_connection|HTTPS?Connection|ClientSession|PoolManager|SMTP|FTP)\s*\("
        r"|\b(?:requests|httpx)\s*\.\s*(?:get|post|put|request|Session|Client)\s*\(|\bsocket\s*\.\s*socket\s*\("
        # through another program: a command line in quotes
        r"|[\"'][^\"'\n]{0,80}\b(?:curl|wget|powershell|certutil|bitsadmin|mshta)\b[^\n]{0,200}https?://"
    ),
    Fact.STARTS_PROGRAMS: re.compile(
        r"\bsubprocess\s*\.\s*\w{1,30}\s*\(|\b(?:Popen|check_call|check_output|getoutput)\s*\("
        r"|\bos\s*\.\s*(?:system|popen|startfile|exec[lv]\w{0,2}|spawn\w{1,4}|posix_spawn)\s*\("
        r"|\bpip\s*\.\s*(?:_internal\s*\.\s*)?main\s*\("
    ),
    Fact.RUNS_TEXT: re.compile(r"(?<![\w.])(?:exec|eval)\s*\(|\bmarshal\s*\.\s*loads\s*\("),
    Fact.CHANGES_INSTALL: re.compile(r"\bcmdclass\b"),
}
_JAVASCRIPT = {
    Fact.OPENS_NETWORK: re.compile(
        r"""(?:\brequire\s*\(\s*|\bfrom\s+)["'](?:node:)?(?:https?|http2|net|dns|dgram|tls|axios|node-fetch|got)["']"""
        r"|\bfetch\s*\(|\bXMLHttpRequest\b|\bWebSocket\s*\("
    ),
    Fact.STARTS_PROGRAMS: re.compile(r"\bchild_process\b|\b(?:execSync|spawnSync|execFileSync)\s*\("),
    Fact.RUNS_TEXT: re.compile(r"(?<![\w.])eval\s*\(|\bnew\s+Function\s*\(|\bvm\s*\.\s*run\w{1,20}\s*\("),
}
_SHELL = {
    Fact.OPENS_NETWORK: re.compile(r"\b(?:curl|wget|nc|ncat)\b|/dev/(?:tcp|udp)/"),
    Fact.STARTS_PROGRAMS: re.compile(r"\S"),
    Fact.RUNS_TEXT: re.compile(r"\beval\b|\|\s*(?:ba|z)?sh\b"),
}
_ACTS = {
    "py": _PYTHON, "pyw": _PYTHON, "pth": _PYTHON,
    "js": _JAVASCRIPT, "cjs": _JAVASCRIPT, "mjs": _JAVASCRIPT, "ts": _JAVASCRIPT,
}  # fmt: skip
_COMMENT_LINE = re.compile(r"^[ \t]{0,200}#.*", re.MULTILINE)
# A quoted word with a dot or slash in it is taken for the name of a file.
_PATH_SIGNS = frozenset("./\\")
_QUOTED = re.compile(r"""["'`]([\w@./\\-]{1,300})["'`]""")
_PYTHON_IMPORT = re.compile(
    r"^[ \t]{0,40}(?:from[ \t]+([\w.]{1,200})[ \t]+)?import[ \t]+\(?([\w., \t]{1,300})", re.MULTILINE
)


class InstallScriptReader(PackageReader):
    """setup.py, build backends, .pth files and what install hooks start."""

    name = "install script"

    def unpack(self, source: BinaryIO, name: str, sink: Sink) -> None:
        """Tell what the script does and names."""
        data = read_bounded(source, MAX_READ_BYTES, "read as an install script", sink)
        text = as_utf8(data).decode("utf-8", "replace")
        acts = _ACTS.get(name.rpartition(".")[2].lower(), _SHELL)
        if acts is not _JAVASCRIPT:
            text = _COMMENT_LINE.sub("", text)
        for fact, pattern in acts.items():
            if pattern.search(text):
                sink.fact(fact)
        for word in _QUOTED.findall(text):
            if not _PATH_SIGNS.isdisjoint(word):
                sink.fact(Fact.NAMES, word)
        if acts is _PYTHON:
            for module in _imported(text):
                sink.fact(Fact.NAMES, f"{module.replace('.', '/')}.py")


def _imported(text: str) -> list[str]:
    modules = []
    for source, names in _PYTHON_IMPORT.findall(text):
        inner = [name.split()[0] for name in names.split(",") if name.strip()]
        modules += [source, *(f"{source}.{name}" for name in inner)] if source else inner
    return [module.strip(".") for module in modules if module.strip(".")]
