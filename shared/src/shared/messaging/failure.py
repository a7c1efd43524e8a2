"""What happens to a message whose handler raised: the one place that decides it for every transport."""

from __future__ import annotations

from dataclasses import dataclass

from shared.errors import AppError, ClientError, PermanentError
from shared.messaging.message import RetryPolicy

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
