"""Access tokens of the API: JWT (RFC 7519) signed with ES256, valid for minutes, checked without a look-up."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from gateway.config import Settings
from gateway.models.accounts import User
from shared.errors import NotAuthenticatedError, PermanentError

ISSUER = "fumehood"
AUDIENCE = "fumehood-api"
_ALGORITHMS = ["ES256"]
_KEY_FILE = "jwt-key.pem"


class AccessTokens:
    """Issues and checks tokens with one key."""

    def __init__(self, key: ECKey, lifetime_seconds: int) -> None:
        self._key = key
        self._kid = key.thumbprint()
        self.lifetime_seconds = lifetime_seconds

    def issue(self, user: User) -> str:
        """Return a token for the user."""
        issued = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user.id,
            "role": user.role.value,
            "iat": issued,
            "exp": issued + self.lifetime_seconds,
            "jti": str(uuid4()),
        }
        return jwt.encode({"alg": "ES256", "kid": self._kid, "typ": "JWT"}, claims, self._key)

    def read(self, token: str) -> tuple[str, datetime]:
        """Return whose token this is and when it was issued at the latest.

        Raises NotAuthenticatedError if it is not ours or has expired.
        """
        registry = jwt.JWTClaimsRegistry(
            leeway=5,
            iss={"essential": True, "value": ISSUER},
            aud={"essential": True, "value": AUDIENCE},
            sub={"essential": True},
            iat={"essential": True},
            exp={"essential": True},
        )
        try:
            claims = jwt.decode(token, self._key, algorithms=_ALGORITHMS).claims
            registry.validate(claims)
            return str(claims["sub"]), datetime.fromtimestamp(claims["iat"] + 1, UTC)
        except (JoseError, ValueError, TypeError):
            raise NotAuthenticatedError("The access token is wrong or has expired; get a new one.") from None

    def key_set(self) -> dict[str, Any]:
        """Return the public key as a JSON Web Key Set (RFC 7517)."""
        public = {**self._key.as_dict(private=False), "kid": self._kid, "use": "sig", "alg": "ES256"}
        return {"keys": [public]}


def load_signing_key(settings: Settings) -> ECKey:
    """Return the key of the settings, else the one kept in the data directory, else a new one.

    Raises PermanentError if it is not a P-256 private key in PEM.
    """
    pem = settings.jwt_private_key.get_secret_value().encode()
    path = settings.data_dir / _KEY_FILE if settings.data_dir else None
    if not pem and path is not None and path.exists():
        pem = path.read_bytes()
    if pem:
        return _import(pem)
    key = ECKey.generate_key("P-256", private=True)
    if path is not None:
        _keep(path, key.as_pem(private=True))
    return key


def is_signing_key_kept(settings: Settings) -> bool:
    """Return whether the key is known beforehand, so that every process that loads it has the same."""
    in_directory = settings.data_dir is not None and (settings.data_dir / _KEY_FILE).exists()
    return bool(settings.jwt_private_key.get_secret_value()) or in_directory


def _import(pem: bytes) -> ECKey:
    try:
        key = ECKey.import_key(pem)
    except (JoseError, ValueError) as error:
        raise PermanentError("FUMEHOOD_JWT_PRIVATE_KEY is not a private key in PEM.") from error
    if not key.is_private or key.curve_name != "P-256":
        raise PermanentError("FUMEHOOD_JWT_PRIVATE_KEY must be a private key on the curve P-256.")
    return key


def _keep(path: Path, pem: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
