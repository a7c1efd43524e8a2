"""Mails that say in odd ways what their parts are: decoded, or told."""

from __future__ import annotations

import base64
import random

import pytest

from scanner.testing import Scan
from shared.scan import CoverageLevel, CoverageReason, ScanDocument, Verdict

HEADERS = "From: a@example.org\nTo: b@example.org\nSubject: demo\nMIME-Version: 1.0\n"
HIDDEN = "<html><body>+ADw-script+AD4-alert(1)+ADw-/script+AD4-</body></html>"
TEXT = "Hello,\nall is well, see you on Monday.\n"
NOISE = base64.encodebytes(random.Random(5).randbytes(600)).decode()


def mail(headers: str, body: str) -> bytes:
    return f"{HEADERS}{headers}\n\n{body}".encode()


def reasons(document: ScanDocument) -> set[CoverageReason]:
    return {gap.reason for gap in document.coverage.gaps}


@pytest.mark.parametrize(
    "charset", ["utf-8", "us-ascii", "iso-8859-8-i", "windows-1252", "x-sjis", "gb2312", "koi8-r", "ISO-2022-JP"]
)
async def test_a_text_in_an_ordinary_encoding_is_clean(scan: Scan, charset: str) -> None:
    document = await scan("x.eml", mail(f"Content-Type: text/plain; charset={charset}", TEXT))

    assert (document.verdict, document.coverage.level) == (Verdict.CLEAN, CoverageLevel.COMPLETE)
    assert document.artifacts[1].size_bytes == len(TEXT)


async def test_a_page_in_utf_7_is_looked_at_decoded(scan: Scan) -> None:
    document = await scan("x.eml", mail("Content-Type: text/html; charset=unicode-1-1-utf-7", HIDDEN))

    assert "script element" in {artifact.origin for artifact in document.artifacts}


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ("Content-Type: text/plain; charset=demo-7", CoverageReason.UNSUPPORTED),
        ("Content-Type: text/plain\nContent-Transfer-Encoding: yenc", CoverageReason.UNSUPPORTED),
        ("Content-Type: message/partial; id=a; number=1; total=2", CoverageReason.UNSUPPORTED),
        ("Content-Type: message/external-body; access-type=URL; URL=x", CoverageReason.UNSUPPORTED),
        ("Content-Type: text/plain\nContent-Type: text/html", CoverageReason.ERROR),
        ("Content-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64", CoverageReason.ERROR),
    ],
)
async def test_what_cannot_be_told_for_sure_is_said(scan: Scan, headers: str, reason: CoverageReason) -> None:
    document = await scan("x.eml", mail(headers, TEXT))

    assert reason in reasons(document)
    assert document.verdict is Verdict.UNKNOWN


async def test_a_comment_behind_the_transfer_encoding_hides_nothing(scan: Scan, eicar: bytes) -> None:
    headers = "Content-Type: application/octet-stream; name=a.com\nContent-Transfer-Encoding: BASE64 (demo)"
    document = await scan("x.eml", mail(headers, base64.b64encode(eicar).decode()))

    assert document.artifacts[1].size_bytes == len(eicar)
    assert document.verdict is Verdict.MALICIOUS


@pytest.mark.parametrize(
    "message",
    [
        f"-----BEGIN PGP MESSAGE-----\nVersion: demo\n\n{NOISE}=abcd\n-----END PGP MESSAGE-----\n",
        f"-----BEGIN PKCS7-----\n{NOISE}-----END PKCS7-----\n",
        f"-----BEGIN AGE ENCRYPTED FILE-----\n{NOISE}-----END AGE ENCRYPTED FILE-----\n",
    ],
)
async def test_sealed_messages_in_a_text_are_said(scan: Scan, message: str) -> None:
    for content in (message, f"Please read:\n\n{message}\nThank you, and see you on Monday.\n"):
        document = await scan("x.txt", content.encode())

        assert CoverageReason.ENCRYPTED in reasons(document)
        assert document.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    "text",
    [
        f"{TEXT}-----BEGIN PGP SIGNATURE-----\n\n{NOISE}-----END PGP SIGNATURE-----\n",
        f"-----BEGIN CERTIFICATE-----\n{NOISE}-----END CERTIFICATE-----\n",
        f"A sealed message begins with the line\n-----BEGIN PGP MESSAGE-----\nand ends with another.\n{TEXT * 5}",
    ],
)
async def test_signatures_certificates_and_explanations_are_no_sealed_messages(scan: Scan, text: str) -> None:
    document = await scan("x.txt", text.encode())

    assert reasons(document) == set()


@pytest.mark.parametrize(
    "text",
    [
        "=ybegin line=128 size=3 name=demo.exe\nabc\n=yend size=3\n",
        "(This file must be converted with BinHex 4.0)\n:$f*TEQKPH#jbF:\n",
    ],
)
async def test_other_files_in_a_text_are_said(scan: Scan, text: str) -> None:
    document = await scan("x.txt", f"{TEXT}\n{text}".encode())

    assert CoverageReason.UNSUPPORTED in reasons(document)


async def test_a_text_that_is_only_called_a_mail_is_not_clean(scan: Scan) -> None:
    document = await scan("x.eml", TEXT.encode())

    assert reasons(document) == {CoverageReason.ERROR}
    assert len(document.artifacts) == 1
