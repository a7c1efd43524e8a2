"""Scripts in pages, and what scripts carry encoded."""

from __future__ import annotations

import base64
import binascii
import codecs
import gzip
import hashlib
import time
import zlib
from itertools import cycle
from pathlib import Path

import pytest

from scanner.testing import Scan
from scanner.unpackers import script_encoder
from shared.scan import CoverageReason, ScanDocument, Verdict

HELLO = "Write-Output 'hello from a harmless script'; Get-Date"


def origins(document: ScanDocument) -> list[str]:
    return [artifact.origin for artifact in document.artifacts[1:]]


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


CARRIERS = {
    "base64": f"$a = '{encoded(HELLO.encode())}'",
    "hex": f"exec(bytes.fromhex('{HELLO.encode().hex()}'))",
    "escapes": "eval('" + "".join(f"\\x{byte:02x}" for byte in HELLO.encode()) + "')",
    "character codes": "eval(String.fromCharCode(" + ",".join(str(byte) for byte in HELLO.encode()) + "))",
}


@pytest.mark.parametrize("encoding", CARRIERS)
async def test_encoded_text_comes_out(scan: Scan, encoding: str) -> None:
    document = await scan("x.js", CARRIERS[encoding].encode())

    assert f"decoded from {encoding}" in origins(document)
    assert any(artifact.size_bytes == len(HELLO) for artifact in document.artifacts)


@pytest.mark.parametrize(
    "carrier",
    [
        "x = " + "+".join(f"[char]{byte}" for byte in HELLO.encode()),
        "x = " + " & ".join(f"Chr({byte})" for byte in HELLO.encode()),
        "$x = " + ".".join(f"chr(0x{byte:x})" for byte in HELLO.encode()),
    ],
)
async def test_character_functions_are_read(scan: Scan, carrier: str) -> None:
    document = await scan("x.ps1", carrier.encode())

    assert document.artifacts[1].origin == "decoded from character codes"
    assert document.artifacts[1].size_bytes == len(HELLO)


def turned(text: str) -> str:
    return codecs.encode(text, "rot13")


PACKED = zlib.compress(HELLO.encode()).decode("latin-1")
RARER_CARRIERS = {
    "reversed base64": f"exec(base64.b64decode('{encoded(HELLO.encode())[::-1]}'[::-1]))",
    "reversed text": f"eval(strrev('{HELLO[::-1].replace(chr(39), '`')}'))",
    "ROT13": f'<?php eval(str_rot13("{turned(HELLO)}"));',
    "base64 of ROT13": f"gzinflate(str_rot13(base64_decode('{encoded(turned(PACKED).encode('latin-1'))}')))",
    "base64 and ROT13": f"str_rot13(gzinflate(base64_decode('{encoded(zlib.compress(turned(HELLO).encode()))}')))",
    "ROT13 of base64": f"eval(base64_decode(str_rot13('{turned(encoded(HELLO.encode()))}')))",
    "base32": f"exec(base64.b32decode('{base64.b32encode(HELLO.encode()).decode()}'))",
    "base85": f"exec(base64.b85decode('{base64.b85encode(HELLO.encode()).decode()}'))",
    "ASCII85": f"exec(base64.a85decode('{base64.a85encode(HELLO.encode() + b'     ').decode()}'))",
}


@pytest.mark.parametrize("encoding", RARER_CARRIERS)
async def test_rarer_encodings_come_out(scan: Scan, encoding: str) -> None:
    document = await scan("x.php", RARER_CARRIERS[encoding].encode())

    found = [artifact for artifact in document.artifacts if artifact.origin == f"decoded from {encoding}"]
    assert len(HELLO) in {artifact.size_bytes for artifact in found} | {artifact.size_bytes - 5 for artifact in found}
    assert "script-threat" in found[0].covered_by


async def test_the_script_encoder_is_undone_in_plain_text_too(scan: Scan) -> None:
    seed = Path(__file__).parents[1] / "fuzz/corpus/encodings/script-encoder"
    document = await scan("x.txt", seed.read_bytes())

    assert "decoded from Script Encoder" in origins(document)


