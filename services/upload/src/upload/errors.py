"""Errors that only the upload service raises."""

from __future__ import annotations

from shared.errors import ClientError, InvalidInputError


class IdempotencyKeyReusedError(InvalidInputError):
    """The same key came with other bytes (draft-ietf-httpapi-idempotency-key-header)."""

    code = "idempotency_key_reused"


class BrokenUploadError(ClientError):
    """The body is not a multipart form with one file, or it ended early."""

    code = "broken_upload"
    title = "Broken upload"
