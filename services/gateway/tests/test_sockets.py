"""Live sockets: who may open one, the present state first, then what changes."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.context import Context
from gateway.handlers import sockets
from gateway.models.accounts import User
from shared.events import ArtifactFinding, Event, ScanProgressedV1, ScanRecordedV1
from shared.scan import CoverageLevel, DetectorInfo, Finding, ScanStatus, Verdict
from shared.testing.bus import envelope


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(sockets, "CHECK_SECONDS", 0.2)


FOUND = ArtifactFinding(
    artifact_name="<b>shell.php", artifact_size_bytes=9,
    finding=Finding(
        detector=DetectorInfo(name="rules", version="1", kind="yara"), label="web-shell", verdict=Verdict.MALICIOUS,
        reason="It runs what it is sent.",
    ),
)  # fmt: skip


async def happen(context: Context, event: Event) -> None:
    await context.live.receive(envelope(event))


def progressed(submission: Any, stage: str = "inspecting", done: int = 3, found: int = 8) -> ScanProgressedV1:
    return ScanProgressedV1(
        submission_id=submission.id, scan_id=submission.scan_id, user_id=submission.user_id, stage=stage,
        artifacts_found=found, artifacts_done=done, findings=(FOUND,),
    )  # fmt: skip


def recorded(submission: Any) -> ScanRecordedV1:
    return ScanRecordedV1(
        submission_id=submission.id, scan_id=submission.scan_id, user_id=submission.user_id, sha256=submission.sha256,
        size_bytes=3, name=submission.name, status=ScanStatus.COMPLETED, verdict=Verdict.MALICIOUS,
        coverage=CoverageLevel.COMPLETE, artifact_count=1, finding_count=1, recorded_at=submission.accepted_at,
    )  # fmt: skip


async def test_a_scan_is_shown_as_it_is_then_as_it_goes_then_as_it_ended(
    open_socket: Any, browser: Any, context: Context, user: User, world: Any
) -> None:
    submission = world.accept(user.id)
    async with open_socket(f"/ws/submissions/{submission.id}", browser) as socket:
        assert (await socket.next())["type"] == "websocket.accept"
        assert "Queued" in await socket.text()

        await happen(context, progressed(submission))
        during = await socket.text()
        assert "3 of 8 found so far" in during
        assert "web-shell" in during
        assert "&lt;b&gt;shell.php" in during

        world.record(submission, status=ScanStatus.COMPLETED)
        await happen(context, recorded(submission))
        last = await socket.text()
        assert 'data-live-scan="false"' in last
        assert "Malicious" in last
        assert await socket.next() == {"type": "websocket.close", "code": 1000, "reason": ""}


async def test_after_a_reconnect_the_stage_is_shown_at_once(
    open_socket: Any, browser: Any, context: Context, user: User, world: Any
) -> None:
    submission = world.accept(user.id)
    await happen(context, progressed(submission, stage="unpacking", done=1, found=2))
    for _ in range(2):
        async with open_socket(f"/ws/submissions/{submission.id}", browser) as socket:
            await socket.next()
            assert "1 of 2 found so far" in await socket.text()
            await socket.leave()


async def test_a_scan_that_ended_meanwhile_is_shown_and_the_socket_closes(
    open_socket: Any, browser: Any, user: User, world: Any
) -> None:
    submission = world.accept(user.id)
    world.record(submission, status=ScanStatus.COMPLETED)
    async with open_socket(f"/ws/submissions/{submission.id}", browser) as socket:
        await socket.next()
        assert "Malicious" in await socket.text()
        assert (await socket.next())["code"] == 1000


async def test_an_end_whose_event_was_lost_is_found_anyway(
    open_socket: Any, browser: Any, user: User, world: Any
) -> None:
    submission = world.accept(user.id)
    async with open_socket(f"/ws/submissions/{submission.id}", browser) as socket:
        await socket.next()
        await socket.text()
        world.record(submission, status=ScanStatus.COMPLETED)
        assert "Malicious" in await socket.text()


async def test_what_comes_faster_than_it_is_sent_is_skipped(
    open_socket: Any, browser: Any, context: Context, user: User, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "PAUSE_SECONDS", 0.1)
    submission = world.accept(user.id)
    async with open_socket(f"/ws/submissions/{submission.id}", browser) as socket:
        await socket.next()
        await socket.text()
        for done in range(1000):
            await happen(context, progressed(submission, done=done, found=1000))
        assert "999 of 1,000" in await socket.text()


async def test_a_list_gets_the_chips_of_its_user_only(
    open_socket: Any, browser: Any, context: Context, user: User, world: Any
) -> None:
    mine, theirs = world.accept(user.id), world.accept("somebody-else")
    world.record(mine)
    world.record(theirs)
    async with open_socket("/ws/submissions", browser) as socket:
        await socket.next()
        present = await socket.text()
        assert f"submission-{mine.id}" in present
        assert theirs.id not in present

        await happen(context, recorded(theirs))
        await happen(context, recorded(mine))
        chip = await socket.text()
        assert f"submission-{mine.id}" in chip
        assert "Malicious" in chip
        assert theirs.id not in chip


async def test_a_late_event_does_not_undo_an_end(
    open_socket: Any, browser: Any, context: Context, user: User, world: Any
) -> None:
    submission = world.accept(user.id)
    await happen(context, recorded(submission))
    async with open_socket("/ws/submissions", browser) as socket:
        await socket.next()
        await happen(context, progressed(submission))
        with pytest.raises(TimeoutError):
            await socket.next(0.1)
    assert await context.live.progress(submission.id) is None


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "", "http://gateway.evil.example"])
async def test_another_site_cannot_open_a_socket(open_socket: Any, browser: Any, origin: str) -> None:
    async with open_socket("/ws/submissions", browser, origin=origin) as socket:
        assert (await socket.next())["type"] == "websocket.close"


async def test_without_a_session_a_socket_is_closed(open_socket: Any, visitor: Any) -> None:
    async with open_socket("/ws/submissions", visitor) as socket:
        await socket.next()
        assert (await socket.next())["code"] == 4401


async def test_a_socket_of_somebody_elses_scan_is_closed(open_socket: Any, browser: Any, world: Any) -> None:
    theirs = world.accept("somebody-else")
    async with open_socket(f"/ws/submissions/{theirs.id}", browser) as socket:
        await socket.next()
        assert (await socket.next())["code"] == 4404


async def test_a_socket_ends_with_its_session(open_socket: Any, browser: Any, user: User, world: Any) -> None:
    submission = world.accept(user.id)
    async with open_socket(f"/ws/submissions/{submission.id}", browser) as socket:
        await socket.next()
        await socket.text()
        await browser.submit("/sign-out")
        assert (await socket.next())["code"] == 4401


async def test_when_a_service_is_away_the_browser_is_told_to_come_back(
    open_socket: Any, browser: Any, user: User, world: Any
) -> None:
    submission = world.accept(user.id)
    world.away.add("results")
    async with open_socket(f"/ws/submissions/{submission.id}", browser) as socket:
        await socket.next()
        assert (await socket.next())["code"] == 1013


async def test_an_error_that_nobody_expected_is_in_the_log(
    open_socket: Any,
    browser: Any,
    context: Context,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail(*_args: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(type(context.submissions), "detail", fail)
    async with open_socket("/ws/submissions/1", browser) as socket:
        await socket.next()
        assert (await socket.next())["code"] == 1013
    assert "a defect" in caplog.text


async def test_a_browser_that_leaves_leaves_no_watch(
    open_socket: Any, browser: Any, context: Context, user: User, world: Any
) -> None:
    submission = world.accept(user.id)
    async with open_socket(f"/ws/submissions/{submission.id}", browser) as socket:
        await socket.next()
        await socket.text()
        assert len(context.live._watches) == 1
        await socket.leave()
    assert len(context.live._watches) == 0
