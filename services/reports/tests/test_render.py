"""The same facts in JSON, HTML and PDF; hostile names do nothing; large scans stay readable."""

import re
from collections.abc import Callable, Iterable
from html.parser import HTMLParser
from io import BytesIO
from typing import Any

import pytest
from pypdf import PdfReader

from reports.models import Report, ReportIdentity
from reports.pdf.worker import to_pdf
from reports.render import PAPER, SCREEN, render_json, render_paper, render_screen
from shared.clients.results import ScanDetail
from shared.scan import (
    Coverage,
    CoverageGap,
    CoverageLevel,
    CoverageReason,
    Excerpt,
    Location,
    PackageRole,
    Verdict,
)
from shared.testing.scans import (
    ACCEPTED_AT,
    RULES,
    ZIP,
    make_artifact,
    make_document,
    make_finding,
    make_program,
)

MakeScan = Callable[..., ScanDetail]
IDENTITY = ReportIdentity(id="5a0c3c0e-7f6d-4b6e-9a57-2b8b3c9f1d11", generated_at=ACCEPTED_AT, fumehood_version="0.1.0")
HOSTILE_NAMES = [
    "invoice\u202efdp.exe",
    "a\0b\tc\r\nd.txt",
    "../../../../etc/passwd",
    "<script>alert(1)</script>.html",
    '"><img src=http://evil.example/x.png onerror=alert(1)>',
    "<link rel=stylesheet href=file:///etc/passwd>",
    "{{ 7 * 7 }}{% raw %}.txt",
    "x" * 4000 + ".pdf.exe",
    "zero\u200bwidth\u2066isolate",
    "",
]


