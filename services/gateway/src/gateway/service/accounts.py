"""Accounts: signing in, one-time links, the first administrator; each act with its entry in the audit log."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import uuid4

from email_validator import EmailNotValidError, validate_email
from sqlalchemy.exc import IntegrityError

from gateway import storage
from gateway.auth.limits import Limit, RateLimits, network_of
from gateway.auth.passwords import Passwords
from gateway.config import Settings
from gateway.errors import LinkSpentError, WrongCredentialsError
from gateway.models.accounts import MAXIMUM_PASSWORD_LENGTH, MINIMUM_PASSWORD_LENGTH, Action, User
from shared.clock import now
from shared.database import Database
from shared.errors import InvalidInputError, NotAuthenticatedError
from shared.web import Role

FIRST_ADMINISTRATOR = "admin@localhost"
SYSTEM = "system"
_WINDOW_SECONDS = 300


class AccountService:
    """Everything that reads or changes accounts."""

    def __init__(self, database: Database, passwords: Passwords, limits: RateLimits, settings: Settings) -> None:
        self._database = database
        self._passwords = passwords
        self._limits = limits
        self._settings = settings
        self._per_address = Limit("sign-in-address", settings.sign_ins_per_address, _WINDOW_SECONDS)
        self._per_account = Limit("sign-in-account", settings.sign_ins_per_account, _WINDOW_SECONDS)

    async def sign_in(self, email: str, password: str, address: str, action: Action = Action.SIGNED_IN) -> User:
        """Return the user with these credentials.

        Raises WrongCredentialsError, RateLimitedError after too many attempts, UnavailableError.
        """
        email = _normalised(email)
        await self._limits.count(self._per_address, network_of(address))
        await self._limits.check(self._per_account, email)
        user = await self._user_by_email(email)
        right = await self._passwords.matches(
            password[: MAXIMUM_PASSWORD_LENGTH + 1], user.password_hash if user else None
        )
        if user is None or user.disabled or not right:
            await self._limits.count(self._per_account, email)
            await self._record(email, Action.SIGN_IN_FAILED, address)
            raise WrongCredentialsError("E-mail and password do not match.")
        await self._limits.forget(self._per_account, email)
        await self._complete_sign_in(user, password, address, action)
        return user

    async def sign_out(self, user: User, address: str) -> None:
        """Record that the user signed out."""
        await self._record(user.email, Action.SIGNED_OUT, address)

    async def record(self, user: User, action: Action, address: str, target: str) -> None:
        """Record an act of the user upon something."""
        await self._record(user.email, action, address, target=target)

    async def active_user(self, user_id: str, since: datetime) -> User:
        """Return a user who has shown at `since` who it is.

        Raises NotAuthenticatedError if there is none, it is disabled, or its password was changed later.
        """
        async with self._database.read() as session:
            user = await storage.find_user(session, user_id)
        if user is None or user.disabled or since < user.credentials_changed_at:
            raise NotAuthenticatedError("This account is disabled or has a new password. Sign in again.")
        return user

    async def emails_of(self, user_ids: Collection[str]) -> dict[str, str]:
        """Return the e-mails of users by id."""
        async with self._database.read() as session:
            return await storage.emails_of(session, user_ids)

    async def link_user(self, token: str) -> User:
        """Return whose one-time link this is; the link stays usable. Raises LinkSpentError."""
        async with self._database.read() as session:
            user = await storage.find_link_user(session, _hashed(token))
        if user is None:
            raise LinkSpentError("This link was used already, has expired or never existed. Ask for a new one.")
        return user

    async def use_link(self, token: str, email: str, password: str, address: str) -> User:
        """Set the e-mail and password of the link's user and spend the link.

        Raises LinkSpentError, and InvalidInputError for an e-mail or password that cannot be used.
        """
        await self._limits.count(self._per_address, network_of(address))
        user = await self.link_user(token)
        email = _valid_email(email)
        password_hash = await self._passwords.hash(_valid_password(password))
        try:
            async with self._database.transaction() as transaction:
                if not await storage.spend_link(transaction.session, _hashed(token)):
                    raise LinkSpentError("This link was used just now. Ask for a new one.")
                await storage.update_credentials(transaction.session, user.id, email, password_hash)
                await storage.insert_audit(
                    transaction.session, email, Action.LINK_USED, target=user.id, address=address
                )
        except IntegrityError:
            raise InvalidInputError("Another account has this e-mail.") from None
        return user.model_copy(update={"email": email, "password_hash": password_hash})

    async def create_account(self, email: str, role: Role, password: str | None = None) -> User:
        """Return the account with this e-mail, made if there is none; an existing one stays as it is."""
        email = email if email == FIRST_ADMINISTRATOR else _valid_email(email)
        password_hash = await self._passwords.hash(_valid_password(password)) if password is not None else None
        user = User(
            id=str(uuid4()),
            email=email,
            password_hash=password_hash,
            role=role,
            created_at=now(),
            credentials_changed_at=now(),
        )
        async with self._database.transaction() as transaction:
            created = await storage.insert_user(transaction.session, user)
            if created:
                await storage.insert_audit(
                    transaction.session, SYSTEM, Action.ACCOUNT_CREATED, target=email, detail={"role": role}
                )
        if created:
            return user
        async with self._database.read() as session:
            return await storage.get_user_by_email(session, email)

    async def create_link(self, user: User) -> str:
        """Return the path of a new one-time link for the user; earlier ones become void."""
        token = secrets.token_urlsafe(32)
        expires_at = now() + timedelta(seconds=self._settings.sign_in_link_seconds)
        async with self._database.transaction() as transaction:
            await storage.insert_link(transaction.session, _hashed(token), user.id, expires_at)
            await storage.insert_audit(transaction.session, SYSTEM, Action.LINK_CREATED, target=user.email)
        return f"/welcome/{token}"

    async def find_administrator(self) -> User | None:
        """Return the oldest administrator who may sign in."""
        async with self._database.read() as session:
            return await storage.find_first_administrator(session)

    async def create_administrator_link(self) -> str:
        """Return the path of a new one-time link for the administrator, whose account is made if there is none."""
        administrator = await self.find_administrator()
        if administrator is None:
            administrator = await self.create_account(self._settings.admin_email or FIRST_ADMINISTRATOR, Role.ADMIN)
        return await self.create_link(administrator)

    async def ensure_administrator(self) -> str | None:
        """Make sure that somebody can administer; return the path of a one-time link, None where a password is set.

        With an e-mail and a password in the settings that account is made, without a link.
        """
        password = self._settings.admin_password.get_secret_value()
        if self._settings.admin_email and password:
            await self.create_account(self._settings.admin_email, Role.ADMIN, password)
            return None
        administrator = await self.find_administrator()
        if administrator is not None and administrator.password_hash is not None:
            return None
        return await self.create_administrator_link()

    async def _complete_sign_in(self, user: User, password: str, address: str, action: Action) -> None:
        outdated = self._passwords.is_outdated(user.password_hash or "")
        password_hash = await self._passwords.hash(password) if outdated else None
        async with self._database.transaction() as transaction:
            if password_hash is not None:
                await storage.update_hash(transaction.session, user.id, password_hash)
            await storage.insert_audit(transaction.session, user.email, action, address=address)

    async def _user_by_email(self, email: str) -> User | None:
        async with self._database.read() as session:
            return await storage.find_user_by_email(session, email)

    async def _record(self, actor: str, action: Action, address: str, target: str | None = None) -> None:
        async with self._database.transaction() as transaction:
            await storage.insert_audit(transaction.session, actor, action, target=target, address=address)


def _normalised(email: str) -> str:
    # PostgreSQL cannot compare with a NUL character.
    return email.replace("\0", "").strip().lower()[:254]


def _valid_email(email: str) -> str:
    try:
        checked = validate_email(email.strip(), check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError as error:
        raise InvalidInputError(f"This is not an e-mail address: {error}") from None
    return checked.normalized.lower()


def _valid_password(password: str) -> str:
    if len(password) < MINIMUM_PASSWORD_LENGTH:
        raise InvalidInputError(f"The password needs at least {MINIMUM_PASSWORD_LENGTH} characters.")
    if len(password) > MAXIMUM_PASSWORD_LENGTH:
        raise InvalidInputError(f"The password may have at most {MAXIMUM_PASSWORD_LENGTH} characters.")
    return password


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
