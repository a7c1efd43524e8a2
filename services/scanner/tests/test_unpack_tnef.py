"""winmail.dat: attachments and bodies come out; nothing here does harm."""

from __future__ import annotations

import struct
from email.message import EmailMessage

import pytest

from scanner.testing import Archives, Scan
from scanner.testing.compound_file import compound_file
from scanner.unpackers.compressed_rtf import MAX_BODY_BYTES
from shared.scan import CoverageReason, ScanDocument, Verdict

TEXT = b"The quick brown fox jumps over the lazy dog. " * 20
# The example of [MS-OXRTFCP] 3.1.1.
COMPRESSED = bytes.fromhex(
    "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
)
PLAIN = b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"


def reasons(document: ScanDocument) -> set[CoverageReason]:
    return {gap.reason for gap in document.coverage.gaps}


def children(document: ScanDocument) -> list[tuple[str, str, int]]:
    return [(one.origin, one.name, one.size_bytes) for one in document.artifacts if one.depth == 1]


def attribute(level: int, tag: int, data: bytes) -> bytes:
    return struct.pack("<BLL", level, tag, len(data)) + data + struct.pack("<H", sum(data) & 0xFFFF)


def several(number: int, kind: int, *values: bytes) -> bytes:
    padded = (struct.pack("<L", len(value)) + value + bytes(-len(value) % 4) for value in values)
    return struct.pack("<HHL", kind, number, len(values)) + b"".join(padded)


def property_list(*properties: bytes) -> bytes:
    return struct.pack("<L", len(properties)) + b"".join(properties)


# A number, a flag, a time, named properties and lists of values: what stands before the ones that matter.
OTHERS = (
    struct.pack("<HHL", 0x03, 0x0E07, 1),
    struct.pack("<HHL", 0x0B, 0x0E1B, 1),
    struct.pack("<HHQ", 0x40, 0x3007, 1 << 40),
    struct.pack("<HH16sLLL", 0x03, 0x8001, bytes(16), 0, 0x8503, 7),
    struct.pack("<HH16sLL", 0x1F, 0x8002, bytes(16), 1, 6) + b"a\0b\0\0\0\0\0" + struct.pack("<LL", 1, 2) + bytes(4),
    struct.pack("<HHLLL", 0x1003, 0x0FFF, 2, 1, 2),
    several(0x0FFE, 0x101E, b"one\0", b"three\0"),
)


def attachment(title: bytes, content: bytes, *properties: bytes) -> bytes:
    parts = attribute(2, 0x00069002, bytes(14))
    if content:
        parts += attribute(2, 0x0006800F, content)
    parts += attribute(2, 0x00018010, title + b"\0")
    return parts + (attribute(2, 0x00069005, property_list(*OTHERS, *properties)) if properties else b"")


def tnef(*parts: bytes) -> bytes:
    version = attribute(1, 0x00089006, struct.pack("<L", 0x10000))
    return b"\x78\x9f\x3e\x22\x01\0" + version + b"".join(parts)


async def test_attachments_come_out_under_their_names(scan: Scan, eicar: bytes) -> None:
    long_name = several(0x3707, 0x1F, "rechnung märz.com\0".encode("utf-16-le"))
    document = await scan(
        "winmail.dat", tnef(attachment(b"a.txt", TEXT), attachment(b"RECHNU~1.COM", eicar, long_name))
    )

    assert children(document) == [
        ("mail attachment", "a.txt", len(TEXT)),
        ("mail attachment", "rechnung märz.com", len(eicar)),
    ]
    assert document.verdict is Verdict.MALICIOUS


async def test_attachments_in_properties_come_out(scan: Scan, eicar: bytes) -> None:
    inner = tnef(attachment(b"inner.com", eicar))
    message = attachment(b"message", b"", several(0x3701, 0x0D, bytes(16) + inner))
    plain = attachment(b"", b"", several(0x3704, 0x1E, b"plain.txt\0"), several(0x3701, 0x102, TEXT))
    compound = attachment(b"sheet", b"", several(0x3701, 0x0D, bytes(16) + compound_file({"Workbook": bytes(40)})))
    document = await scan("winmail.dat", tnef(message, plain, compound))

    assert ("mail attachment", "plain.txt", len(TEXT)) in children(document)
    assert {"inner.com", "Workbook"} <= {artifact.name for artifact in document.artifacts if artifact.depth == 2}
    assert document.verdict is Verdict.MALICIOUS


async def test_an_attachment_without_its_beginning_comes_out(scan: Scan) -> None:
    listed = attribute(2, 0x00069005, property_list(several(0x3701, 0x102, TEXT)))
    document = await scan("winmail.dat", tnef(listed))

    assert children(document) == [("mail attachment", "attachment", len(TEXT))]


async def test_all_bodies_of_a_message_come_out(scan: Scan) -> None:
    bodies = [
        several(0x1000, 0x1F, "Hello there\0".encode("utf-16-le")),
        several(0x1013, 0x102, b"<p>Hello there"),
        several(0x1009, 0x102, COMPRESSED),
    ]
    document = await scan(
        "winmail.dat",
        tnef(attribute(1, 0x0002800C, b"Hello you"), attribute(1, 0x00069003, property_list(*OTHERS, *bodies))),
    )

    assert children(document) == [
        ("mail body", "body.txt", 9),
        ("mail body", "body.txt", 11),
        ("mail body", "body.html", 14),
        ("mail body", "body.rtf", len(PLAIN)),
    ]
    assert document.verdict is Verdict.UNKNOWN


