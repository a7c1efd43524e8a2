"""Changes of form that leave a script's meaning alone; the model must not depend on any of them.

All functions take and return bytes and draw from the given generator only. None aims at a script that still
runs: only its bytes are ever read.
"""

import base64
import random
import re
from collections.abc import Callable

Change = Callable[[bytes, random.Random], bytes]

ASSIGNED = re.compile(
    rb"(?<![\w.$%])(?:\$|var |let |const |dim |set |def |function )?([A-Za-z_]\w{2,40})\s*=(?!=)", re.IGNORECASE
)
DEFINED = re.compile(rb"\b(?:def|function|sub|var|let|const|dim)\s+([A-Za-z_]\w{2,40})", re.IGNORECASE)
LITERAL = re.compile(rb"\"([^\"\\\r\n]{6,200})\"|'([^'\\\r\n]{6,200})'")
KEPT_NAMES = frozenset(
    b"setup name version author description url packages install requires cmdclass classifiers keywords license "
    b"response request self this class return function import data-href action method type value style src".split()
)
WORDS = (
    b"data result value index item name path config option buffer count total line text entry node list cache temp "
    b"handler client server session user token key state event message target source length offset width"
).split()
COMMENT_MARKS: dict[str, tuple[bytes, bytes]] = {
    "python": (b"# ", b""),
    "powershell": (b"# ", b""),
    "shell": (b"# ", b""),
    "perl": (b"# ", b""),
    "javascript": (b"// ", b""),
    "php": (b"// ", b""),
    "vbs": (b"' ", b""),
    "batch": (b"rem ", b""),
    "asp": (b"<%' ", b" %>"),
    "aspx": (b"<%-- ", b" --%>"),
    "jsp": (b"<%-- ", b" --%>"),
    "html/hta": (b"<!-- ", b" -->"),
}
JOINERS = {"php": b".", "perl": b".", "vbs": b"&", "asp": b"&"}
WRAPPERS: dict[str, tuple[bytes, ...]] = {
    "python": (
        b"import base64\nexec(base64.b64decode('%s'))\n",
        b"from base64 import b64decode as d\nexec(compile(d(b'%s'),'<string>','exec'))\n",
        b"exec(__import__('base64').b64decode(\"%s\").decode('utf-8'))",
    ),
    "javascript": (
        b'eval(atob("%s"));',
        b"eval(Buffer.from('%s','base64').toString('utf8'))",
        b"new Function(atob('%s'))()",
    ),
    "powershell": (
        b"iex ([Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('%s')))",
        b"powershell -NoP -NonI -W Hidden -EncodedCommand %s",
    ),
    "php": (b"<?php eval(base64_decode('%s')); ?>", b"<?php $c='%s'; assert(base64_decode($c));"),
}


def invented_name(rng: random.Random) -> bytes:
    """A variable name: words, letters, or noise."""
    kind = rng.random()
    if kind < 0.5:
        return b"_".join(rng.sample(WORDS, rng.randint(1, 2)))
    if kind < 0.8:
        return bytes(rng.choices(b"abcdefghijklmnopqrstuvwxyz", k=rng.randint(3, 10)))
    return b"_0x" + bytes(rng.choices(b"0123456789abcdef", k=rng.randint(4, 6)))


def rename_identifiers(data: bytes, rng: random.Random) -> bytes:
    """New names for what the script itself assigns or defines."""
    head = data[:65536]
    names = sorted({*ASSIGNED.findall(head), *DEFINED.findall(head)} - KEPT_NAMES)
    if not names:
        return data
    chosen = rng.sample(names, min(len(names), 40))
    new = {name: invented_name(rng) for name in chosen}
    pattern = re.compile(rb"(?<![\w.-])(?:" + b"|".join(map(re.escape, chosen)) + rb")(?![\w-])")
    return pattern.sub(lambda match: new[match[0]], data)


def split_strings(data: bytes, rng: random.Random, language: str) -> bytes:
    """String literals cut in two and joined by the language's operator."""
    joiner = JOINERS.get(language, b"+")
    share = rng.uniform(0.2, 0.9)

    def cut(match: re.Match[bytes]) -> bytes:
        text = match[0]
        if rng.random() > share:
            return text
        quote, place = text[:1], rng.randint(2, len(text) - 3)
        return text[:place] + quote + joiner + quote + text[place:]

    return LITERAL.sub(cut, data)


def comment_lines(prose: bytes, language: str, count: int, rng: random.Random) -> bytes:
    """Lines of somebody else's text as comments of a language."""
    opening, closing = COMMENT_MARKS.get(language, (b"# ", b""))
    lines = [line.strip()[:100] for line in prose.splitlines() if line.strip()] or [b"-"]
    start = rng.randrange(len(lines))
    picked = (lines[start:] + lines[:start])[:count]
    return b"".join(opening + line.replace(b"%>", b"").replace(b"*/", b"") + closing + b"\n" for line in picked)


def flood_comments(data: bytes, rng: random.Random, prose: bytes, language: str) -> bytes:
    """Comments before the script or between its lines."""
    if rng.random() < 0.5:
        return comment_lines(prose, language, rng.randint(2, 60), rng) + data
    lines = data.split(b"\n")
    for _ in range(rng.randint(1, 6)):
        place = rng.randint(0, len(lines))
        lines.insert(place, comment_lines(prose, language, rng.randint(1, 4), rng).rstrip(b"\n"))
    return b"\n".join(lines)


def join_scripts(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """The script with another one before it, after it or around it."""
    part = other[: rng.randint(200, 6000)]
    place = rng.random()
    if place < 0.4:
        return data + b"\n" + part
    if place < 0.75:
        return part + b"\n" + data
    cut = part.find(b"\n", len(part) // 3) + 1
    return part[:cut] + data + b"\n" + part[cut:]


def wrap_base64(data: bytes, rng: random.Random, language: str) -> bytes:
    """The script as a base64 text that a line of the same language decodes and runs; others stay as they are."""
    wrappers = WRAPPERS.get(language)
    if not wrappers:
        return data
    wrapper = rng.choice(wrappers)
    if b"-Enc" in wrapper:
        data = data.decode("latin1").encode("utf-16-le")
    return wrapper.replace(b"%s", base64.b64encode(data[:24000]))


def break_lines(data: bytes, rng: random.Random) -> bytes:
    """Newlines removed after a semicolon, or added there."""
    if rng.random() < 0.5:
        return re.sub(rb";[ \t]*\r?\n[ \t]*", b";", data)
    return re.sub(rb";(?=[\w$ ])", b";\n", data)


def augment(data: bytes, language: str, label: int, other: bytes, rng: random.Random) -> bytes:
    """A random chain of changes; `other` is a benign script of the same language."""
    if rng.random() < 0.30:
        data = rename_identifiers(data, rng)
    if rng.random() < (0.20 if label else 0.12):
        data = split_strings(data, rng, language)
    if rng.random() < 0.15:
        data = flood_comments(data, rng, other, language)
    if rng.random() < 0.10:
        data = break_lines(data, rng)
    if label and rng.random() < 0.04:
        data = wrap_base64(data, rng, language)
    if rng.random() < (0.30 if label else 0.15):
        data = join_scripts(data, other, rng)
    return data
