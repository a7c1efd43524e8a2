"""The OpenAPI document of the public API."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from shared.web.problems import MEDIA_TYPE

PATH = "/api/openapi.json"
TITLE = "Fumehood"
VERSION = "1"
DESCRIPTION = """\
Submit files, wait for their verdict, fetch reports. Errors are problem details (RFC 9457).

Get an access token from `POST /api/v1/auth/token`, then:

1. `POST /api/v1/files` with the file as multipart field `file`; the answer has the submission's `id`.
2. `GET /api/v1/submissions/{id}?wait=60`, again until `status` is `completed`, `failed` or `expired`.
3. Read `verdict` and `coverage`: `clean` means that everything was looked at; what was not is `unknown`.
"""
_METHODS = frozenset({"get", "post", "put", "patch", "delete"})


def document(app: FastAPI) -> dict[str, Any]:
    """Return the document; made at the first call."""
    if app.openapi_schema is None:
        app.openapi_schema = get_openapi(title=TITLE, version=VERSION, description=DESCRIPTION, routes=app.routes)
        _name_problems(app.openapi_schema)
        _drop_unused(app.openapi_schema)
    return app.openapi_schema


def _drop_unused(schema: dict[str, Any]) -> None:
    """Leave out the bodies of FastAPI's own validation errors, which are problems here."""
    for name in ("HTTPValidationError", "ValidationError"):
        schema["components"]["schemas"].pop(name, None)


def _name_problems(schema: dict[str, Any]) -> None:
    """Give error answers the media type that they have."""
    operations = (path[method] for path in schema["paths"].values() for method in _METHODS & path.keys())
    for operation in operations:
        for status, response in operation["responses"].items():
            content = response.get("content", {})
            if int(status) >= 400 and "application/json" in content:
                content[MEDIA_TYPE] = content.pop("application/json")
