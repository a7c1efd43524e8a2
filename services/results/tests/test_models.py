"""Cursors survive the way to the client and back; the reason of an expiry tells what happened."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.models import Cursor, OverdueScan
from shared.errors import InvalidInputError
from shared.testing.scans import ACCEPTED_AT, scan_id, submission_id


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_a_cursor_reads_back_what_it_wrote(moment: datetime, submission: object) -> None:
    cursor = Cursor(moment, str(submission))

    assert Cursor.parse(str(cursor)) == cursor


@pytest.mark.parametrize("text", ["", "?", "AAAA", "e30", "WzEsMl0", "bnVsbA", "WyJ4IiwgInkiXQ", "\u20ac", "A" * 200])
def test_a_cursor_that_is_not_ours_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        Cursor.parse(text)


@given(st.text(max_size=200))
def test_no_text_makes_a_cursor_fail_otherwise(text: str) -> None:
    try:
        Cursor.parse(text)
    except InvalidInputError:
        return


@pytest.mark.parametrize(
    ("known_after_seconds", "waiting", "reason"),
    [
        (1, 0, "A scanner was given the file but did not finish it within 300 seconds."),
        (1, 1, "No scanner took the file up and finished it within 300 seconds; 1 file is waiting for one."),
        (1, 12, "No scanner took the file up and finished it within 300 seconds; 12 files are waiting for one."),
        (1, None, "The scan did not end within 300 seconds, and the message bus does not answer."),
        (300, 0, "The file reached the scanners only after its 300 seconds were over: the bus was away."),
    ],
)
def test_the_reason_of_an_expiry_tells_what_happened(
    known_after_seconds: int, waiting: int | None, reason: str
) -> None:
    scan = OverdueScan(
        scan_id=scan_id(1),
        submission_id=submission_id(1),
        user_id="alice",
        name="notes.txt",
        sha256="0" * 64,
        size_bytes=1,
        submitted_at=ACCEPTED_AT,
        requested_at=None,
        previous_verdict=None,
        deadline_at=ACCEPTED_AT + timedelta(seconds=300),
        known_at=ACCEPTED_AT + timedelta(seconds=known_after_seconds),
    )

    assert scan.why(waiting) == reason
