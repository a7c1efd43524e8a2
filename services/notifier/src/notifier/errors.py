"""Errors that only the notifier raises."""

from __future__ import annotations

from shared.errors import ConflictError, InvalidInputError, PermanentError


class AddressNotAllowedError(InvalidInputError):
    """A webhook must not go to this address."""

    code = "address_not_allowed"
    title = "Address not allowed"


class AddressNotFoundError(InvalidInputError):
    """The host name of a webhook has no address now."""

    code = "address_not_found"
    title = "Address not found"


class TooManySubscriptionsError(ConflictError):
    """The user has as many webhooks as the settings allow."""

    code = "too_many_subscriptions"
    title = "Too many webhooks"


class UnreadableSecretError(PermanentError):
    """A stored webhook secret was encrypted under another service secret."""

    code = "unreadable_secret"
