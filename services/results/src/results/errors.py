"""Errors that only the results service raises."""

from __future__ import annotations

from shared.errors import PermanentError


class DocumentMismatchError(PermanentError):
    """A scan document is missing or belongs to another scan or other bytes; recording it would be a lie."""

    code = "document_mismatch"
