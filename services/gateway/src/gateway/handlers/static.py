"""Style sheet, scripts, fonts and icons."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Response
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import QueryParams
from starlette.types import Scope

from gateway.views.rendering import STATIC_ROOT

FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "public, no-cache"


def add_static_files(app: FastAPI) -> None:
    """Serve the static files; those asked for by their hash may be kept for ever."""
    app.mount("/static", _HashedFiles(directory=STATIC_ROOT), name="static")


class _HashedFiles(StaticFiles):
    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        scope: Scope = kwargs.get("scope") or args[2]
        hashed = "v" in QueryParams(scope["query_string"])
        response.headers["Cache-Control"] = FOR_EVER if hashed else ASK_AGAIN
        return response
