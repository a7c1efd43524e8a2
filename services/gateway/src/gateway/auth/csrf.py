"""Proof that a request of a browser comes from our own page: a token bound to its cookie, and where it comes from.

Sources: OWASP CSRF Prevention Cheat Sheet (signed double submit), Fetch Metadata (W3C).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

FIELD = "csrf_token"
HEADER = "X-CSRF-Token"


class CsrfTokens:
    """Tokens derived from a cookie's value with a key that only this server has."""

    def __init__(self, secret: str) -> None:
        self._key = hashlib.sha256(b"fumehood csrf " + secret.encode()).digest()

    def issue(self, cookie_value: str) -> str:
        """Return the token for pages that are shown to the holder of the cookie."""
        digest = hmac.digest(self._key, cookie_value.encode(), "sha256")
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def matches(self, cookie_value: str, token: str) -> bool:
        """Return whether the token belongs to the cookie."""
        return bool(cookie_value) and hmac.compare_digest(self.issue(cookie_value).encode(), token.encode())


def is_foreign(headers: Mapping[str, str], public_url: str | None) -> bool:
    """Return whether the browser itself says that another site sent the request."""
    if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        return True
    return "origin" in headers and not is_own_origin(headers, public_url)


def is_own_origin(headers: Mapping[str, str], public_url: str | None) -> bool:
    """Return whether the Origin header names this server."""
    origin = urlsplit(headers.get("origin", "")).netloc.lower()
    own = {headers.get("host", "").lower(), urlsplit(public_url or "").netloc.lower()}
    return bool(origin) and origin in own
