"""Where an address in a document leads, as far as its scheme tells."""

from __future__ import annotations

import re

PAGE_SCHEMES = frozenset({"ftp", "http", "https", "mailto", "tel"})
"""Those of addresses that show a page or begin a message, where somebody clicks."""

SCHEME = re.compile(r"([A-Za-z][\w+.-]*):")
"""What an address with a scheme begins with."""


def scheme_of(address: str) -> str | None:
    """Return the scheme in lower case; None for an address without one."""
    scheme = SCHEME.match(address)
    return scheme[1].lower() if scheme else None
