"""The headers of a program on the scan page: told in words, and nothing hostile gets through."""

from __future__ import annotations

from gateway import views
from shared.scan import ImportedLibrary, ScanStatus, Verdict
from shared.testing.scans import ACCEPTED_AT, make_artifact, make_document, make_program

HOSTILE = "\u202e\x1b[31m<script>alert(1)</script>"
SHELL = views.Shell(csrf_token="token")


def page(**changes: object) -> str:
    artifact = make_artifact(program=make_program(**changes))
    facts = views.SubmissionFacts(
        id="sub",
        file_name="tool.exe",
        size_bytes=artifact.size_bytes,
        sha256=artifact.sha256,
        submitted_at=ACCEPTED_AT,
        status=ScanStatus.COMPLETED,
        verdict=Verdict.CLEAN,
    )
    scan = views.scan_view(facts, make_document([artifact]), None, ACCEPTED_AT)
    return views.render("pages/scan.html", views.ScanPage(shell=SHELL, scan=scan))


def test_sections_and_imports_are_shown() -> None:
    shown = page()

    assert "Packed with" in shown
    assert "UPX0" in shown
    assert "KERNEL32.dll" in shown
    assert "LoadLibraryA, GetProcAddress" in shown
    assert "and 3 more functions" in shown


def test_hostile_names_are_made_visible() -> None:
    section = make_program().sections[0].model_copy(update={"name": HOSTILE})
    shown = page(sections=(section,), libraries=(ImportedLibrary(name=HOSTILE, functions=(HOSTILE,)),), signer=HOSTILE)

    assert "<script>alert" not in shown
    assert "\u202e" not in shown
    assert "\x1b" not in shown
