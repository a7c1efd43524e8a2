"""Documents: their scripts, attachments and links out come to light; nothing here does harm."""

from __future__ import annotations

import io
import struct
from email.message import EmailMessage

import pikepdf
import pytest

from scanner.testing import Archives, Scan
from scanner.testing.compound_file import compound_file, vba_project
from shared.scan import CoverageLevel, CoverageReason, ScanDocument, Verdict

TEXT = b"The quick brown fox jumps over the lazy dog. " * 20
MACRO = 'Sub Greet()\r\n    MsgBox "Hello from a harmless macro"\r\nEnd Sub\r\n' * 3


def labels(document: ScanDocument) -> set[str]:
    return {finding.label for artifact in document.artifacts for finding in artifact.findings}


def origins(document: ScanDocument) -> dict[str, str]:
    return {artifact.origin: artifact.name for artifact in document.artifacts}


def reasons(document: ScanDocument) -> set[CoverageReason]:
    return {gap.reason for gap in document.coverage.gaps}


def docx(parts: dict[str, bytes], archives: Archives) -> bytes:
    types = {"[Content_Types].xml": b'<?xml version="1.0"?><Types xmlns="x"></Types>'}
    return archives.zip({**types, "word/document.xml": b"<w:document></w:document>", **parts})


async def test_macros_of_an_old_document_come_out(scan: Scan) -> None:
    document = await scan("x.doc", compound_file({"WordDocument": bytes(2000), **vba_project({"Module1": MACRO})}))

    (macro,) = [artifact for artifact in document.artifacts if artifact.origin == "VBA macro"]
    assert macro.name == "Module1.vba"
    assert macro.size_bytes == len(MACRO)


async def test_macros_of_a_new_document_come_out(scan: Scan, archives: Archives) -> None:
    project = compound_file(vba_project({"Module1": MACRO, "Blatt Übersicht": MACRO}, "Root"))
    document = await scan("x.docm", docx({"word/vbaProject.bin": project}, archives))

    macros = [artifact for artifact in document.artifacts if artifact.origin == "VBA macro"]
    assert len(macros) == 2
    assert {macro.depth for macro in macros} == {2}


async def test_a_broken_macro_project_is_said(scan: Scan) -> None:
    streams = vba_project({"Module1": MACRO})
    streams["Macros/VBA/Module1"] = b"p-cod\x01\xff\xff" + bytes(100)
    document = await scan("x.doc", compound_file(streams))

    assert CoverageReason.ERROR in reasons(document)


async def test_packaged_programs_are_suspicious_children(scan: Scan, eicar: bytes) -> None:
    package = b"\x02\0notes.exe\0C:\\notes.exe\0\0\0\x03\0" + struct.pack("<L", 4) + b"x.e\0"
    package += struct.pack("<L", len(eicar)) + eicar
    document = await scan(
        "x.doc", compound_file({"ObjectPool/_1/\x01Ole10Native": struct.pack("<L", len(package)) + package})
    )

    assert origins(document)["packaged object"] == "notes.exe"
    assert "program-attached" in labels(document)
    assert document.verdict is Verdict.MALICIOUS


async def test_macro_sheets_and_encrypted_workbooks_are_said(scan: Scan) -> None:
    sheet = struct.pack("<HHLBBB", 0x85, 9, 0, 0, 1, 1) + b"\0a"
    encrypted = struct.pack("<HH", 0x2F, 4) + bytes(4)

    assert "xlm-macro" in labels(await scan("x.xls", compound_file({"Workbook": sheet})))
    assert CoverageReason.ENCRYPTED in reasons(await scan("y.xls", compound_file({"Workbook": encrypted})))
    assert CoverageReason.ENCRYPTED in reasons(await scan("z.docx", compound_file({"EncryptedPackage": bytes(99)})))


async def test_attachments_of_outlook_messages_come_out(scan: Scan, eicar: bytes) -> None:
    streams = {
        "__attach_version1.0_#00000000/__substg1.0_37010102": eicar,
        "__attach_version1.0_#00000000/__substg1.0_3707001F": "rechnung.com".encode("utf-16-le"),
        "__substg1.0_1000001F": "Hello there, see the attachment".encode("utf-16-le"),
    }
    document = await scan("x.msg", compound_file(streams))

    assert origins(document)["mail attachment"] == "rechnung.com"
    assert "mail body" in origins(document)
    assert document.verdict is Verdict.MALICIOUS


@pytest.mark.parametrize("cut", [100, 600, 1500])
async def test_a_cut_compound_file_is_never_clean(scan: Scan, cut: int) -> None:
    document = await scan("x.doc", compound_file(vba_project({"Module1": MACRO}))[:cut])

    assert document.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(("kind", "label"), [("attachedTemplate", "remote-template"), ("oleObject", "remote-object")])