async def test_invisible_characters_come_out(scan: Scan) -> None:
    hidden = "".join(chr(0xFE00 + byte if byte < 16 else 0xE0100 + byte - 16) for byte in HELLO.encode())
    document = await scan("x.js", f"eval(decode(`{hidden}`))".encode())

    assert "decoded from invisible characters" in origins(document)
    assert len(HELLO) in {artifact.size_bytes for artifact in document.artifacts}


SEALED = {
    "a.py": b"from pyarmor_runtime_000000 import __pyarmor__\n__pyarmor__(__name__, __file__, b'PY')\n",
    "a.php": b"<?php //0046a\nif(!extension_loaded('ionCube Loader')){die('demo');}\n?>\nHR+cPdemo",
    "b.php": b"<?php @Zend;\n4123;\n/* demo */\n",
    "c.php": b"<?php return sg_load('0123456789ABCDEF');\n",
}


@pytest.mark.parametrize("name", SEALED)
async def test_sealed_scripts_are_said(scan: Scan, name: str) -> None:
    document = await scan(name, SEALED[name])

    assert CoverageReason.ENCRYPTED in {gap.reason for gap in document.coverage.gaps}
    assert document.verdict is not Verdict.CLEAN


async def test_a_file_that_stands_uuencoded_in_a_text_comes_out(scan: Scan) -> None:
    content = f"#!/bin/sh\n{HELLO}\n".encode() * 3
    lines = [binascii.b2a_uu(content[start : start + 45]).decode() for start in range(0, len(content), 45)]
    mail = f"Dear all,\nsee below.\nbegin 644 greet.sh\n{''.join(lines)}`\nend\n\nBegin 644 greetings, all.\n"
    document = await scan("x.txt", mail.encode())

    inner = document.artifacts[1]
    assert (inner.name, inner.size_bytes) == ("greet.sh", len(content))
    assert document.verdict is Verdict.UNKNOWN


SOURCE = "import os\nprint('hello from a harmless script', os.name)\n"


@pytest.mark.parametrize(
    ("coding", "source"),
    [("utf-7", SOURCE.encode("utf-16-be")), ("rot13", turned(SOURCE).encode()), ("unicode_escape", SOURCE.encode())],
)
async def test_a_source_in_an_odd_encoding_is_looked_at_decoded(scan: Scan, coding: str, source: bytes) -> None:
    if coding == "utf-7":
        source = b"+" + base64.b64encode(source).rstrip(b"=") + b"-\n"
    if coding == "unicode_escape":
        source = b"".join(b"\\x%02x" % byte for byte in source)
    document = await scan("x.py", f"# -*- coding: {coding} -*-\n# coding: utf-8\n".encode() + source)

    inner = next(artifact for artifact in document.artifacts if artifact.origin == "decoded from source encoding")
    assert "script-threat" in inner.covered_by
    assert inner.size_bytes >= len(SOURCE)


@pytest.mark.parametrize("coding", ["future-strings", "punycode", "zlib"])
async def test_a_source_in_an_unknown_encoding_is_not_clean(scan: Scan, coding: str) -> None:
    document = await scan("x.py", f"# vim: set fileencoding={coding} :\nprint('hello')\n".encode())

    assert document.verdict is Verdict.UNKNOWN
    assert any("encoding" in gap.detail for gap in document.coverage.gaps)


@pytest.mark.parametrize("coding", ["utf-8", "latin-1", "utf-8-unix", "cp1252", "shift_jis", "gbk"])
async def test_a_source_in_an_ordinary_encoding_is_as_it_is(scan: Scan, coding: str) -> None:
    document = await scan("x.py", f"#!/usr/bin/python\n# -*- coding: {coding} -*-\nprint('hello')\n".encode())

    assert (document.verdict, len(document.artifacts)) == (Verdict.CLEAN, 1)


ODD_TEXTS = {
    "an older encoding": "<?php // 你好, 这是一个测试 ?>".encode("gbk")
    + b"echo 'hello from a harmless script'; // and more\n" * 3,
    "few letters": b"x = [" + b"+".join(b"(%d^7)" % number for number in range(40)) + b"]",
    "controls": b"var a = '" + bytes(range(1, 32)).replace(b"\n", b"") * 4 + b"'; a.length;",
}


