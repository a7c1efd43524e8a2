"""Running a handler, and what happens to its message if it raises: decided here for every transport."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from shared.errors import AppError, ClientError, PermanentError, UnavailableError
from shared.messaging.message import Handler, Message, RetryPolicy

_REASON_MAX_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again as the given attempt after the delay."""

    attempt: int
    delay_seconds: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Make it a dead letter."""

    reason: str


async def run(handler: Handler, message: Message) -> Exception | None:
    """Run the handler to its end; return what it raised.

    Raises CancelledError only if the task that runs it is cancelled. A cancellation that comes
    out of the handler's own work is a failure like any other.
    """
    try:
        await handler(message)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        return UnavailableError("The work of the handler was cancelled.")
    except Exception as error:  # noqa: BLE001 - the edge: whatever a handler raises decides about its message
        return error
    return None


def after_failure(error: BaseException, attempt: int, policy: RetryPolicy) -> Retry | GiveUp:
    """Decide what follows on the failure of the given attempt (from 1).

    ClientError and PermanentError are given up at once. Everything else may be an outage or
    a defect that a new version repairs, and is tried again as often as the policy has delays.
    """
    if isinstance(error, ClientError | PermanentError) or attempt > len(policy.delays_seconds):
        return GiveUp(reason=describe(error))
    return Retry(attempt=attempt + 1, delay_seconds=policy.delays_seconds[attempt - 1])


def describe(error: BaseException) -> str:
    """Return one bounded line that says what went wrong."""
    text = f"{error.code}: {error.message}" if isinstance(error, AppError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:_REASON_MAX_CHARACTERS]
