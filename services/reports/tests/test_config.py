"""The formats that are made of every scan, as an operator writes them."""

import pytest
from pydantic import ValidationError

from reports.config import Settings
from shared.events import ReportFormat


@pytest.mark.parametrize(
    ("text", "formats"),
    [
        (None, (ReportFormat.JSON,)),
        ("", ()),
        ("pdf", (ReportFormat.PDF,)),
        (" pdf, html ,json", (ReportFormat.PDF, ReportFormat.HTML, ReportFormat.JSON)),
    ],
)
def test_formats_are_a_list_with_commas(
    text: str | None, formats: tuple[ReportFormat, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    if text is not None:
        monkeypatch.setenv("FUMEHOOD_REPORT_FORMATS", text)

    assert Settings().report_formats == formats


def test_an_unknown_format_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUMEHOOD_REPORT_FORMATS", "pdf,docx")

    with pytest.raises(ValidationError, match="report_formats"):
        Settings()
