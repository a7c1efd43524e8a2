"""Webhook secrets: made here, shown once, stored encrypted (docs/adr/0007)."""

from __future__ import annotations

import base64
import secrets

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from notifier.errors import UnreadableSecretError

SECRET_BYTES = 32
_PURPOSE = b"fumehood notifier: webhook secrets, version 1"


def new_webhook_secret() -> str:
    """Return a random secret as the Standard Webhooks specification writes it: `whsec_` and base64."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


class Seal:
    """Encrypts and decrypts under a key derived (HKDF, RFC 5869) from the service secret."""

    def __init__(self, service_secret: str) -> None:
        key = HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE).derive(service_secret.encode())
        self._fernet = Fernet(base64.urlsafe_b64encode(key))

    def close(self, secret: str) -> str:
        """Return the secret encrypted and authenticated, as text."""
        return self._fernet.encrypt(secret.encode()).decode()

    def open(self, sealed: str) -> str:
        """Return the secret. Raises UnreadableSecretError if it was sealed under another service secret."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken:
            message = "The secret of this webhook cannot be read any more; make the webhook again."
            raise UnreadableSecretError(message) from None
