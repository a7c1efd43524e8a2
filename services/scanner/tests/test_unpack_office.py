"""Parts of Office documents: what only shows something is covered, everything else is told."""

from __future__ import annotations

import struct

import pytest

from scanner.testing import Archives, Scan
from shared.scan import CoverageLevel, CoverageReason, ScanDocument, Verdict

OOXML = "http://schemas.openxmlformats.org"
WORD = f"{OOXML}/wordprocessingml/2006/main"
SHEET = f"{OOXML}/spreadsheetml/2006/main"
RELATIONS = f"{OOXML}/package/2006/relationships"
KINDS = f"{OOXML}/officeDocument/2006/relationships"
ODF = "urn:oasis:names:tc:opendocument:xmlns"
DECLARATION = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'


def word(body: str) -> str:
    names = f'xmlns:w="{WORD}" xmlns:r="{KINDS}" xmlns:a="{OOXML}/drawingml/2006/main"'
    names += ' xmlns:o="urn:schemas-microsoft-com:office:office"'
    text = "<w:p><w:r><w:t>Hello, there.</w:t></w:r></w:p>"
    return f"{DECLARATION}<w:document {names}><w:body>{body}{text}</w:body></w:document>"


def field(*pieces: str) -> str:
    runs = "".join(f"<w:r><w:instrText>{piece}</w:instrText></w:r>" for piece in pieces)
    turn = '<w:r><w:fldChar w:fldCharType="{}"/></w:r>'
    return turn.format("begin") + runs + turn.format("separate") + "<w:r><w:t>1</w:t></w:r>" + turn.format("end")


def sheet(formula: str) -> str:
    cell = f'<c r="A1"><f>{formula}</f><v>1</v></c>'
    return f'{DECLARATION}<worksheet xmlns="{SHEET}"><sheetData><row>{cell}</row></sheetData></worksheet>'


def relation(kind: str, target: str, mode: str = "External") -> str:
    one = f'<Relationship Id="r1" Type="{KINDS}/{kind}" Target="{target}" TargetMode="{mode}"/>'
    return f'{DECLARATION}<Relationships xmlns="{RELATIONS}">{one}</Relationships>'


def opendocument(body: str) -> str:
    names = f'xmlns:office="{ODF}:office:1.0" xmlns:text="{ODF}:text:1.0" xmlns:draw="{ODF}:drawing:1.0"'
    names += f' xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:script="{ODF}:script:1.0"'
    names += f' xmlns:fo="http://www.w3.org/1999/XSL/Format" xmlns:table="{ODF}:table:1.0"'
    return f"{DECLARATION}<office:document-content {names}><office:body>{body}</office:body></office:document-content>"


PASSIVE = {
    "word/document.xml": word(
        field(" PAGE ") + field("HYPER", 'LINK "https://example.invalid/"') + field('TOC \\o "1-3"')
    ),
    "word/_rels/document.xml.rels": relation("hyperlink", "mailto:someone@example.invalid"),
    "word/_rels/settings.xml.rels": relation("image", "media/image1.png", "Internal"),
    "xl/worksheets/sheet1.xml": sheet('IF(A2="a|b!c",SUM(B1:B9),"CALL(me)")'),
    "content.xml": opendocument(
        '<text:p fo:color="#000000"><text:a xlink:href="https://example.invalid/">x</text:a></text:p>'
        '<draw:image xlink:href="Pictures/a.png"/>'
    ),
}
ACTS = {
    "object": word('<w:object><o:OLEObject r:id="r1"/></w:object>'),
    "another prefix": word('<x:control xmlns:x="urn:schemas-microsoft-com:office:office"/>'),
    "altChunk": word('<w:altChunk r:id="r1"/>'),
    "unknown vocabulary": word('<h:script xmlns:h="http://www.w3.org/1999/xhtml">alert(1)</h:script>'),
    "no vocabulary": word("<script>alert(1)</script>"),
    "field": word(field(" INCLUDETEXT ", '"https://example.invalid/x.txt"')),
    "field out of another": word(
        field('</w:instrText></w:r><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>QUOTE 68 68 69')
    ),
    "field to a share": word(field('HYPERLINK "\\\\example.invalid\\share"')),
    "simple field": word('<w:fldSimple w:instr="DATABASE"/>'),
    "link that starts": word('<a:hlinkClick action="ppaction://program"/>'),
    "instruction": word("<?php x ?>"),
    "document type": word("").replace("<w:document", "<!DOCTYPE d [<!ENTITY e 'x'>]><w:document"),
    "encoding": word("").replace("UTF-8", "UTF-7"),
    "web service": sheet('WEBSERVICE("https://example.invalid/")'),
    "exchange": sheet("notes|'x'!A1"),
    "template": relation("attachedTemplate", "notes.dotx"),
    "share": relation("hyperlink", "\\\\example.invalid\\share\\x"),
    "remote picture": relation("image", "https://example.invalid/a.png"),
    "page inside": relation("hyperlink", "https://example.invalid/", "Internal"),
    "picture of old drawings": word(
        '<v:imagedata xmlns:v="urn:schemas-microsoft-com:vml" src="\\\\example.invalid\\a"/>'
    ),
    "macro of OpenDocument": opendocument('<script:event-listener script:macro-name="x"/>'),
    "remote picture of OpenDocument": opendocument('<draw:image xlink:href="https://example.invalid/a.png"/>'),
    "neighbour of OpenDocument": opendocument('<draw:object xlink:href="../a.ods"/>'),
    "formula of OpenDocument": opendocument("<table:table-cell table:formula=\"of:=DDE('a';'b';'c')\"/>"),
}