async def test_what_a_document_loads_from_elsewhere_is_suspicious(
    scan: Scan, archives: Archives, kind: str, label: str
) -> None:
    relations = (
        '<?xml version="1.0"?><Relationships xmlns="x"><Relationship Id="r1" '
        f'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{kind}" '
        'Target="http&#58;//example.invalid/t.dotm" TargetMode="External"/></Relationships>'
    )
    document = await scan("x.docx", docx({"word/_rels/settings.xml.rels": relations.encode()}, archives))

    assert label in labels(document)
    assert document.verdict is Verdict.SUSPICIOUS


async def test_a_dde_field_in_pieces_is_found(scan: Scan, archives: Archives) -> None:
    runs = "".join(f"<w:r><w:instrText>{piece}</w:instrText></w:r>" for piece in ("DD", "EAUTO c:\\", "harmless"))
    part = f'<?xml version="1.0"?><w:document xmlns:w="x"><w:body>{runs}</w:body></w:document>'
    document = await scan("x.docx", docx({"word/document.xml": part.encode()}, archives))

    assert "dde-field" in labels(document)
    assert "DDE field" in origins(document)


async def test_macro_sheets_of_new_workbooks_are_found(scan: Scan, archives: Archives) -> None:
    sheet = b'<?xml version="1.0"?><xm:macrosheet xmlns:xm="x"><c><f>ALERT("hi")</f></c></xm:macrosheet>'
    document = await scan("x.xlsm", docx({"xl/macrosheets/sheet1.xml": sheet}, archives))

    assert "xlm-macro" in labels(document)
    assert "Excel 4.0 macro" in origins(document)


def pdf(**root: pikepdf.Object) -> bytes:
    document = pikepdf.new()
    document.add_blank_page()
    for name, value in root.items():
        document.Root[f"/{name}"] = document.make_indirect(value)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


async def test_what_acts_in_a_pdf_comes_out(scan: Scan) -> None:
    action = pikepdf.Dictionary(S=pikepdf.Name.JavaScript, JS="app.alert('hello from a harmless script');")
    action["/Next"] = pikepdf.Dictionary(S=pikepdf.Name.Launch, F="notes.txt")
    action["/Link"] = pikepdf.Dictionary(S=pikepdf.Name.URI, URI="https://example.invalid/")
    document = await scan("x.pdf", pdf(OpenAction=action))

    assert origins(document)["script in PDF"] == "script 1.js"
    assert "addresses in PDF" in origins(document)
    assert "pdf-launch-action" in labels(document)
    assert document.verdict is Verdict.SUSPICIOUS


def act(kind: str, **more: object) -> pikepdf.Dictionary:
    return pikepdf.Dictionary({"/S": pikepdf.Name(f"/{kind}"), **{f"/{name}": value for name, value in more.items()}})


async def test_a_pdf_that_does_nothing_is_clean(scan: Scan) -> None:
    page = act("URI", URI="https://example.invalid/")
    # Many lines of this kind look like a style sheet to the type model.
    page["/Next"] = [act("URI", URI=f"https://example.invalid/a{{margin:{number}px}}") for number in range(30)]
    neighbour = act("GoToR", F="chapters/two.pdf")
    document = await scan("x.pdf", pdf(OpenAction=act("GoTo", D="begin"), One=page, Two=neighbour))

    assert (document.verdict, document.coverage.level) == (Verdict.CLEAN, CoverageLevel.COMPLETE)
    assert document.artifacts[1].content_type.label == "txt"


@pytest.mark.parametrize(
    "thing",
    [
        act("GoToR", F="\\\\example.invalid\\share\\a.pdf"),
        act("GoToR", F=pikepdf.Dictionary(F="a.pdf", UF="https://example.invalid/a.pdf")),
        act("GoToR", F="notes.txt"),
        act("GoToE", T=pikepdf.Dictionary(R=pikepdf.Name.C)),
        act("SubmitForm", F="https://example.invalid/"),
        act("ImportData", F="data.fdf"),
        act("Rendition", OP=0),
        act("URI", URI="javascript:alert(1)"),
        act("URI", URI="file:///etc/hosts"),
        pikepdf.Dictionary(Type=pikepdf.Name.Annot, Subtype=pikepdf.Name.RichMedia),
        pikepdf.Dictionary(Inner=[pikepdf.Dictionary(Type=pikepdf.Name.Annot, Subtype=pikepdf.Name("/3D"))]),
    ],
)
async def test_what_a_pdf_does_beside_is_said(scan: Scan, thing: pikepdf.Dictionary) -> None:
    document = await scan("x.pdf", pdf(OpenAction=thing))

    assert document.verdict is Verdict.UNKNOWN
    assert reasons(document) == {CoverageReason.UNSUPPORTED}


@pytest.mark.parametrize("entries", [{"F": "elsewhere.bin"}, {"Filter": pikepdf.Name.OfTheirOwn}])
async def test_a_stream_of_a_pdf_that_cannot_be_looked_at_is_said(scan: Scan, entries: dict[str, object]) -> None:
    document = pikepdf.new()
    document.add_blank_page()
    document.Root["/Extra"] = pikepdf.Stream(document, b"some bytes", **entries)
    buffer = io.BytesIO()
    document.save(buffer)

    assert CoverageReason.UNSUPPORTED in reasons(await scan("x.pdf", buffer.getvalue()))