class _Reader(HTMLParser):
    """Collects the text and the elements of a page."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.text: list[str] = []
        self.tags: set[str] = set()
        self.attributes: dict[str, list[str]] = {}
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, []).append(value or "")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


def _html_text(page: bytes) -> str:
    return _squeezed("".join(_Reader(page).text))


def _pdf_text(report: Report) -> str:
    pages = PdfReader(BytesIO(to_pdf(render_paper(report)))).pages
    return _squeezed("".join(page.extract_text() for page in pages))


def _infected(make_scan: MakeScan) -> Report:
    gaps = (
        CoverageGap(reason=CoverageReason.ENCRYPTED, detail="The member “secret.zip” needs a password."),
        CoverageGap(reason=CoverageReason.TOO_LARGE, detail="The member “disk.img” is larger than 64 MB."),
    )
    partial = Coverage(level=CoverageLevel.PARTIAL, gaps=gaps)
    rules = make_finding(detector=RULES, label="php_eval_request", score=None, metadata={"author": "Fumehood"})
    artifacts = [
        make_artifact(0, name="site.zip", content_type=ZIP, verdict=Verdict.MALICIOUS, coverage=partial),
        make_artifact(1, name="upload/shell.php", verdict=Verdict.MALICIOUS, findings=(make_finding(), rules)),
        make_artifact(2, name="readme.txt"),
    ]
    return Report.of(make_scan(make_document(artifacts)), IDENTITY)


def _facts(report: Report) -> Iterable[str]:
    """Yield what every format has to say."""
    yield from (report.report.id, report.report.fumehood_version, report.submission.id, report.submission.user_id)
    yield from (report.submission.name, report.scan.id, report.scan.status, f"{report.file.size_bytes:,}bytes")
    for moment in (report.submission.submitted_at, report.submission.deadline_at, report.report.generated_at):
        yield f"{moment:%Y-%m-%d%H:%M:%S}UTC"
    for moment in filter(None, (report.scan.started_at, report.scan.finished_at)):
        yield f"{moment:%Y-%m-%d%H:%M:%S}UTC"
    yield from (gap.detail for gap in report.scan.coverage.gaps)
    yield f"Coverage: {report.scan.coverage.level}"
    for artifact in report.artifacts:
        yield from (artifact.name, artifact.sha256, artifact.sha1, artifact.md5, artifact.content_type.description)
        yield from (artifact.content_type.mime_type, artifact.origin)
        for finding in artifact.findings:
            yield from (finding.label, finding.reason, *(location.label or "" for location in finding.locations))
            for excerpt in (location.excerpt for location in finding.locations if location.excerpt):
                yield from (excerpt.before, excerpt.text, excerpt.after)
            yield from (f"{key}:{value}" for key, value in finding.metadata.items())
            yield f"{finding.score:.0%}" if finding.score is not None else ""
    for detector in report.detectors:
        yield from (f"{detector.name}{detector.version}", detector.kind, detector.model_sha256 or "")


def test_html_and_pdf_say_what_json_says(make_scan: MakeScan) -> None:
    report = Report.model_validate_json(render_json(_infected(make_scan)))
    facts = [_squeezed(fact) for fact in _facts(report)]

    for text in (_html_text(render_screen(report)), _pdf_text(report)):
        assert [fact for fact in facts if fact not in text] == []
        assert "Malicious" in text
        assert "2detectorsfoundknownorlikelythreatsin1of3files.Noteverythingwaslookedat." in text
        assert "lines1\N{EN DASH}2,bytes6\N{EN DASH}31" in text


def test_every_format_says_when_a_package_runs_a_file(make_scan: MakeScan) -> None:
    artifacts = [make_artifact(), make_artifact(1, role=PackageRole.INSTALL)]
    report = Report.of(make_scan(make_document(artifacts)), IDENTITY)

    assert Report.model_validate_json(render_json(report)).artifacts[1].role is PackageRole.INSTALL
    for text in (_squeezed(_html_text(render_screen(report))), _pdf_text(report)):
        assert "zipmember,runsatinstall" in text


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_the_headers_of_a_program_are_in_every_format(make_scan: MakeScan, name: str) -> None:
    section = make_program().sections[0].model_copy(update={"name": name[:40]})
    program = make_program(sections=(section,) * 20, section_count=30, signer=name[:200])
    report = Report.of(make_scan(make_document([make_artifact(program=program)])), IDENTITY)

    assert Report.model_validate_json(render_json(report)).artifacts[0].program == program
    page = _Reader(render_screen(report))
    assert page.tags & {"script", "img", "link"} == set()
    for text in (_squeezed("".join(page.text)), _pdf_text(report)):
        assert "Packedwith:UPX" in text
        assert "7.91" in text
        assert "and14moresections" in text


def test_an_expired_scan_gets_an_honest_report(make_lost_scan: MakeScan) -> None:
    report = Report.of(make_lost_scan(), IDENTITY)

    for text in (_html_text(render_screen(report)), _pdf_text(report)):
        assert "Unknown:outoftime" in text
        assert _squeezed(report.scan.reason or "missing") in text
        assert "Nodetectorran." in text
        assert "Clean" not in text.replace("Cleanmeans", "")


def test_a_clean_file_fits_on_one_page(make_scan: MakeScan) -> None:
    pdf = PdfReader(BytesIO(to_pdf(render_paper(Report.of(make_scan(), IDENTITY)))))

    assert len(pdf.pages) == 1


def test_the_pdf_is_tagged_and_has_metadata_and_bookmarks(make_scan: MakeScan) -> None:
    pdf = PdfReader(BytesIO(to_pdf(render_paper(_infected(make_scan)))))

    assert pdf.metadata is not None
    assert (pdf.metadata.title, pdf.metadata.author) == ("Fumehood report: site.zip", "Fumehood")
    assert str(pdf.root_object["/Lang"]) == "en"
    assert "/StructTreeRoot" in pdf.root_object
    assert {"Findings", "Tree of files", "Detectors"} <= set(_titles(pdf.outline))
    assert "Page 2 of 2" in pdf.pages[1].extract_text()
    assert pdf.pages[1].extract_text().count("Malicious") > 1


def _titles(outline: Iterable[Any]) -> Iterable[str]:
    for entry in outline:
        if isinstance(entry, list):
            yield from _titles(entry)
        else:
            yield entry.title


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_hostile_name_does_nothing(name: str, make_scan: MakeScan) -> None:
    excerpt = Excerpt(before=name[:100], text=name[:300], after=name[:100])
    place = Location(start=0, end=9, first_line=1, last_line=1, label=name, excerpt=excerpt)
    finding = make_finding(label=name or "x", reason=name, metadata={name: name}, locations=(place,))
    document = make_document([make_artifact(name=name, origin=name or "x", findings=(finding,))])
    report = Report.of(make_scan(document, user_id=name), IDENTITY)

    page = render_screen(report)

    reader = _Reader(page)
    assert not reader.tags & {"script", "img", "link", "iframe", "object", "a"}
    assert not any(attribute.startswith("on") or attribute in {"src", "href"} for attribute in reader.attributes)
    assert "{{" not in name or name in "".join(reader.text)
    assert not re.search("[\u200b\u202a-\u202e\u2066-\u2069\0]", page.decode())
    assert len(page) < 60_000
    assert Report.model_validate_json(render_json(report)).artifacts[0].name == name


def test_characters_that_cannot_be_seen_are_named(make_scan: MakeScan) -> None:
    report = Report.of(make_scan(make_document([make_artifact(name="invoice\u202efdp.exe")])), IDENTITY)

    assert "invoiceU+202Efdp.exe" in _html_text(render_screen(report))
    assert "invoiceU+202Efdp.exe" in _pdf_text(report)


def test_html_needs_nothing_from_outside(make_scan: MakeScan) -> None:
    page = render_screen(_infected(make_scan)).decode()

    assert re.findall(r"url\((?!\"data:)", page) == []
    assert "@import" not in page


def test_of_a_large_scan_the_worst_is_shown_and_the_rest_counted(make_scan: MakeScan) -> None:
    artifacts = [make_artifact(0, name="big.zip", content_type=ZIP, verdict=Verdict.MALICIOUS)]
    artifacts += [make_artifact(number) for number in range(1, 3000)]
    artifacts[2500] = make_artifact(2500, parent_id=2400, name="deep.php", verdict=Verdict.MALICIOUS)
    findings = (make_finding(),) * (SCREEN.findings + 7)
    artifacts[2500] = artifacts[2500].model_copy(update={"findings": findings})
    report = Report.of(make_scan(make_document(artifacts)), IDENTITY)

    screen, paper = _html_text(render_screen(report)), _html_text(render_paper(report))

    assert f"and{3000 - SCREEN.artifacts:,}morefiles,seetheJSONreport" in screen
    assert f"and{3000 - PAPER.artifacts:,}morefiles,seetheJSONreport" in paper
    assert "and7morefindings,seetheJSONreport" in screen
    assert "deep.php" in paper
    assert "member-2400.txt" in paper
    assert len(Report.model_validate_json(render_json(report)).artifacts) == 3000
