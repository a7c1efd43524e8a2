"""What the pages say and show, and that nothing hostile gets through."""

from __future__ import annotations

import re
import subprocess
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from gateway import views
from gateway.views.artifacts import artifact_rows
from gateway.views.rendering import PACKAGE_ROOT, TEMPLATES_ROOT, environment, static_url
from gateway.views.text import when
from gateway.views.verdicts import coverage_view, scan_mark
from shared.clients import (
    ChangedArtifact,
    Comparison,
    LiveDetector,
    PastScan,
    ShadowVersion,
    VerdictPair,
)
from shared.events import ArtifactFinding
from shared.presentation.tree import in_tree_order
from shared.presentation.words import verdict_sentence
from shared.scan import (
    Artifact,
    ContentType,
    Coverage,
    CoverageGap,
    CoverageLevel,
    CoverageReason,
    DetectorInfo,
    Excerpt,
    Finding,
    Location,
    PackageRole,
    ScanDocument,
    ScanStatus,
    Verdict,
)

FRONTEND = PACKAGE_ROOT.parent.parent / "frontend"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOSTILE = "a\u202egpj.exe\x1b[31m\"'><script>alert(1)</script>\u200b<img src=x onerror=alert(2)>{{ 7*7 }}.pdf"
COMPLETE = Coverage(level=CoverageLevel.COMPLETE)
SHELL = views.Shell(
    csrf_token="token",
    viewer=views.Viewer(email=HOSTILE, is_admin=True),
    flashes=(views.Flash(kind=views.FlashKind.ERROR, text=HOSTILE),),
)


EXCERPT = Excerpt(before=HOSTILE, text=f"{HOSTILE}\n\t{HOSTILE}", after=HOSTILE)


def gap(reason: CoverageReason, detail: str = "A detail.") -> Coverage:
    return Coverage(level=CoverageLevel.PARTIAL, gaps=(CoverageGap(reason=reason, detail=detail),))


def finding(verdict: Verdict = Verdict.MALICIOUS, *, shadow: bool = False, name: str = "rules") -> Finding:
    return Finding(
        detector=DetectorInfo(name=name, version=HOSTILE, kind="yara", provider="CUDAExecutionProvider"),
        label=HOSTILE,
        verdict=verdict,
        score=0.97,
        reason=HOSTILE,
        locations=(Location(start=10, end=20, first_line=2, last_line=3, weight=0.4, label=HOSTILE, excerpt=EXCERPT),),
        shadow=shadow,
        metadata={HOSTILE: HOSTILE},
    )


def artifact(
    number: int,
    parent: int | None = 0,
    verdict: Verdict = Verdict.CLEAN,
    *,
    coverage: Coverage = COMPLETE,
    findings: tuple[Finding, ...] = (),
) -> Artifact:
    return Artifact(
        id=number,
        parent_id=parent,
        name=HOSTILE,
        origin=HOSTILE,
        depth=0 if parent is None else 1,
        sha256=f"{number:064x}",
        sha1=f"{number:040x}",
        md5=f"{number:032x}",
        size_bytes=1000,
        content_type=ContentType(
            label="php", mime_type=HOSTILE, group="code", description=HOSTILE, score=0.9, is_text=True
        ),
        verdict=verdict,
        coverage=coverage,
        findings=findings,
        covered_by=("rules",),
    )


def document(*artifacts: Artifact) -> ScanDocument:
    root = artifacts[0]
    return ScanDocument(
        scan_id="scan",
        submission_id="sub",
        started_at=NOW,
        finished_at=NOW + timedelta(seconds=2),
        verdict=root.verdict,
        coverage=root.coverage,
        artifacts=artifacts,
        detectors=(DetectorInfo(name=HOSTILE, version="1", kind="yara"),),
    )


def sentence(scan: ScanDocument) -> str:
    return verdict_sentence(scan.verdict, scan.coverage, scan.artifacts)


def facts(status: ScanStatus, verdict: Verdict | None = None) -> views.SubmissionFacts:
    return views.SubmissionFacts(
        id="sub",
        file_name=HOSTILE,
        size_bytes=1000,
        sha256="0" * 64,
        status=status,
        submitted_at=NOW - timedelta(minutes=3),
        verdict=verdict,
        failure=HOSTILE if status in {ScanStatus.FAILED, ScanStatus.EXPIRED} else None,
        submitted_by=HOSTILE,
    )


