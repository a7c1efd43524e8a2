"""Passwords for encrypted containers: those of the submission, then those that samples travel with."""

from __future__ import annotations

DEFAULT_PASSWORDS = (
    "infected", "virus", "malware", "password", "infected!", "novirus", "dangerous", "sample", "123", "1234",
    "12345", "123456", "qwerty",
)  # fmt: skip
# A container whose first members all resist is not asked for every further member.
_FAILURES_TO_GIVE_UP = 10


class PasswordTrial:
    """The order in which passwords are tried: the last that fitted first, and not for ever in vain."""

    def __init__(self, given: tuple[str, ...]) -> None:
        self._candidates = list(dict.fromkeys((*given, *DEFAULT_PASSWORDS)))
        self._failures = 0

    def candidates(self) -> tuple[str, ...]:
        """Return what to try on the next member; nothing once too many have resisted."""
        return tuple(self._candidates) if self._failures < _FAILURES_TO_GIVE_UP else ()

    def fitted(self, password: str) -> None:
        """Remember the password for the members that follow."""
        self._failures = 0
        self._candidates.remove(password)
        self._candidates.insert(0, password)

    def failed(self) -> None:
        """Remember that no password fitted a member."""
        self._failures += 1
