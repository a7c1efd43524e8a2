"""People, and how they have shown who they are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import Field

from shared.scan import Frozen
from shared.web import Caller, Role

MINIMUM_PASSWORD_LENGTH = 12
MAXIMUM_PASSWORD_LENGTH = 1024


class User(Frozen):
    """A local account. Without a password hash nobody can sign in to it but by a one-time link."""

    id: str
    email: str
    password_hash: str | None = Field(default=None, repr=False)
    role: Role
    disabled: bool = False
    created_at: datetime
    credentials_changed_at: datetime = Field(description="Sessions and tokens from before are void.")

    @property
    def caller(self) -> Caller:
        """Return the user as other services know it."""
        return Caller(user_id=self.id, role=self.role)


class Session(Frozen):
    """A browser session: who signed in, and when."""

    user_id: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a request comes from. `session_id` is empty where a Bearer token said so."""

    user: User
    session_id: str = ""

    @property
    def caller(self) -> Caller:
        """Return the user as other services know it."""
        return self.user.caller


class Action(StrEnum):
    """What the audit log records."""

    SIGNED_IN = "signed_in"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGNED_OUT = "signed_out"
    TOKEN_ISSUED = "token_issued"  # noqa: S105 - the name of an act
    LINK_CREATED = "link_created"
    LINK_USED = "link_used"
    ACCOUNT_CREATED = "account_created"
    WEBHOOK_ADDED = "webhook_added"
    WEBHOOK_REMOVED = "webhook_removed"
    RESCAN_REQUESTED = "rescan_requested"
    RESCAN_CHANGED = "rescan_changed"
