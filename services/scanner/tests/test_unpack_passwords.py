"""Encrypted archives: opened with the passwords given and the usual ones, else told as encrypted."""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib
from functools import partial

import pytest
import pyzipper
from msoffcrypto.format.ooxml import OOXMLFile

from scanner.testing import Archives, Scan
from scanner.testing.rar import Rar, rar4, rar5
from shared.scan import CoverageLevel, CoverageReason, ScanDocument, Verdict

CONTENT_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
TEXT = b"The quick brown fox jumps over the lazy dog. " * 20


def aes_zip(members: dict[str, bytes], password: str) -> bytes:
    buffer = io.BytesIO()
    with pyzipper.AESZipFile(buffer, "w", compression=pyzipper.ZIP_DEFLATED, encryption=pyzipper.WZ_AES) as archive:
        archive.setpassword(password.encode())
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def zip_crypto(name: str, content: bytes, password: bytes) -> bytes:
    """One member under the old encryption (APPNOTE.TXT 6.1); no library writes it any more."""
    keys = [0x12345678, 0x23456789, 0x34567890]

    def turn(byte: int) -> None:
        keys[0] = zlib.crc32(bytes([byte]), keys[0] ^ 0xFFFFFFFF) ^ 0xFFFFFFFF
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = zlib.crc32(bytes([keys[1] >> 24]), keys[2] ^ 0xFFFFFFFF) ^ 0xFFFFFFFF

    def encrypt(data: bytes) -> bytes:
        out = bytearray()
        for byte in data:
            mask = (keys[2] | 2) & 0xFFFF
            out.append(byte ^ ((mask * (mask ^ 1)) >> 8 & 0xFF))
            turn(byte)
        return bytes(out)

    for byte in password:
        turn(byte)
    crc = zlib.crc32(content)
    data = encrypt(bytes(11) + bytes([crc >> 24]) + content)
    raw = name.encode()
    fields = struct.pack("<HHHHHLLLHH", 20, 1, 0, 0, 0, crc, len(data), len(content), len(raw), 0)
    local = b"PK\x03\x04" + fields + raw + data
    entry = b"PK\x01\x02" + struct.pack("<H", 20) + fields + struct.pack("<HHHLL", 0, 0, 0, 0, 0) + raw
    return local + entry + struct.pack("<4sHHHHLLH", b"PK\x05\x06", 0, 0, 1, 1, len(entry), len(local), 0)


def reasons(document: ScanDocument) -> set[CoverageReason]:
    return {gap.reason for gap in document.coverage.gaps}


async def test_a_zip_with_a_usual_password_is_opened(scan: Scan, eicar: bytes) -> None:
    document = await scan("sample.zip", aes_zip({"a.txt": TEXT, "eicar.com": eicar}, "infected"))

    assert [artifact.origin for artifact in document.artifacts[1:]] == ["encrypted zip member"] * 2
    assert document.verdict is Verdict.MALICIOUS


async def test_a_zip_with_a_given_password_is_opened(scan: Scan) -> None:
    document = await scan("sample.zip", aes_zip({"a.txt": TEXT}, "s3crét"), passwords=("wrong", "s3crét"))

    assert document.artifacts[1].size_bytes == len(TEXT)
    assert document.verdict is Verdict.CLEAN


async def test_the_old_encryption_is_opened(scan: Scan, eicar: bytes) -> None:
    document = await scan("sample.zip", zip_crypto("eicar.com", eicar, b"virus"))

    assert document.artifacts[1].origin == "encrypted zip member"
    assert document.verdict is Verdict.MALICIOUS


async def test_a_zip_that_no_password_opens_is_said(scan: Scan) -> None:
    for content in (aes_zip({"a.txt": TEXT}, "nobody knows"), zip_crypto("a.txt", TEXT, b"nobody knows")):
        document = await scan("secret.zip", content, passwords=("wrong",))

        assert len(document.artifacts) == 1
        assert reasons(document) == {CoverageReason.ENCRYPTED}
        assert document.coverage.level is CoverageLevel.NONE


async def test_a_locked_archive_beside_open_files_leaves_a_gap(scan: Scan, archives: Archives) -> None:
    locked = aes_zip({"a.txt": TEXT}, "nobody knows")
    document = await scan("mixed.zip", archives.zip({"open.txt": TEXT, "locked.zip": locked}))

    assert document.artifacts[1].verdict is Verdict.CLEAN
    assert document.coverage.level is CoverageLevel.PARTIAL
    assert document.verdict is Verdict.UNKNOWN


async def test_many_locked_members_take_bounded_time(scan: Scan) -> None:
    document = await scan("x.zip", aes_zip({f"{number}.txt": b"x" for number in range(1000)}, "nobody knows"))

    assert reasons(document) == {CoverageReason.ENCRYPTED}


def locked_document(content: bytes, password: str) -> bytes:
    """A Word document under the agile encryption of ECMA-376 that holds one file."""
    plain = io.BytesIO()
    with zipfile.ZipFile(plain, "w") as archive:
        archive.writestr("[Content_Types].xml", f'<?xml version="1.0"?><Types xmlns="{CONTENT_TYPES}"></Types>')
        archive.writestr("word/document.xml", '<?xml version="1.0"?><w:document></w:document>')
        archive.writestr("word/embeddings/object.bin", content)
        archive.writestr("word/media/noise.bin", random.Random(3).randbytes(9000))  # a small one is written wrongly
    locked = io.BytesIO()
    OOXMLFile(plain).encrypt(password, locked)
    return locked.getvalue()


