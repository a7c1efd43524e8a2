"""Service tokens: how one service proves to another who is calling and on whose behalf.

A token is a JWT (RFC 7519), HS256, valid for 60 seconds, for one audience. It carries the
user, so that the service that owns the data decides what the user may see.
"""

from __future__ import annotations

import time
from enum import StrEnum

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from shared.errors import NotAllowedError, NotAuthenticatedError
from shared.scan import Frozen

LIFETIME_SECONDS = 60
_ISSUER = "fumehood"


class Role(StrEnum):
    """What a caller may do. A service acts for itself, not for a user."""

    USER = "user"
    ADMIN = "admin"
    SERVICE = "service"


class Caller(Frozen):
    """Who is calling: the user's id and role, or a service."""

    user_id: str
    role: Role

    @property
    def sees_everything(self) -> bool:
        """Whether the caller may see what belongs to others."""
        return self.role in {Role.ADMIN, Role.SERVICE}

    def may_see(self, owner_id: str) -> bool:
        """Return whether the caller may see a thing of that owner."""
        return self.sees_everything or self.user_id == owner_id

    def require_administrator(self) -> None:
        """Raise NotAllowedError unless the caller may see and do everything."""
        if not self.sees_everything:
            raise NotAllowedError("Only an administrator may do this.")

    def require_service(self) -> None:
        """Raise NotAllowedError unless a service calls for itself."""
        if self.role is not Role.SERVICE:
            raise NotAllowedError("Only a service may do this.")


def service_caller(service: str) -> Caller:
    """Return the caller that a service is when it acts for itself."""
    return Caller(user_id=f"service:{service}", role=Role.SERVICE)


def issue_service_token(secret: str, caller: Caller, audience: str) -> str:
    """Return a signed token for a call to the service `audience`."""
    issued = int(time.time())
    claims = {
        "iss": _ISSUER,
        "sub": caller.user_id,
        "role": caller.role.value,
        "aud": audience,
        "iat": issued,
        "exp": issued + LIFETIME_SECONDS,
    }
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(secret))


def verify_service_token(secret: str, token: str, audience: str) -> Caller:
    """Return who calls. Raises NotAuthenticatedError if the token is not ours, not for us or too old."""
    registry = jwt.JWTClaimsRegistry(
        leeway=5,
        iss={"essential": True, "value": _ISSUER},
        aud={"essential": True, "value": audience},
        sub={"essential": True},
        exp={"essential": True},
    )
    try:
        decoded = jwt.decode(token, OctKey.import_key(secret), algorithms=["HS256"])
        registry.validate(decoded.claims)
        return Caller(user_id=decoded.claims["sub"], role=Role(decoded.claims["role"]))
    except (JoseError, ValueError, KeyError):
        raise NotAuthenticatedError("The service token is missing, wrong or expired.") from None
