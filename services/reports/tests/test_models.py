"""The report says what results knows, and its JSON Schema stays what was published."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from reports.models import Report, ReportIdentity
from shared.clients.results import ScanDetail
from shared.testing.scans import ACCEPTED_AT, make_artifact, make_document

MakeScan = Callable[..., ScanDetail]
SCHEMA = Path(__file__).parent.parent / "report.schema.json"
IDENTITY = ReportIdentity(id="report-1", generated_at=ACCEPTED_AT, fumehood_version="0.1.0")


def test_the_schema_is_the_published_one() -> None:
    """Within a schema version only optional fields may be added; then write the file anew, with an indent of 2."""
    assert Report.model_json_schema(mode="serialization") == json.loads(SCHEMA.read_text())


def test_a_report_has_what_results_knows(make_scan: MakeScan) -> None:
    document = make_document([make_artifact(), make_artifact(1)])

    report = Report.of(make_scan(document), IDENTITY)

    assert (report.artifacts, report.detectors) == (document.artifacts, document.detectors)
    assert (report.file.sha256, report.file.sha1, report.file.md5) == (
        document.root.sha256,
        document.root.sha1,
        document.root.md5,
    )
    assert (report.scan.waiting_seconds, report.scan.scanning_seconds) == (1.0, 2.5)


def test_clocks_that_disagree_make_no_negative_times(make_scan: MakeScan) -> None:
    report = Report.of(make_scan(submitted_at=ACCEPTED_AT + timedelta(seconds=9)), IDENTITY)

    assert report.scan.waiting_seconds == 0.0


def test_an_expired_scan_has_a_report_without_what_nobody_knows(make_lost_scan: MakeScan) -> None:
    report = Report.of(make_lost_scan(), IDENTITY)

    assert (report.file.sha1, report.file.content_type, report.scan.scanning_seconds) == (None, None, None)
    assert report.scan.reason
    assert report.scan.coverage.gaps[0].detail == report.scan.reason


def test_json_reads_back_as_the_same_report(make_scan: MakeScan) -> None:
    report = Report.of(make_scan(make_document([make_artifact(name="a\0\u202e\U0001f9ea")])), IDENTITY)

    assert Report.model_validate_json(report.model_dump_json()) == report