@pytest.mark.parametrize("password", ["infected", "VelvetSweatshop", "s3crét"])
async def test_an_encrypted_document_is_opened(scan: Scan, eicar: bytes, password: str) -> None:
    document = await scan("offer.docx", locked_document(eicar, password), passwords=("wrong", "s3crét"))

    assert "decrypted Office document" in {artifact.origin for artifact in document.artifacts}
    assert document.verdict is Verdict.MALICIOUS
    assert CoverageReason.ENCRYPTED not in reasons(document)


async def test_an_encrypted_document_that_no_password_opens_is_said(scan: Scan, eicar: bytes) -> None:
    document = await scan("offer.docx", locked_document(eicar, "nobody knows"), passwords=("wrong",))

    assert CoverageReason.ENCRYPTED in reasons(document)
    assert document.verdict is Verdict.UNKNOWN


RARS = {"5": rar5, "4": rar4, "4 packed": partial(rar4, packed=True)}


@pytest.mark.parametrize("make", RARS.values(), ids=RARS)
@pytest.mark.parametrize("hide_names", [False, True])
@pytest.mark.parametrize("password", ["infected", "s3crét"])
async def test_an_encrypted_rar_is_opened(
    scan: Scan, eicar: bytes, make: Rar, password: str, *, hide_names: bool
) -> None:
    content = make([("a.txt", TEXT), ("empty.txt", b""), ("eicar.com", eicar)], password, hide_names=hide_names)
    document = await scan("sample.rar", content, passwords=("wrong", "s3crét"))

    assert [artifact.origin for artifact in document.artifacts[1:]] == ["encrypted rar member"] * 3
    assert [artifact.size_bytes for artifact in document.artifacts[1:]] == [len(TEXT), 0, len(eicar)]
    assert document.artifacts[1].verdict is Verdict.CLEAN
    assert document.verdict is Verdict.MALICIOUS
    assert not reasons(document)


@pytest.mark.parametrize("make", RARS.values(), ids=RARS)
@pytest.mark.parametrize("hide_names", [False, True])
async def test_an_encrypted_rar_that_no_password_opens_is_said(scan: Scan, make: Rar, *, hide_names: bool) -> None:
    document = await scan("secret.rar", make([("a.txt", TEXT)], "nobody knows", hide_names=hide_names))

    assert len(document.artifacts) == 1
    assert CoverageReason.ENCRYPTED in reasons(document)
    assert document.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(("make", "main_header_end", "end_marker"), [(rar5, 16, 8), (rar4, 20, 7)])
async def test_a_locked_rar_member_beside_an_open_one_leaves_a_gap(
    scan: Scan, make: Rar, main_header_end: int, end_marker: int
) -> None:
    opened, locked = make([("a.txt", TEXT)]), make([("b.txt", TEXT)], "nobody knows")
    document = await scan("mixed.rar", opened[:-end_marker] + locked[main_header_end:])

    assert [artifact.name for artifact in document.artifacts[1:]] == ["a.txt"]
    assert reasons(document) == {CoverageReason.ENCRYPTED}
    assert document.coverage.level is CoverageLevel.PARTIAL


async def test_a_damaged_member_of_an_encrypted_rar_is_said(scan: Scan) -> None:
    content = bytearray(rar5([("a.txt", TEXT)], "infected"))
    content[-100] ^= 0xFF
    document = await scan("sample.rar", bytes(content))

    assert CoverageReason.ERROR in reasons(document)


@pytest.mark.parametrize("make", [rar4, partial(rar4, packed=True)])
async def test_a_damaged_member_of_an_encrypted_old_rar_is_as_good_as_locked(scan: Scan, make: Rar) -> None:
    content = bytearray(make([("a.txt", TEXT)], "infected"))
    content[-100] ^= 0xFF
    document = await scan("sample.rar", bytes(content))

    assert len(document.artifacts) == 1
    assert reasons(document) == {CoverageReason.ENCRYPTED}


@pytest.mark.parametrize("make", RARS.values(), ids=RARS)
@pytest.mark.parametrize("hide_names", [False, True])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
async def test_a_cut_encrypted_rar_is_never_clean(scan: Scan, make: Rar, share: float, *, hide_names: bool) -> None:
    whole = make([("a.txt", TEXT), ("b.txt", TEXT)], "infected", hide_names=hide_names)
    document = await scan("sample.rar", whole[: int(len(whole) * share)])

    assert document.verdict is Verdict.UNKNOWN
    assert reasons(document)


@pytest.mark.parametrize("make", RARS.values(), ids=RARS)
async def test_what_follows_an_encrypted_rar_is_looked_at(scan: Scan, eicar: bytes, make: Rar) -> None:
    document = await scan("sample.rar", make([("a.txt", TEXT)], "infected", hide_names=True) + bytes(100) + eicar)

    assert "after rar archive" in {artifact.origin for artifact in document.artifacts}
    assert document.verdict is not Verdict.CLEAN


def changed_member(content: bytes, offset: int, byte: int) -> bytes:
    """An archive of RAR 4 with another byte in the header of its first member."""
    start, size = 20, struct.unpack_from("<H", content, 25)[0]
    header = bytearray(content[start : start + size])
    header[offset] = byte
    header[:2] = struct.pack("<H", zlib.crc32(header[2:]) & 0xFFFF)
    return content[:start] + bytes(header) + content[start + size :]


async def test_still_older_encryption_and_parts_of_members_are_said(scan: Scan) -> None:
    content = rar4([("a.txt", TEXT)], "infected")
    older = await scan("older.rar", changed_member(content, 24, 20))
    part = await scan("part.rar", changed_member(content, 3, 0x04 | 0x02))

    assert reasons(older) == {CoverageReason.ENCRYPTED}
    assert CoverageReason.ERROR in reasons(part)
    assert {older.verdict, part.verdict} == {Verdict.UNKNOWN}