def completed_scan() -> views.ScanView:
    root = artifact(0, None, Verdict.MALICIOUS, coverage=gap(CoverageReason.ENCRYPTED, HOSTILE))
    flagged = artifact(1, 0, Verdict.MALICIOUS, findings=(finding(), finding(shadow=True)))
    return views.scan_view(
        facts(ScanStatus.COMPLETED, Verdict.MALICIOUS), document(root, flagged, artifact(2)), None, NOW
    )


def running_scan(status: ScanStatus = ScanStatus.SCANNING) -> views.ScanView:
    live = ArtifactFinding(artifact_name=HOSTILE, artifact_size_bytes=1000, finding=finding())
    progress = views.LiveProgress(phase=views.Phase.DETECTING, artifacts_done=2, artifacts_found=5, findings=(live,))
    return views.scan_view(facts(status), None, progress, NOW)


def rescanned(status: ScanStatus) -> views.ScanView:
    """A scan that changed the verdict, with an earlier one, while the next one waits or runs."""
    root = artifact(0, None, Verdict.MALICIOUS)
    changed = facts(ScanStatus.COMPLETED, Verdict.MALICIOUS).model_copy(update={"previous_verdict": Verdict.CLEAN})
    earlier = PastScan(
        scan_id="1", status=ScanStatus.FAILED, verdict=Verdict.UNKNOWN, coverage=CoverageLevel.NONE,
        requested_at=NOW, finished_at=NOW, reason=HOSTILE,
    )  # fmt: skip
    progress = None if status is ScanStatus.QUEUED else views.LiveProgress(artifacts_done=2, artifacts_found=5)
    asked = earlier.model_copy(update={"status": status, "finished_at": None, "reason": None})
    return views.scan_view(changed, document(root), progress, NOW, rescan=asked, history=(earlier,))


def comparison(**changes: object) -> Comparison:
    change = ChangedArtifact(
        submission_id="1", submission_name=HOSTILE, submission_verdict=Verdict.CLEAN, artifact_name=HOSTILE + ".php",
        sha256="0" * 64, now=None, then=Verdict.MALICIOUS, live_score=None, shadow_score=0.97, looked_at=NOW,
    )  # fmt: skip
    values: dict[str, object] = {
        "detector": "model", "version": HOSTILE, "reference": "model", "first_at": NOW, "last_at": NOW,
        "others": (LiveDetector(name="model", versions=(HOSTILE,), artifacts=3),),
        "artifacts": 3, "alone": 1, "agreed": 2,
        "pairs": (
            VerdictPair(live=Verdict.CLEAN, shadow=Verdict.CLEAN, artifacts=2),
            VerdictPair(live=Verdict.CLEAN, shadow=Verdict.MALICIOUS, artifacts=1),
        ),
        "live_scores": (3, 0, 0, 0, 0, 0, 0, 0, 0, 0), "shadow_scores": (2, 0, 0, 0, 0, 0, 0, 0, 0, 1),
        "newly_flagged": 1, "no_longer_flagged": 0, "otherwise_flagged": 0, "changed": (change,),
    }  # fmt: skip
    return Comparison.model_validate(values | changes)


def shadows(found: Comparison | None) -> views.ShadowsPage:
    version = ShadowVersion(detector="model", version=HOSTILE, artifacts=4, first_at=NOW, last_at=NOW)
    known = () if found is None else (version,)
    return views.shadows_page(SHELL, known, version if known else None, found, NOW, period="7")


ROW = views.submission_row(facts(ScanStatus.COMPLETED, Verdict.UNKNOWN), NOW)
FILTERS = views.SubmissionFilters(name=HOSTILE, sha256="ab", verdict=Verdict.CLEAN, after=date(2026, 1, 2))
HOOK = views.WebhookRow(
    id="7",
    url=f"https://example.org/{HOSTILE}",
    created=when(NOW, NOW),
    last_delivery=when(NOW, NOW),
    last_status=HOSTILE,
    last_succeeded=False,
)
ISSUED = views.IssuedWebhook(url=HOSTILE, secret=HOSTILE)
SECTION = views.WebhookSection(shell=SHELL, webhooks=(HOOK,), issued=ISSUED, url=HOSTILE, error=HOSTILE)

