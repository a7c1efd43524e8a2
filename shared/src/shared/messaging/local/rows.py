"""The rows of the local bus: one per message and queue, and every statement on them.

A row is `ready` (from `available_at` on), `working` (its handler runs) or `dead`.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.clock import now
from shared.errors import NotFoundError
from shared.messaging.message import DeadLetter, Message

SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL,
    event_id TEXT NOT NULL,
    type TEXT NOT NULL,
    source TEXT NOT NULL,
    time TEXT NOT NULL,
    headers TEXT NOT NULL,
    body BLOB NOT NULL,
    state TEXT NOT NULL DEFAULT 'ready',
    attempt INTEGER NOT NULL DEFAULT 1,
    crashes INTEGER NOT NULL DEFAULT 0,
    available_at REAL NOT NULL,
    reason TEXT,
    failed_at TEXT
);
CREATE INDEX IF NOT EXISTS messages_ready ON messages (queue, available_at, id) WHERE state = 'ready';
CREATE INDEX IF NOT EXISTS messages_working ON messages (id) WHERE state = 'working';
CREATE INDEX IF NOT EXISTS messages_dead ON messages (id) WHERE state = 'dead';
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """A message in work and the row that holds it."""

    row_id: int
    message: Message


def insert(connection: sqlite3.Connection, queues: Sequence[str], message: Message) -> None:
    """Put the message into each queue."""
    values = (
        message.id,
        message.type,
        message.source,
        message.time.isoformat(),
        json.dumps(message.headers),
        message.body,
        time.time(),
    )
    connection.executemany(
        "INSERT INTO messages (queue, event_id, type, source, time, headers, body, available_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [(queue, *values) for queue in queues],
    )


def claim(connection: sqlite3.Connection, queue: str, limit: int) -> tuple[list[Claim], float | None]:
    """Take up to `limit` due messages into work, the longest due first.

    The second value is the number of seconds until the next message is due, None if there is none.
    """
    present = time.time()
    rows = connection.execute(
        "UPDATE messages SET state = 'working' WHERE id IN ("
        " SELECT id FROM messages WHERE state = 'ready' AND queue = ? AND available_at <= ?"
        " ORDER BY available_at, id LIMIT ?) RETURNING *",
        (queue, present, limit),
    ).fetchall()
    claims = [Claim(row["id"], _message(row)) for row in sorted(rows, key=lambda row: (row["available_at"], row["id"]))]
    (due,) = connection.execute(
        "SELECT min(available_at) FROM messages WHERE state = 'ready' AND queue = ?", (queue,)
    ).fetchone()
    return claims, None if due is None else max(0.0, due - present)


def remove(connection: sqlite3.Connection, row_id: int) -> None:
    """Acknowledge a message."""
    connection.execute("DELETE FROM messages WHERE id = ?", (row_id,))


def postpone(connection: sqlite3.Connection, row_id: int, attempt: int, delay_seconds: float) -> None:
    """Make a message due again after the delay, as the given attempt."""
    connection.execute(
        "UPDATE messages SET state = 'ready', attempt = ?, crashes = 0, available_at = ? WHERE id = ?",
        (attempt, time.time() + delay_seconds, row_id),
    )


def release(connection: sqlite3.Connection, row_id: int) -> None:
    """Put a message back as it was before it was claimed."""
    connection.execute("UPDATE messages SET state = 'ready' WHERE id = ? AND state = 'working'", (row_id,))


def bury(connection: sqlite3.Connection, row_id: int, reason: str) -> None:
    """Make a message a dead letter."""
    connection.execute(
        "UPDATE messages SET state = 'dead', reason = ?, failed_at = ? WHERE id = ?", (reason, _now(), row_id)
    )


def recover(connection: sqlite3.Connection, crash_limit: int) -> int:
    """Make due again what was in work when the last consuming process died; return how many.

    What was in work at more deaths than the limit becomes a dead letter: it may be the cause.
    """
    connection.execute("UPDATE messages SET crashes = crashes + 1 WHERE state = 'working'")
    connection.execute(
        "UPDATE messages SET state = 'dead', reason = 'delivery_limit', failed_at = ?"
        " WHERE state = 'working' AND crashes > ?",
        (_now(), crash_limit),
    )
    return connection.execute("UPDATE messages SET state = 'ready' WHERE state = 'working'").rowcount


def depth(connection: sqlite3.Connection, queue: str) -> int:
    """Return the number of due messages that nobody has claimed."""
    (count,) = connection.execute(
        "SELECT count(*) FROM messages WHERE state = 'ready' AND queue = ? AND available_at <= ?",
        (queue, time.time()),
    ).fetchone()
    return int(count)


def dead_letters(connection: sqlite3.Connection, limit: int) -> list[DeadLetter]:
    """Return dead letters, oldest first."""
    rows = connection.execute("SELECT * FROM messages WHERE state = 'dead' ORDER BY failed_at, id LIMIT ?", (limit,))
    return [_dead_letter(row) for row in rows]


def dead_letter(connection: sqlite3.Connection, dead_letter_id: str) -> DeadLetter:
    """Return one dead letter. Raises NotFoundError."""
    row = connection.execute("SELECT * FROM messages WHERE state = 'dead' AND id = ?", (dead_letter_id,)).fetchone()
    if row is None:
        raise _no_dead_letter(dead_letter_id)
    return _dead_letter(row)


def replay(connection: sqlite3.Connection, dead_letter_id: str) -> str:
    """Make a dead letter due as a first attempt; return its queue. Raises NotFoundError."""
    queues = _replay(connection, dead_letter_id, None)
    if not queues:
        raise _no_dead_letter(dead_letter_id)
    return queues[0]


def replay_all(connection: sqlite3.Connection, queue: str | None) -> int:
    """Make all dead letters, or those of one queue, due as first attempts; return how many."""
    return len(_replay(connection, None, queue))


def discard(connection: sqlite3.Connection, dead_letter_id: str) -> None:
    """Delete a dead letter. Raises NotFoundError."""
    if not connection.execute("DELETE FROM messages WHERE state = 'dead' AND id = ?", (dead_letter_id,)).rowcount:
        raise _no_dead_letter(dead_letter_id)


def data_version(connection: sqlite3.Connection) -> int:
    """Return a number that changes when another process has changed the file."""
    (version,) = connection.execute("PRAGMA data_version").fetchone()
    return int(version)


def _replay(connection: sqlite3.Connection, dead_letter_id: str | None, queue: str | None) -> list[str]:
    """Make the dead letters that match due as first attempts; return their queues."""
    rows = connection.execute(
        "UPDATE messages SET state = 'ready', attempt = 1, crashes = 0, reason = NULL, failed_at = NULL,"
        " available_at = ? WHERE state = 'dead' AND id = coalesce(?, id) AND queue = coalesce(?, queue)"
        " RETURNING queue",
        (time.time(), dead_letter_id, queue),
    )
    return [row["queue"] for row in rows]


def _message(row: sqlite3.Row) -> Message:
    return Message(
        id=row["event_id"],
        type=row["type"],
        source=row["source"],
        time=datetime.fromisoformat(row["time"]),
        body=row["body"],
        headers=json.loads(row["headers"]),
        attempt=row["attempt"],
    )


def _dead_letter(row: sqlite3.Row) -> DeadLetter:
    return DeadLetter(
        id=str(row["id"]),
        queue=row["queue"],
        message=_message(row),
        reason=row["reason"],
        failed_at=datetime.fromisoformat(row["failed_at"]),
    )


def _no_dead_letter(dead_letter_id: str) -> NotFoundError:
    return NotFoundError(f"There is no dead letter {dead_letter_id!r}.")


def _now() -> str:
    return now().isoformat()
