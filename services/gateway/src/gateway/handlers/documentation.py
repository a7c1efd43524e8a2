"""The API's documentation for people: Swagger UI from our own files, under a policy as strict as that of all pages."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from gateway import openapi
from gateway.handlers.answers import page
from shared.scan import Frozen

router = APIRouter(include_in_schema=False)


# Swagger UI adds a style element without content: the hash is that of nothing.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


class DocumentationPage(Frozen):
    """`pages/documentation.html`."""

    document_path: str


@router.get("/docs")
async def show_documentation() -> Response:
    """Show the documentation."""
    response = page("pages/documentation.html", DocumentationPage(document_path=openapi.PATH))
    response.headers["Content-Security-Policy"] = _POLICY
    return response


@router.get(openapi.PATH)
async def read_document(request: Request) -> Response:
    """Return the OpenAPI document."""
    return JSONResponse(openapi.document(request.app))
