"""Scripts as Microsoft's Script Encoder leaves them (.jse, .vbe, `<script language="JScript.Encode">`, ASP).

Each character is replaced by one of three substitutions, which take turns in a fixed order. So it hides a script from
readers and keeps no secret. Facts of the format: the published decoders, such as
https://blog.didierstevens.com/2016/03/29/decoding-vbe/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import cycle

MARK = b"#@~^"
_BLOCK = re.compile(rb"(?s)#@~\^[A-Za-z0-9+/]{6}==(.*?)[A-Za-z0-9+/]{6}==\^#~@")
_ESCAPES = {b"@&": b"\n", b"@#": b"\r", b"@*": b">", b"@!": b"<", b"@$": b"@"}
_ESCAPE = re.compile(rb"@[&#*!$]")
# What a tab and the characters from the blank on become; <, > and @ are escaped instead.
_CODES = bytes([9, *range(0x20, 0x80)])
_PLAIN = (
    b"W.GzVBj/&IA42[vrC89pEhqO\tbD#u<~>^@wJa]\"KoN;LPg*}tT+-,0nkf5%!dMRc?{x)(sY3\x7fmUS|:_eFX1ilZH'\\=$y7`Q 6",
    b"n-uR`q^I\\b})6 |z\x7fkc3+hQfv1dTC<:>~@E,*t'7DyY/o&rj9{?8wgSG4x]0#Z[lHUpi.L!$NP\tVs5aKX;W\"mM%(FJ2A=_OBe",
    b"{20!)[83=X:5e9\\VsfNEkbYx^}Jmq<`>S@B'Hru17MR\"TjGd- \x7f.L]~loytC&v%$+(#A4\t*D?w;UiacPgQIOFh|6pnz/_KZ,W",
)
_TURNS = bytes(map(int, "0120121221210212021200122102122100212120200120210212001220012021"))
_TABLES = tuple(bytes.maketrans(_CODES, plain) for plain in _PLAIN)


def decoded_scripts(text: bytes) -> Iterator[bytes]:
    """Yield the scripts that stand encoded in a text, in their order."""
    for block in _BLOCK.finditer(text):
        yield _decoded(block[1])


def _decoded(encoded: bytes) -> bytes:
    body = _ESCAPE.sub(lambda escape: _ESCAPES[escape[0]], encoded)
    substituted = [body.translate(table) for table in _TABLES]
    plain, turns = bytearray(body), cycle(_TURNS)
    for position, code in enumerate(body):
        if code < 0x80:  # others stand for themselves and take no turn
            plain[position] = substituted[next(turns)][position]
    return bytes(plain)