async def test_bodies_that_outlook_compressed_are_opened(scan: Scan, eicar: bytes) -> None:
    package = b"\x02\0a.exe\0a.exe\0\0\0\x03\0" + struct.pack("<L", 1) + b"\0" + struct.pack("<L", len(eicar)) + eicar
    ole = struct.pack("<LLL8sLLL", 0x501, 2, 8, b"Package\0", 0, 0, len(package)) + package
    body = b"{\\rtf1{\\object{\\*\\objdata " + ole.hex().encode() + b"}}}"
    stored = struct.pack("<LL4sL", len(body) + 12, len(body), b"MELA", 0) + body
    by_tnef = await scan("winmail.dat", tnef(attribute(1, 0x00069003, property_list(several(0x1009, 0x102, stored)))))
    by_message = await scan("x.msg", compound_file({"__substg1.0_10090102": stored}))

    assert {by_tnef.verdict, by_message.verdict} == {Verdict.MALICIOUS}


async def test_a_repetition_runs_on_behind_what_is_written(scan: Scan) -> None:
    data = b"\x02x" + struct.pack(">H", 207 << 4 | 0xF) + b"y" * 6 + b"\x01" + struct.pack(">H", (207 + 24) << 4)
    stored = struct.pack("<LL4sL", len(data) + 12, 24, b"LZFu", 0) + data
    document = await scan("x.msg", compound_file({"__substg1.0_10090102": stored}))

    assert ("mail body", "body.rtf", 24) in children(document)


async def test_a_body_without_its_end_is_kept(scan: Scan) -> None:
    stored = struct.pack("<LL4sL", 20, 8, b"LZFu", 0) + b"\0Hello yo"
    document = await scan("x.msg", compound_file({"__substg1.0_10090102": stored}))

    assert ("mail body", "body.rtf", 8) in children(document)
    assert CoverageReason.ERROR in reasons(document)


async def test_a_body_over_the_limit_is_said(scan: Scan) -> None:
    groups = (MAX_BODY_BYTES >> 7) + 1  # of eight repetitions of 16 bytes
    data = (b"\xff" + b"\0\x0e" * 8) * groups + b"\x01" + struct.pack(">H", (207 + groups * 128) % 4096 << 4)
    stored = struct.pack("<LL4sL", len(data) + 12, groups * 128, b"LZFu", 0) + data
    document = await scan("winmail.dat", tnef(attribute(1, 0x00069003, property_list(several(0x1009, 0x102, stored)))))

    assert len(document.artifacts) == 2
    assert abs(document.artifacts[1].size_bytes - MAX_BODY_BYTES) < 500
    assert CoverageReason.ERROR in reasons(document)


async def test_the_winmail_of_a_mail_is_opened(scan: Scan, archives: Archives, eicar: bytes) -> None:
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "a@example.invalid", "offer"
    mail.set_content("see attachment")
    packed = tnef(attachment(b"a.zip", archives.zip({"x.com": eicar})))
    mail.add_attachment(packed, maintype="application", subtype="ms-tnef", filename="winmail.dat")
    document = await scan("x.eml", mail.as_bytes())

    assert document.verdict is Verdict.MALICIOUS


async def test_what_follows_the_attributes_is_looked_at(scan: Scan, eicar: bytes) -> None:
    document = await scan("winmail.dat", tnef(attachment(b"a.txt", TEXT)) + bytes(100) + eicar)

    assert ("after TNEF", "trailing data", 100 + len(eicar)) in children(document)
    assert CoverageReason.ERROR in reasons(document)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
async def test_a_cut_file_keeps_what_there_is_and_is_never_clean(scan: Scan, share: float) -> None:
    whole = tnef(attachment(b"a.txt", TEXT))
    document = await scan("winmail.dat", whole[: int(len(whole) * share)])

    assert CoverageReason.ERROR in reasons(document)
    assert document.verdict is Verdict.UNKNOWN


LYING = {
    "size": tnef(struct.pack("<BLL", 2, 0x0006800F, 0xFFFFFFFF) + TEXT),
    "number of properties": tnef(attribute(1, 0x00069003, struct.pack("<L", 0xFFFFFFFF) + OTHERS[0])),
    "endless properties": tnef(attribute(1, 0x00069003, struct.pack("<L", 0xFFFFFFFF) + bytes(4_000_000))),
    "number of values": tnef(attribute(1, 0x00069003, property_list(struct.pack("<HHL", 0x1003, 1, 0xFFFFFFFF)))),
    "size of a value": tnef(attribute(1, 0x00069003, property_list(struct.pack("<HHLL", 0x1E, 1, 1, 0xFFFFFFFF)))),
    "many attributes": tnef(attribute(1, 0x00089006, b"") * 100_000),
    "body without end": tnef(
        attribute(
            1, 0x00069003, property_list(several(0x1009, 0x102, struct.pack("<LL4sL", 9, 9, b"LZFu", 0) + b"\0abc"))
        )
    ),
}


@pytest.mark.parametrize("content", LYING.values(), ids=LYING)
async def test_lies_are_bounded_and_told(scan: Scan, content: bytes) -> None:
    document = await scan("winmail.dat", content)

    assert reasons(document) & {CoverageReason.ERROR, CoverageReason.LIMIT_REACHED}
    assert document.verdict is Verdict.UNKNOWN


async def test_thousands_of_attachments_are_stopped_at_the_limit(scan: Scan) -> None:
    document = await scan("winmail.dat", tnef(attachment(b"a.txt", b"x") * 1000))

    assert len(document.artifacts) <= 201
    assert CoverageReason.LIMIT_REACHED in reasons(document)