def gaps(document: ScanDocument, name: str) -> list[str]:
    return [gap.detail for artifact in document.artifacts if artifact.name == name for gap in artifact.coverage.gaps]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
async def test_documents_that_only_show_are_clean(scan: Scan, archives: Archives, encoding: str) -> None:
    parts = {name: part.replace("UTF-8", encoding).encode(encoding) for name, part in PASSIVE.items()}
    document = await scan("x.docx", archives.zip(parts))

    assert {
        artifact.name: gaps(document, artifact.name) for artifact in document.artifacts if artifact.coverage.gaps
    } == {}
    assert (document.verdict, document.coverage.level) == (Verdict.CLEAN, CoverageLevel.COMPLETE)


@pytest.mark.parametrize("act", ACTS)
async def test_what_a_document_does_beside_is_said(scan: Scan, archives: Archives, act: str) -> None:
    document = await scan(
        "x.docx", archives.zip({**{n: p.encode() for n, p in PASSIVE.items()}, "part.xml": ACTS[act].encode()})
    )

    assert gaps(document, "part.xml")
    assert document.verdict is not Verdict.CLEAN


@pytest.mark.parametrize("name", ["part.hta", "part.html", "part.svg"])
async def test_a_part_that_is_run_by_its_name_is_not_covered(scan: Scan, name: str) -> None:
    document = await scan(name, PASSIVE["word/document.xml"].encode())

    assert document.verdict is Verdict.UNKNOWN


async def test_a_damaged_part_is_said(scan: Scan) -> None:
    document = await scan("part.xml", PASSIVE["word/document.xml"].encode()[:-20])

    assert CoverageReason.ERROR in {gap.reason for gap in document.coverage.gaps}


async def test_a_text_about_documents_stays_clean(scan: Scan) -> None:
    text = "How a document begins, and what stands in the element <document> of it, is said below. " * 20
    document = await scan("notes.txt", text.encode())

    assert document.verdict is Verdict.CLEAN


async def test_settings_of_printers_and_layouts_are_known(scan: Scan, archives: Archives) -> None:
    printer = "Printer".encode("utf-16-le").ljust(64, b"\0") + struct.pack("<4H", 0x401, 6, 220, 300)
    printer = printer.ljust(520, b"\xb7")
    layout = b"\1\0\1\0p\x0e\0\0" + bytes([0x50, 9, 0, 0, 4, 0xE6, 0, 0, 0, 0])
    parts = {"printerSettings1.bin": printer, "layout-cache": layout, "longer.bin": printer + bytes(9)}
    document = await scan("x.zip", archives.zip(parts))

    types = {artifact.name: artifact.content_type.label for artifact in document.artifacts}
    assert (types["printerSettings1.bin"], types["layout-cache"]) == ("devmode", "layout-cache")
    assert types["longer.bin"] != "devmode"