VIEWS: list[tuple[str, BaseModel]] = [
    ("pages/sign_in.html", views.SignInPage(shell=SHELL, email=HOSTILE, error=HOSTILE, next_path=HOSTILE)),
    ("pages/welcome.html", views.WelcomePage(shell=SHELL, token=HOSTILE, email=HOSTILE, error=HOSTILE)),
    ("pages/home.html", views.HomePage(shell=SHELL, max_file_bytes=650_000_000, recent=(ROW,))),
    ("pages/home.html", views.HomePage(shell=SHELL, max_file_bytes=650_000_000)),
    ("pages/scan.html", views.ScanPage(shell=SHELL, scan=completed_scan())),
    ("pages/scan.html", views.ScanPage(shell=SHELL, scan=running_scan())),
    ("pages/scan.html", views.ScanPage(shell=SHELL, scan=running_scan(ScanStatus.QUEUED))),
    ("pages/scan.html", views.ScanPage(shell=SHELL, scan=running_scan(ScanStatus.FAILED))),
    ("pages/scan.html", views.ScanPage(shell=SHELL, scan=running_scan(ScanStatus.EXPIRED))),
    ("pages/submissions.html", views.SubmissionsPage(shell=SHELL, filters=FILTERS, rows=(ROW,), next_cursor=HOSTILE)),
    ("pages/submissions.html", views.SubmissionsPage(shell=SHELL, filters=FILTERS, rows=())),
    ("pages/settings.html", views.SettingsPage(**dict(SECTION), base_url=HOSTILE)),
    ("pages/scan.html", views.ScanPage(shell=SHELL, scan=rescanned(ScanStatus.QUEUED))),
    ("pages/scan.html", views.ScanPage(shell=SHELL, scan=rescanned(ScanStatus.SCANNING))),
    ("pages/shadows.html", shadows(None)),
    ("pages/shadows.html", shadows(comparison())),
    ("pages/shadows.html", shadows(comparison(artifacts=0, pairs=(), live_scores=(0,) * 10, shadow_scores=(0,) * 10))),
    ("pages/shadows.html", shadows(comparison(live_scores=(0,) * 10, shadow_scores=(0,) * 10, changed=()))),
    ("pages/error.html", views.error_page(SHELL, 429, HOSTILE, HOSTILE, retry_after_seconds=3)),
    ("partials/scan_live.html", views.ScanLive(scan=completed_scan())),
    ("partials/submission_chip.html", views.SubmissionChip(row=ROW)),
    ("partials/submission_rows.html", views.SubmissionRows(filters=FILTERS, rows=(ROW,), next_cursor=HOSTILE)),
    ("partials/webhooks.html", SECTION),
]


SHOWN_ATTRIBUTES = {"title", "aria-label", "data-announce"}