@pytest.mark.parametrize("kind", ODD_TEXTS)
async def test_odd_text_comes_out(scan: Scan, kind: str) -> None:
    document = await scan("x.js", f"eval(atob('{encoded(ODD_TEXTS[kind])}'))".encode())

    assert [artifact.size_bytes for artifact in document.artifacts[1:]] == [len(ODD_TEXTS[kind])]


async def test_tables_of_small_numbers_are_no_text(scan: Scan) -> None:
    table = ", ".join(str(1 + number * 37 % 126) for number in range(200))
    document = await scan("x.py", f"WEIGHTS = [{table}]\n".encode())

    assert len(document.artifacts) == 1
    assert document.verdict is Verdict.CLEAN


async def test_what_a_script_decodes_is_looked_at_as_its_language(scan: Scan) -> None:
    """The type model takes much of it for plain text or for other languages, and no name says better."""
    document = await scan("x.php", f"<?php eval(base64_decode('{encoded(b'Good morning. How do you do?')}'));".encode())

    inner = document.artifacts[1]
    assert inner.content_type.label == "txt"
    assert "script-threat" in inner.covered_by


async def test_what_plain_text_decodes_is_no_script(scan: Scan) -> None:
    document = await scan("x.txt", f"The letter said: {encoded(b'Good morning. How do you do?')}".encode())

    assert document.artifacts[1].covered_by == ("fumehood-rules",)


@pytest.mark.parametrize("name", ["x.txt", "x.theme", "x.reg", "x.js"])
async def test_text_is_searched_whatever_it_is_called(scan: Scan, name: str) -> None:
    document = await scan(name, f"The letter said: {encoded(HELLO.encode())}".encode())

    assert [artifact.size_bytes for artifact in document.artifacts[1:]] == [len(HELLO)]


async def test_an_encoded_command_of_powershell_comes_out(scan: Scan) -> None:
    command = f"powershell -NoP -enc {encoded(HELLO.encode('utf-16-le'))}"
    document = await scan("x.bat", command.encode())

    assert document.artifacts[1].name.endswith(".ps1")
    assert document.artifacts[1].size_bytes == len(HELLO)


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress, lambda data: zlib.compress(data, wbits=-15)])
async def test_compressed_content_in_base64_comes_out(scan: Scan, pack: object) -> None:
    packed = pack(HELLO.encode() * 4)  # type: ignore[operator]
    document = await scan("x.php", f"<?php eval(gzinflate(base64_decode('{encoded(packed)}')));".encode())

    assert any(artifact.size_bytes == 4 * len(HELLO) for artifact in document.artifacts)


async def test_layers_come_off_one_by_one(scan: Scan, eicar: bytes) -> None:
    layer = "echo " + encoded(b"echo hidden; " + eicar)
    outer = "x = '" + encoded(layer.encode()) + "'"
    document = await scan("x.js", outer.encode())

    assert [artifact.depth for artifact in document.artifacts] == [0, 1, 2]


async def test_literals_are_joined_before_decoding(scan: Scan) -> None:
    whole = encoded(HELLO.encode())
    pieces = "' +\n '".join(whole[start : start + 10] for start in range(0, len(whole), 10))
    document = await scan("x.js", f"var a = '{pieces}';".encode())

    assert any(artifact.size_bytes == len(HELLO) for artifact in document.artifacts)


async def test_a_program_in_a_script_comes_out(scan: Scan, archives: object) -> None:
    document = await scan("x.ps1", f"$b = '{encoded(b'MZ' + bytes(400))}'".encode())

    assert document.artifacts[1].size_bytes == 402
    assert document.verdict is not Verdict.CLEAN


