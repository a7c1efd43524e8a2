"""RTF documents: objects come out however their digits are scattered; nothing here does harm."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from scanner.testing import Scan
from scanner.testing.compound_file import compound_file, vba_project
from shared.scan import CoverageReason, ScanDocument, Verdict

MACRO = 'Sub Greet()\r\n    MsgBox "Hello from a harmless macro"\r\nEnd Sub\r\n' * 3
NOTE = b"The quick brown fox jumps over the lazy dog. " * 4


def labels(document: ScanDocument) -> set[str]:
    return {finding.label for artifact in document.artifacts for finding in artifact.findings}


def origins(document: ScanDocument) -> dict[str, str]:
    return {artifact.origin: artifact.name for artifact in document.artifacts}


def reasons(document: ScanDocument) -> set[CoverageReason]:
    return {gap.reason for gap in document.coverage.gaps}


def header(kind: int, class_name: bytes, topic: bytes = b"") -> bytes:
    names = b"".join(struct.pack("<L", len(name)) + name for name in (class_name + b"\0", topic, b""))
    return struct.pack("<LL", 0x501, kind) + names


def embedded(class_name: bytes, content: bytes) -> bytes:
    return header(2, class_name) + struct.pack("<L", len(content)) + content


def package(name: bytes, content: bytes) -> bytes:
    head = b"\x02\0" + name + b"\0C:\\" + name + b"\0\0\0\x03\0" + struct.pack("<L", 4) + b"x.e\0"
    return embedded(b"Package", head + struct.pack("<L", len(content)) + content)


def rtf(digits: str, words: str = "") -> bytes:
    return rf"{{\rtf1\ansi Hello {{\object\objemb{words}{{\*\objdata {digits}}}}}}}".encode("latin-1")


def scattered(data: bytes) -> str:
    """The digits with everything between them that Office reads over."""
    between = [" ", "\r\n", r"\par ", r"\foo123 ", r"{\*\bar 4142}", r"{\info{\author abc}}", "{", "}", r"\-", "zz"]
    digits = list(data.hex())
    for number, place in enumerate(range(3, len(digits), 7)):
        digits[place] += between[number % len(between)]
    return "".join(digits)


@pytest.mark.parametrize("spread", [bytes.hex, lambda data: data.hex().upper(), scattered])
async def test_packaged_programs_are_suspicious_children(
    scan: Scan, eicar: bytes, spread: Callable[[bytes], str]
) -> None:
    document = await scan("x.rtf", rtf(spread(package(b"notes.exe", eicar))))

    assert origins(document)["packaged object"] == "notes.exe"
    assert "program-attached" in labels(document)
    assert document.verdict is Verdict.MALICIOUS


@pytest.mark.parametrize("start", [b"{\\rtf1", b"{\\rt", b"{\\rtxyz", b" \r\n{\\rtf1"])
async def test_a_document_inside_is_opened(scan: Scan, start: bytes) -> None:
    inside = compound_file({"WordDocument": bytes(2000), **vba_project({"Module1": MACRO})})
    document = await scan("offer.doc", start + rtf(embedded(b"Word.Document.8", inside).hex())[6:])

    assert origins(document)["object in RTF"] == "object 1"
    assert origins(document)["VBA macro"] == "Module1.vba"


async def test_raw_bytes_among_digits_belong_to_the_object(scan: Scan, eicar: bytes) -> None:
    whole = package(b"notes.exe", eicar)
    digits = (
        whole[:50].hex() + "5" + rf"\bin{len(whole[50:-20])} " + whole[50:-20].decode("latin-1") + whole[-20:].hex()
    )
    document = await scan("x.rtf", rtf(digits))

    assert document.verdict is Verdict.MALICIOUS


async def test_a_character_code_among_digits_drops_a_single_one(scan: Scan, eicar: bytes) -> None:
    digits = package(b"notes.exe", eicar).hex()
    document = await scan("x.rtf", rtf(digits[:100] + r"5\'41" + digits[100:]))

    assert document.verdict is Verdict.MALICIOUS


async def test_digits_in_groups_that_should_not_count_are_the_second_choice(scan: Scan, eicar: bytes) -> None:
    document = await scan("x.rtf", rtf(r"{\*\unknown " + package(b"notes.exe", eicar).hex() + "}"))

    assert document.verdict is Verdict.MALICIOUS


async def test_an_object_without_its_header_is_a_child(scan: Scan) -> None:
    inside = compound_file(vba_project({"Module1": MACRO}))
    document = await scan("x.rtf", rtf((b"\x01\x05\0\0\x07" + inside).hex()))

    assert "VBA macro" in origins(document)


async def test_objects_that_are_updated_or_belong_to_the_equation_editor_are_suspicious(scan: Scan) -> None:
    equation = compound_file({"Equation Native": bytes(40)})
    by_class = await scan("x.rtf", rtf(embedded(b"eQuation.3", equation).hex(), r"\objupdate{\*\objclass Equation.3}"))
    updated = await scan("y.rtf", rtf(embedded(b"Word.Document.8", NOTE).hex(), r"\objautlink"))

    assert labels(by_class) >= {"equation-object", "object-update"}
    assert labels(updated) == {"object-update"}
    assert updated.verdict is Verdict.SUSPICIOUS


async def test_the_equation_editor_is_known_by_its_number_alone(scan: Scan) -> None:
    number = bytes.fromhex("02ce020000000000c000000000000046")
    equation = compound_file({"Equation Native": bytes(40)}).replace(bytes(16), number, 1)

    assert "equation-object" in labels(await scan("x.rtf", rtf(embedded(b"Any", equation).hex())))


@pytest.mark.parametrize(
    "address",
    [
        "http://example.invalid/t.dotm",
        r"h\'74tp://example.invalid/t",
        r"\u104?\u-65420?\u-65420?p:{//example}.invalid/t",
        r"\\\\example.invalid\\t",
    ],
)
async def test_a_remote_template_is_suspicious(scan: Scan, address: str) -> None:
    document = await scan("x.rtf", rb"{\rtf1{\*\template " + address.encode() + b"}Hello}")

    assert labels(document) == {"remote-template"}
    assert document.verdict is Verdict.SUSPICIOUS


async def test_a_template_of_this_computer_is_nothing(scan: Scan) -> None:
    document = await scan("x.rtf", rb"{\rtf1{\*\template C:\\Templates\\Normal.dotm}Hello}")

    assert not labels(document)


async def test_objects_loaded_from_elsewhere_are_suspicious(scan: Scan) -> None:
    address = "http://example.invalid/a".encode("utf-16-le")
    moniker = bytes.fromhex("e0c9ea79f9bace118c8200aa004ba90b") + struct.pack("<L", len(address)) + address
    by_moniker = await scan("x.rtf", rtf(embedded(b"OLE2Link", compound_file({"\x01Ole": bytes(30) + moniker})).hex()))
    by_topic = await scan("y.rtf", rtf(header(1, b"htmlfile", b"http://example.invalid/a\0").hex()))

    assert labels(by_moniker) == {"remote-object"}
    assert labels(by_topic) == {"remote-object"}


async def test_a_dde_field_in_pieces_is_found(scan: Scan) -> None:
    document = await scan("x.rtf", rb"{\rtf1{\field{\*\fldinst {\b DDE}{\i AUTO c:\\harmless}}{\fldrslt x}}}")

    assert "dde-field" in labels(document)
    assert "DDE field" in origins(document)


async def test_what_follows_the_document_is_looked_at(scan: Scan, eicar: bytes) -> None:
    document = await scan("x.rtf", rtf("") + bytes(100) + eicar)

    assert "after RTF" in origins(document)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
async def test_a_cut_document_is_never_clean(scan: Scan, share: float) -> None:
    whole = rtf(package(b"notes.txt", NOTE).hex())
    document = await scan("x.rtf", whole[: int(len(whole) * share)])

    assert CoverageReason.ERROR in reasons(document)
    assert document.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    "content",
    [
        rtf(package(b"notes.txt", NOTE)[:-60].hex()),
        rtf(r"\bin2147483647 abc"),
        b"{\\rtf1" + b"{" * 3_000_000,
        b"{\\rtf1" + b"{\\objdata 01" * 300_000,
        b"{\\rtf1" + b"{\\*\\template http" * 300_000,
        b"{\\rtf1" + b"{}" * 6_000_000,
    ],
    ids=["size", "raw", "groups", "objects", "texts", "words"],
)
async def test_lies_and_endless_nesting_are_bounded_and_never_clean(scan: Scan, content: bytes) -> None:
    document = await scan("x.rtf", content)

    assert reasons(document) & {CoverageReason.ERROR, CoverageReason.LIMIT_REACHED}
    assert document.verdict is not Verdict.CLEAN


async def test_an_innocent_document_says_nothing(scan: Scan) -> None:
    document = await scan("x.rtf", rb"{\rtf1\ansi{\fonttbl{\f0 Arial;}}{\*\generator Own;}Hello {\b you}\par}")

    assert not labels(document)
    assert len(document.artifacts) == 1
