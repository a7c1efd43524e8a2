"""Disc images whose trees of files are not the same: none of them hides a file."""

from __future__ import annotations

import io
from typing import Any

import pycdlib
import pytest

from scanner.testing import Scan
from shared.scan import CoverageReason, ScanDocument, Verdict

NOTE = b"just a note, nothing else in here\n" * 10
OTHER = b"another note, which only one of the trees shows\n" * 10
SECTOR = 2048


def disc(**kinds: Any) -> Any:
    image = pycdlib.PyCdlib()
    image.new(**kinds)
    return image


def add(image: Any, content: bytes, **paths: str) -> None:
    image.add_fp(io.BytesIO(content), len(content), **paths)


def written(image: Any) -> bytes:
    out = io.BytesIO()
    image.write_fp(out)
    image.close()
    return out.getvalue()


def all_kinds() -> Any:
    image = disc(joliet=3, udf="2.60", rock_ridge="1.09")
    add(image, NOTE, iso_path="/A.TXT;1", rr_name="a.txt", joliet_path="/a.txt", udf_path="/a.txt")
    add(image, OTHER, iso_path="/B.TXT;1", rr_name="b.txt", joliet_path="/b.txt", udf_path="/b.txt")
    return image


def names(document: ScanDocument) -> list[str]:
    return [artifact.name for artifact in document.artifacts[1:]]


def reasons(document: ScanDocument) -> set[CoverageReason]:
    return {gap.reason for gap in document.coverage.gaps}


async def test_a_file_of_all_trees_comes_out_once(scan: Scan) -> None:
    document = await scan("x.iso", written(all_kinds()))

    assert names(document) == ["a.txt", "b.txt"]
    assert document.verdict is Verdict.CLEAN


@pytest.mark.parametrize("tree", ["iso_path", "joliet_path", "udf_path"])
async def test_a_file_of_one_tree_alone_comes_out(scan: Scan, tree: str) -> None:
    image = all_kinds()
    for other, path in (("iso_path", "/B.TXT;1"), ("joliet_path", "/b.txt"), ("udf_path", "/b.txt")):
        if other != tree:
            image.rm_hard_link(**{other: path})
    document = await scan("x.iso", written(image))

    assert names(document) == ["a.txt", "b.txt"]
    assert document.artifacts[2].size_bytes == len(OTHER)
    assert document.verdict is Verdict.CLEAN


async def test_what_two_trees_name_differently_is_looked_at_as_both(scan: Scan) -> None:
    image = disc(joliet=3, udf="2.60")
    add(image, NOTE, iso_path="/A.TXT;1", joliet_path="/a.txt", udf_path="/a.js")
    document = await scan("x.iso", written(image))

    assert sorted(names(document)) == ["a.js", "a.txt"]


async def test_only_a_version_is_no_part_of_a_name(scan: Scan) -> None:
    image = disc(rock_ridge="1.09")
    add(image, NOTE, iso_path="/A.TXT;1", rr_name="a;1.js")
    add(image, OTHER, iso_path="/B.TXT;1", rr_name="b.txt;2")
    document = await scan("x.iso", written(image))

    assert names(document) == ["a;1.js", "b.txt"]


async def test_boot_images_come_out(scan: Scan) -> None:
    image = disc()
    add(image, NOTE, iso_path="/A.TXT;1")
    add(image, OTHER, iso_path="/BOOT.IMG;1")
    image.add_eltorito("/BOOT.IMG;1", bootcatfile="/BOOT.CAT;1")
    image.rm_hard_link(iso_path="/BOOT.IMG;1")
    document = await scan("x.iso", written(image))

    assert "boot image 1" in names(document)


async def test_of_a_damaged_image_one_tree_is_read_and_that_is_said(scan: Scan) -> None:
    content = bytearray(written(all_kinds()))
    root = 16 * SECTOR + 156
    content[17 * SECTOR + 1 : 17 * SECTOR + 6] = b"XXXXX"  # no descriptor that is known
    assert content[root] == 34
    document = await scan("x.iso", bytes(content))

    assert CoverageReason.ERROR in reasons(document)
    assert document.verdict is Verdict.UNKNOWN


async def test_a_member_that_ends_behind_the_image_is_said(scan: Scan) -> None:
    image = disc()
    add(image, NOTE, iso_path="/A.TXT;1")
    content = written(image)
    document = await scan("x.iso", content[: content.index(NOTE) + 100])

    assert CoverageReason.ERROR in reasons(document)
    assert document.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("change", ["UDF alone", "files of a Macintosh"])
async def test_trees_that_are_not_read_are_said(scan: Scan, change: str) -> None:
    content = bytearray(written(all_kinds()))
    if change == "UDF alone":
        content[16 * SECTOR + 1 : 16 * SECTOR + 6] = b"BEA01"
    else:
        content[512:514] = b"PM"
    document = await scan("x.iso", bytes(content))

    assert CoverageReason.UNSUPPORTED in reasons(document)
    assert document.verdict is Verdict.UNKNOWN


async def test_a_folder_that_holds_itself_ends(scan: Scan) -> None:
    image = disc()
    image.add_directory("/DIR")
    add(image, NOTE, iso_path="/DIR/A.TXT;1")
    content = bytearray(written(image))
    root = int.from_bytes(content[16 * SECTOR + 158 : 16 * SECTOR + 162], "little")
    folder = content.index(b"\x03DIR", root * SECTOR) - 32
    content[folder + 2 : folder + 10] = content[16 * SECTOR + 158 : 16 * SECTOR + 166]
    document = await scan("x.iso", bytes(content))

    assert document.verdict is Verdict.UNKNOWN