async def test_hashes_and_pictures_are_left_alone(scan: Scan) -> None:
    picture = encoded(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    text = (
        f"digest = '{'0123456789abcdef' * 4}'\nicon = '{picture}'\nsizes = [1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144]\n"
    )
    document = await scan("x.py", text.encode())

    assert len(document.artifacts) == 1


async def test_the_number_of_finds_is_limited(scan: Scan) -> None:
    lines = [f"a{number} = '{encoded(f'{HELLO} {number}'.encode())}'" for number in range(100)]
    document = await scan("x.py", "\n".join(lines).encode())

    assert CoverageReason.LIMIT_REACHED in {gap.reason for gap in document.coverage.gaps}
    assert document.verdict is not Verdict.CLEAN


@pytest.mark.parametrize("unit", ["A", "\\x41", "41", "65,", "Chr(65)&", "'+'", "<script>", "<a ", "%41"])
async def test_hostile_repetition_takes_bounded_time(scan: Scan, unit: str) -> None:
    started = time.monotonic()
    document = await scan("x.hta", (unit * 400_000)[:1_500_000].encode())

    assert time.monotonic() - started < 30
    assert document.verdict is not Verdict.CLEAN


async def test_scripts_of_a_page_come_out(scan: Scan) -> None:
    page = (
        "<html><body onload='start()'><script>var a = 'harmless';</script>"
        "<script language=VBScript>MsgBox \"hi\"</script><script type='application/json'>{}</script>"
        "<a href='javascript:alert(1)'>x</a></body></html>"
    )
    document = await scan("x.html", page.encode("utf-16"))

    assert [artifact.name for artifact in document.artifacts[1:]] == [
        "script 1.js",
        "script 2.vbs",
        "event handlers.js",
    ]


async def test_a_broken_section_hides_no_script(scan: Scan) -> None:
    document = await scan(
        "x.html", b"<html><body><![if x]><![CDcript]]><script>var a = 'harmless';</script></body></html>"
    )

    assert "script element" in origins(document)


async def test_scripts_of_a_picture_come_out(scan: Scan) -> None:
    picture = "<svg xmlns='http://www.w3.org/2000/svg'><script><![CDATA[alert('hello')]]></script></svg>"
    document = await scan("x.svg", picture.encode())

    assert "script element" in origins(document)


async def test_first_bytes_of_a_format_are_no_file(scan: Scan) -> None:
    header = r"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"
    script = f'HEADER = b"{header}"\n\n\ndef written(data):\n    return HEADER + data\n'
    document = await scan("x.py", script.encode() * 3)

    assert origins(document) == []
    assert document.verdict is Verdict.CLEAN


# As Microsoft's encoder writes it; many descriptions of the format have this example. It says hello.
ENCODED = b"#@~^DgAAAA==\\ko$K6,JC\x7fV^GJqAQAAA==^#~@"


def script_encoded(script: bytes) -> bytes:
    """Encode with the tables turned round; published decoders read what the real encoder wrote, as ENCODED shows."""
    body, turns = bytearray(), cycle(script_encoder._TURNS)
    for code in script:
        if code >= 0x80:
            body.append(code)
            continue
        turn = next(turns)
        escaped = next((escape for escape, plain in script_encoder._ESCAPES.items() if plain == bytes([code])), None)
        codes, plain = script_encoder._CODES, script_encoder._PLAIN[turn]
        body += escaped or (bytes([codes[plain.index(code)]]) if code in plain else bytes([code]))
    return b"#@~^AAAAAA==" + body + b"AAAAAA==^#~@"


def test_what_the_script_encoder_wrote_is_read() -> None:
    assert list(script_encoder.decoded_scripts(b"x" + ENCODED + b"y" + ENCODED)) == [b'MsgBox "Hello"'] * 2


@pytest.mark.parametrize("name", ["x.jse", "x.vbe", "x.html", "x.asp"])
async def test_scripts_by_the_script_encoder_come_out(scan: Scan, name: str) -> None:
    script = (
        "var greeting = 'Hello, <you> @ every place from A to \u00dc';\r\n\tWScript.Echo(greeting);\r\n".encode() * 9
    )
    wrapping = {"x.html": b"<html><script language='JScript.Encode'>%s</script></html>", "x.asp": b"<%%%s%%>"}
    document = await scan(name, wrapping.get(name, b"%s") % script_encoded(script))

    decoded = [artifact for artifact in document.artifacts if artifact.origin == "decoded from Script Encoder"]
    assert {artifact.sha256 for artifact in decoded} == {hashlib.sha256(script).hexdigest()}


async def test_what_the_script_encoder_hides_for_good_is_said(scan: Scan) -> None:
    document = await scan("x.jse", ENCODED[:-9] * 9)

    assert CoverageReason.UNSUPPORTED in {gap.reason for gap in document.coverage.gaps}
    assert document.verdict is not Verdict.CLEAN
