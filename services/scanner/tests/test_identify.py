"""Our session must answer what the magika package's own client answers."""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from pathlib import Path

import magika
import onnxruntime
import pytest

from scanner.content import ByteRange
from scanner.engine import EngineSettings
from scanner.identify import TypeIdentifier, load_content_types, magika_folder
from scanner.threads import Threads


@pytest.fixture(scope="module")
def reference() -> magika.Magika:
    return magika.Magika()


@pytest.fixture
async def identifier(settings: EngineSettings) -> AsyncIterator[TypeIdentifier]:
    threads = Threads.start(settings)
    loaded = TypeIdentifier.load(settings, threads)
    yield loaded
    await loaded.close()
    threads.close()


def real_files() -> Iterator[Path]:
    folders = ("/usr/share/doc", "/usr/lib/python3", "/usr/share/perl", "/usr/bin", "/usr/share/icons", "/usr/include")
    for folder in folders:
        found = (
            Path(parent) / name
            for parent, _, names in os.walk(folder)
            for name in sorted(names)
            if (Path(parent) / name).is_file()
        )
        yield from islice(found, 0, 200, 8)


async def test_real_files_are_identified_as_by_magika(identifier: TypeIdentifier, reference: magika.Magika) -> None:
    paths = list(real_files())
    assert len(paths) > 50

    ours = await asyncio.gather(*(identifier.identify(ByteRange.whole(path)) for path in paths))

    for path, answer in zip(paths, ours, strict=True):
        expected = reference.identify_path(path)
        assert (answer.label, answer.mime_type, answer.group, answer.description, answer.is_text) == (
            expected.output.label,
            expected.output.mime_type,
            expected.output.group,
            expected.output.description,
            expected.output.is_text,
        ), path
        assert answer.score == pytest.approx(expected.score, abs=5e-3)  # batches of several round differently


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a",
        b"1234567",
        b"\xff\xfe\x00",
        b"12345678",
        b" " * 5000,
        b" " * 5000 + b"x",
        b"\n\n\n abc \n\n\n",
        b"\n" * 4090 + b"import os\n" * 3,
        b"import os\n" + b" " * 9000,
        b"\x00" * 3000,
        b"import os\nprint(os.environ)\n" * 100,
        bytes(range(256)) * 20,
        "Grüße aus der Küche".encode("utf-16"),
        b"x" * 1024,
        b"y" * 4095,
        b"z" * 4096,
        b"z" * 4097,
    ],
)
async def test_corner_cases_are_identified_as_by_magika(
    identifier: TypeIdentifier, reference: magika.Magika, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "content"
    path.write_bytes(content)

    answer = await identifier.identify(ByteRange.whole(path))

    assert answer.label == reference.identify_bytes(content).output.label


@pytest.mark.parametrize(
    ("head", "label"),
    [
        (b"Return-Path: <a@example.org>\nSubject: x\n\nhello", "eml"),
        (b"\n From a@example.org Mon Jan  1 00:00:00 2024\n", "eml"),
        (b"fumehood (1.0-1) unstable; urgency=medium\n\n  * Initial release.\n", "txt"),
        (b"\xde\x12\x04\x95\0\0\0\0", "unknown"),
        (b"\xff\xfe\xfd", "unknown"),
    ],
)
def test_only_what_begins_with_a_header_is_a_mail(identifier: TypeIdentifier, head: bytes, label: str) -> None:
    guess = identifier.unknown.model_copy(update={"label": "eml", "score": 0.8})

    answer = identifier.corrected(guess, head, whole=True)

    assert (answer.label, answer.score) == (label, 0.8)


WHEEL = b"Wheel-Version: 1.0\nGenerator: demo 1.2\nRoot-Is-Purelib: true\nTag: py3-none-any\n\n"
METADATA = (
    b"Metadata-Version: 2.1\r\nName: demo\r\nDescription: first line\r\n        - second: line\r\n\r\nUNKNOWN\r\n"
)
FILE_LIST = (
    b"# what goes in\ninclude *.txt README.md\nrecursive-include docs *.py\n\nglobal-exclude *.py[cod]\nprune build"
)
MO = struct.pack("<LLLLLLL", 0x950412DE, 0, 2, 28, 44, 0, 60)
BEAM = b"FOR1\0\0\0\x14BEAMAtU8\0\0\0\0"
MANUAL = b'.\\" A page.\n.TH DEMO 1 "2024"\n.SH NAME\ndemo \\- does nothing\n'
MDOC = b"\n.Dd January 1, 2024\r\n.Dt DEMO 1\r\n.Sh NAME\r\n.Nm demo\r\n"
LINK = b'.\\" The same page.\n.so man1/demo.1\n'


@pytest.mark.parametrize(
    ("guess", "head", "label"),
    [
        ("yaml", WHEEL, "txt"),
        ("yaml", METADATA, "txt"),
        ("snap", WHEEL, "txt"),
        ("yaml", WHEEL + b"run: demo\n", "yaml"),
        ("yaml", WHEEL + b"---\n- hosts: demo\n", "yaml"),
        ("yaml", METADATA + b"run: demo\n", "yaml"),
        ("yaml", b"Name: demo\nWheel-Version: 1.0\n", "yaml"),
        ("shell", WHEEL, "shell"),
        ("makefile", FILE_LIST, "txt"),
        ("batch", FILE_LIST.replace(b"\n", b"\r\n"), "txt"),
        ("shell", FILE_LIST + b"\ndemo\n", "shell"),
        ("batch", FILE_LIST + b"\n# & demo\n", "batch"),
        ("makefile", FILE_LIST + b"\ninclude $(shell demo)\n", "makefile"),
        ("elf", MO, "mo"),
        ("unknown", struct.pack(">LLLLLLL", 0x950412DE, 0, 2, 28, 44, 0, 60), "mo"),
        ("elf", MO[:16] + bytes(12), "elf"),
        ("elf", MO[:20], "elf"),
        ("icns", BEAM, "beam"),
        ("txt", BEAM, "beam"),
        ("icns", BEAM.replace(b"BEAM", b"AIFF"), "icns"),
        ("batch", MANUAL, "troff"),
        ("unknown", MDOC, "troff"),
        ("asm", b"'\\\" t\n" + MANUAL, "troff"),
        ("batch", LINK, "troff"),
        ("shell", MANUAL, "shell"),
        ("python", MANUAL, "python"),
        ("batch", b"demo\n" + MANUAL, "batch"),
        ("batch", MANUAL.replace(b".SH", b".XX"), "batch"),
        ("batch", LINK + b"demo\n", "batch"),
        ("batch", MANUAL + b".cc !\n!demo\n", "batch"),
        ("batch", MANUAL + b".ds x d\n.\\*xemo\n", "batch"),
        ("batch", MANUAL + b".if n \\{.d\\\nemo\\}\n", "batch"),
        ("batch", MANUAL + b".ds x .d\n.ds y emo\n\\*x\\*y\n", "batch"),
        ("txt", MANUAL + b"\0\1\2", "unknown"),
        ("txt", b"A text\0\1\2 that is none.", "unknown"),
        ("txt", "Ein Text".encode("utf-16-le"), "txt"),
    ],
)
def test_formats_are_known_by_their_form(identifier: TypeIdentifier, guess: str, head: bytes, label: str) -> None:
    answer = identifier.corrected(identifier.unknown.model_copy(update={"label": guess}), head, whole=True)

    assert answer.label == label


@pytest.mark.parametrize(
    ("guess", "head", "label"),
    [
        ("gzip", b"7z\xbc\xaf\x27\x1c\0\4", "sevenzip"),  # one in twelve of the small ones whose names are encrypted
        ("crt", b"7z\xbc\xaf\x27\x1c\0\4", "sevenzip"),
        ("unknown", b"Rar!\x1a\x07\x01\0", "rar"),
        ("ogg", b"MSCF\0\0\0\0", "cab"),
        ("woff2", b"\x1f\x8b\x08\0", "gzip"),
        ("gzip", b"\x1f\x8b\x08\0", "gzip"),
        ("php", b"7z\xbc\xaf\x27\x1c\0\4<?php", "php"),
        ("gzip", b"7z", "gzip"),
    ],
)
def test_first_bytes_tell_what_looks_like_noise(
    identifier: TypeIdentifier, guess: str, head: bytes, label: str
) -> None:
    guessed = load_content_types(magika_folder())[guess].model_copy(update={"score": 0.5})

    answer = identifier.corrected(guessed, head, whole=False)

    assert (answer.label, answer.score) == (label, 0.5)


@pytest.mark.parametrize(("guess", "head"), [("yaml", WHEEL), ("makefile", FILE_LIST), ("batch", MANUAL)])
def test_what_goes_on_may_be_something_else(identifier: TypeIdentifier, guess: str, head: bytes) -> None:
    answer = identifier.corrected(identifier.unknown.model_copy(update={"label": guess}), head, whole=False)

    assert answer.label == guess


def test_the_provider_told_is_the_one_in_use(identifier: TypeIdentifier) -> None:
    assert identifier.model.provider in onnxruntime.get_available_providers()