class Markup(HTMLParser):
    """Collects what people see and hear, what the content security policy would refuse, ids and icons."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.shown: list[str] = []
        self.forbidden: list[str] = []
        self.ids: list[str] = []
        self.icons: set[str] = set()
        self._tag = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self._tag = tag
        if tag in {"style", "img", "iframe", "object"} or (tag == "script" and "src" not in attributes):
            self.forbidden.append(tag)
        self.forbidden += [name for name in attributes if name == "style" or name.startswith(("on", "hx-on"))]
        self.shown += [str(attributes[name]) for name in SHOWN_ATTRIBUTES & attributes.keys()]
        if attributes.get("id"):
            self.ids.append(str(attributes["id"]))
        if tag == "use":
            self.icons.add(str(attributes["href"]).removeprefix("#i-"))

    def handle_data(self, data: str) -> None:
        if self._tag != "pre":
            self.shown.append(data)


@pytest.mark.parametrize(("template", "view"), VIEWS)
def test_templates_let_nothing_hostile_through(template: str, view: BaseModel) -> None:
    markup = Markup(views.render(template, view))
    assert markup.forbidden == []
    assert len(markup.ids) == len(set(markup.ids))
    assert [text for text in markup.shown if re.search("[\u202a-\u202e\u2066-\u2069\u200b\x1b]", text)] == []


def test_every_template_is_rendered_by_these_tests() -> None:
    pages = {path.relative_to(TEMPLATES_ROOT).as_posix() for path in (TEMPLATES_ROOT / "pages").iterdir()}
    rendered = {template for template, _ in VIEWS if template.startswith("pages/")}
    assert pages - rendered == {"pages/documentation.html"}, "its model belongs to the handler of the documentation"


def test_every_icon_is_in_the_sprite() -> None:
    sprite = (TEMPLATES_ROOT / "partials" / "icon_sprite.html").read_text()
    used = set().union(*(Markup(views.render(template, view)).icons for template, view in VIEWS))
    assert {icon for icon in used if f'id="i-{icon}"' not in sprite} == set()


@pytest.mark.skipif(not (FRONTEND / "node_modules").is_dir(), reason="npm ci has not been run in frontend/")
def test_committed_assets_are_what_the_build_gives(tmp_path: Path) -> None:
    subprocess.run(["node", "build.mjs", str(tmp_path)], cwd=FRONTEND, check=True, capture_output=True)
    built = [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()]
    assert built
    assert [path for path in built if (PACKAGE_ROOT / path).read_bytes() != (tmp_path / path).read_bytes()] == []


def test_static_addresses_change_with_the_content() -> None:
    assert re.fullmatch(r"/static/css/app\.css\?v=[0-9a-f]{12}", static_url("css/app.css"))


def test_detectors_that_found_something_are_counted_beside_those_that_cover_the_type() -> None:
    root = artifact(0, None, Verdict.MALICIOUS, findings=(finding(name="one"), finding(name="two")))
    scan = views.scan_view(facts(ScanStatus.COMPLETED, Verdict.MALICIOUS), document(root), None, NOW)
    assert root.covered_by == ("rules",)
    assert scan.stages[3].detail == "3 detectors ran"


def test_the_byte_map_stays_within_its_width() -> None:
    past_the_end = finding().model_copy(
        update={"locations": (Location(start=999, end=5000), Location(start=1000, end=1000))}
    )
    root = artifact(0, None, Verdict.MALICIOUS, findings=(past_the_end,))
    scan = views.scan_view(facts(ScanStatus.COMPLETED, Verdict.MALICIOUS), document(root), None, NOW)
    assert all(
        0 <= place.map_start <= place.map_start + place.map_width <= 1000 for place in scan.findings[0].locations
    )


def test_a_scan_that_is_not_complete_has_no_verdict_mark() -> None:
    assert scan_mark(ScanStatus.EXPIRED, Verdict.CLEAN).label == "Out of time"
    assert scan_mark(ScanStatus.COMPLETED, None).label == "Unknown"


def test_what_was_not_looked_at_is_never_called_clean() -> None:
    said = sentence(document(artifact(0, None, Verdict.UNKNOWN, coverage=gap(CoverageReason.ENCRYPTED))))
    assert said == (
        "Nothing was found, but not everything was looked at (locked with a password), so this is not called clean."
    )


def test_a_verdict_counts_the_detectors_that_decided_it() -> None:
    findings = (finding(name="a"), finding(name="b"), finding(name="c", shadow=True), finding(Verdict.SUSPICIOUS))
    flagged = artifact(1, 0, Verdict.MALICIOUS, findings=findings)
    said = sentence(document(artifact(0, None, Verdict.MALICIOUS), flagged, artifact(2)))
    assert said == "2 detectors found known or likely threats in 1 of 3 files."


def test_a_threat_does_not_hide_what_was_not_looked_at() -> None:
    root = artifact(
        0, None, Verdict.SUSPICIOUS, coverage=gap(CoverageReason.TIMEOUT), findings=(finding(Verdict.SUSPICIOUS),)
    )
    assert sentence(document(root)).endswith("Not everything was looked at.")


def test_gaps_are_grouped_by_reason() -> None:
    pairs = [
        (CoverageReason.ERROR, "a"),
        (CoverageReason.TIMEOUT, "b"),
        (CoverageReason.ERROR, "c"),
        (CoverageReason.ERROR, "a"),
    ]
    gaps = tuple(CoverageGap(reason=reason, detail=detail) for reason, detail in pairs)
    shown = coverage_view(Coverage(level=CoverageLevel.PARTIAL, gaps=gaps)).gaps
    assert [(g.reason, g.details) for g in shown] == [
        (CoverageReason.ERROR, ("a", "c")),
        (CoverageReason.TIMEOUT, ("b",)),
    ]


@pytest.mark.parametrize("reason", CoverageReason)
def test_every_reason_has_words(reason: CoverageReason) -> None:
    assert coverage_view(gap(reason)).gaps[0].advice


def test_the_tree_is_depth_first_and_takes_any_depth() -> None:
    chain = [artifact(n, n - 1) for n in range(1, 3000)]
    shown = in_tree_order((artifact(0, None), artifact(5000, 0), *chain))
    assert [a.id for a in shown] == [0, 5000, *range(1, 3000)]


def test_a_large_tree_keeps_the_worst_and_their_parents() -> None:
    many = [artifact(n, 0) for n in range(1, 500)]
    bad = artifact(501, 499, Verdict.MALICIOUS)
    rows = artifact_rows((artifact(0, None, Verdict.MALICIOUS), *many, bad), limit=10)
    assert len(rows) == 10
    assert {0, 499, 501} <= {row.id for row in rows}


def test_a_row_says_when_a_package_runs_the_file() -> None:
    script = artifact(1, 0).model_copy(update={"role": PackageRole.INSTALL})
    rows = artifact_rows((artifact(0, None), script))
    assert [row.role for row in rows] == [None, "runs at install"]
    assert "runs at install" in environment().get_template("partials/artifact.html").render(artifact=rows[1])


def test_stages_of_a_running_scan() -> None:
    assert [stage.state for stage in running_scan().stages] == ["done", "done", "done", "current", "waiting"]


def test_a_scan_that_ran_out_of_time_stops_where_it_was() -> None:
    scan = running_scan(ScanStatus.EXPIRED)
    assert [stage.state for stage in scan.stages] == ["done", "done", "done", "stopped", "waiting"]
    assert scan.sentence == HOSTILE
    assert scan.advice is not None


def test_a_finished_scan_opens_no_socket() -> None:
    assert "ws-connect" not in views.render("pages/scan.html", views.ScanPage(shell=SHELL, scan=completed_scan()))
    assert 'ws-connect="/ws/submissions/sub"' in views.render(
        "pages/scan.html", views.ScanPage(shell=SHELL, scan=running_scan())
    )


def test_findings_on_trial_are_kept_apart() -> None:
    scan = completed_scan()
    assert (len(scan.findings), len(scan.shadow_findings)) == (1, 1)


def test_blank_filters_are_no_filters() -> None:
    filters = views.SubmissionFilters.model_validate(
        {"verdict": "", "name": "", "sha256": "", "after": "", "before": ""}
    )
    assert not filters.active
    assert filters.url() == "/submissions"


def test_filters_refuse_what_they_do_not_know() -> None:
    with pytest.raises(ValidationError):
        views.SubmissionFilters.model_validate({"verdict": "fine"})


def test_filters_travel_with_the_cursor() -> None:
    filters = views.SubmissionFilters(verdict=Verdict.CLEAN, name="a b&c", after=date(2026, 1, 2))
    assert filters.url("x=") == "/submissions?verdict=clean&name=a+b%26c&after=2026-01-02&cursor=x%3D"


@pytest.mark.parametrize(
    ("status", "title"), [(404, "Nothing here"), (418, "That did not make sense"), (502, "Something broke here")]
)
def test_every_status_has_an_error_page(status: int, title: str) -> None:
    page = views.error_page(SHELL, status, "request")
    assert (page.title, page.status) == (title, status)


def test_chips_begin_as_the_script_expects_them() -> None:
    html = views.render("partials/submission_chip.html", views.SubmissionChip(row=ROW))
    assert html.lstrip().startswith('<span id="submission-sub"')


def test_a_verdict_that_changed_and_the_scan_before_it_are_shown() -> None:
    page = views.render("pages/scan.html", views.ScanPage(shell=SHELL, scan=rescanned(ScanStatus.SCANNING)))

    assert "Changed from Clean to Malicious when scanned again." in page
    assert "Being scanned again" in page
    assert "2 of 5 found so far" in page
    assert "Scan failed" in page
    assert "Scan again" not in page


def test_a_submission_that_changed_says_so_in_lists() -> None:
    same = facts(ScanStatus.COMPLETED, Verdict.CLEAN).model_copy(update={"previous_verdict": Verdict.CLEAN})
    other = same.model_copy(update={"previous_verdict": Verdict.MALICIOUS})

    assert views.submission_row(same, NOW).changed_from is None
    assert views.submission_row(other, NOW).changed_from == "Malicious"


def test_a_comparison_in_words_and_bars() -> None:
    view = views.comparison_view(comparison(), NOW)

    assert (view.agreement, view.agreed, view.artifacts, view.would_change) == ("66.7 %", 2, 3, 1)
    by_live = {row.mark.label: [cell.artifacts for cell in row.cells] for row in view.rows}
    assert by_live["Clean"] == [1, 0, 0, 2]
    assert sum(cell.artifacts for row in view.rows for cell in row.cells) == 3
    assert [(bar.live, bar.shadow) for bar in view.bars][::9] == [(3, 2), (0, 1)]
    assert (view.bars[0].live_height, view.bars[1].live_height) == (100, 0)


@pytest.mark.parametrize(("agreed", "text"), [(100_000, "100 %"), (99_999, "99.9 %"), (0, "0.0 %")])
def test_agreement_is_full_only_when_all_agree(agreed: int, text: str) -> None:
    assert views.comparison_view(comparison(agreed=agreed, artifacts=100_000), NOW).agreement == text


def test_a_single_file_is_seen_beside_many() -> None:
    many = comparison(live_scores=(10**9,) + (0,) * 9, shadow_scores=(10**9,) + (0,) * 8 + (1,))

    assert views.comparison_view(many, NOW).bars[9].shadow_height >= 3