@pytest.mark.parametrize(("before", "after"), [(b"#!/bin/sh\n", b""), (b"", b"more than an end of line")])
async def test_what_stands_around_a_pdf_is_said(scan: Scan, before: bytes, after: bytes) -> None:
    document = await scan("x.pdf", before + pdf() + after)

    assert document.verdict is Verdict.UNKNOWN
    assert [artifact.origin for artifact in document.artifacts[1:]] == (["after PDF"] if after else [])


async def test_files_in_a_pdf_come_out(scan: Scan, eicar: bytes) -> None:
    document = pikepdf.new()
    document.add_blank_page()
    document.attachments["eicar.com"] = eicar
    buffer = io.BytesIO()
    document.save(buffer)
    result = await scan("x.pdf", buffer.getvalue())

    assert origins(result)["embedded file in PDF"] == "eicar.com"
    assert result.verdict is Verdict.MALICIOUS


@pytest.mark.parametrize(("password", "opened"), [("infected", True), ("nobody knows", False)])
async def test_encrypted_pdf_files(scan: Scan, password: str, *, opened: bool) -> None:
    document = pikepdf.open(io.BytesIO(pdf(OpenAction=pikepdf.Dictionary(S=pikepdf.Name.JavaScript, JS="alert(1)"))))
    buffer = io.BytesIO()
    document.save(buffer, encryption=pikepdf.Encryption(owner=password, user=password))
    result = await scan("x.pdf", buffer.getvalue())

    assert ("script in PDF" in origins(result)) is opened
    assert (CoverageReason.ENCRYPTED in reasons(result)) is not opened


@pytest.mark.parametrize("share", [0.3, 0.9])
async def test_a_cut_pdf_is_said(scan: Scan, share: float) -> None:
    whole = pdf()
    document = await scan("x.pdf", whole[: int(len(whole) * share)])

    assert CoverageReason.ERROR in reasons(document)
    assert document.verdict is Verdict.UNKNOWN


async def test_parts_and_attachments_of_a_mail_come_out(scan: Scan, archives: Archives, eicar: bytes) -> None:
    inner = EmailMessage()
    inner["Subject"] = "inner"
    inner.set_content("nothing to see")
    inner.add_attachment(archives.zip({"x.com": eicar}), maintype="application", subtype="zip", filename="päckchen.zip")
    outer = EmailMessage()
    outer["From"], outer["Subject"] = "a@example.invalid", "outer"
    outer.set_content("see the forwarded message")
    outer.add_attachment(inner)
    document = await scan("x.eml", outer.as_bytes())

    assert any(artifact.name == "päckchen.zip" for artifact in document.artifacts)
    assert document.verdict is Verdict.MALICIOUS


async def test_a_cut_mail_is_never_clean(scan: Scan) -> None:
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "a@example.invalid", "cut"
    mail.set_content("hello")
    mail.add_attachment(TEXT * 10, maintype="text", subtype="plain", filename="a.txt")
    document = await scan("x.eml", mail.as_bytes()[:700])

    assert document.verdict is not Verdict.CLEAN


def shortcut(path: str, arguments: str, behind: bytes = b"") -> bytes:
    class_id = bytes.fromhex("0114020000000000c000000000000046")
    header = (b"L\0\0\0" + class_id + struct.pack("<L", 0x8 | 0x20 | 0x80)).ljust(0x4C, b"\0")
    strings = b"".join(struct.pack("<H", len(text)) + text.encode("utf-16-le") for text in (path, arguments))
    return header + strings + bytes(4) + behind


async def test_the_command_of_a_shortcut_comes_out(scan: Scan, eicar: bytes) -> None:
    document = await scan("x.lnk", shortcut("..\\cmd.exe", "/c echo hello", b"x" * 20 + eicar))

    assert "shortcut-starts-interpreter" in labels(document)
    assert origins(document)["command line of shortcut"] == "command line.cmd"
    assert "after shortcut" in origins(document)


async def test_a_cut_shortcut_is_said(scan: Scan) -> None:
    document = await scan("x.lnk", shortcut("..\\cmd.exe", "/c echo hello")[:90])

    assert CoverageReason.ERROR in reasons(document)


async def test_files_on_a_onenote_page_come_out(scan: Scan, eicar: bytes) -> None:
    section = bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3").ljust(1024, b"\0")
    stored = bytes.fromhex("e716e3bd65261145a4c48d4d0b7a9eac") + struct.pack("<Q", len(eicar)) + bytes(12) + eicar
    document = await scan("x.one", section + stored + bytes(100))

    assert origins(document)["OneNote attachment"] == "attachment 1"
    assert document.verdict is Verdict.MALICIOUS
