"""The API's documentation for people: Swagger UI from our own files, under the same policy as all pages."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from gateway import openapi
from gateway.handlers.answers import page
from shared.scan import Frozen

router = APIRouter(include_in_schema=False)


class DocumentationPage(Frozen):
    """`pages/documentation.html`."""

    document_path: str


@router.get("/docs")
async def show_documentation() -> Response:
    """Show the documentation."""
    return page("pages/documentation.html", DocumentationPage(document_path=openapi.PATH))


@router.get(openapi.PATH)
async def read_document(request: Request) -> Response:
    """Return the OpenAPI document."""
    return JSONResponse(openapi.document(request.app))
