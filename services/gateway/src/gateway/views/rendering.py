"""Templates to text, with everything escaped."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import BaseModel

from gateway.views.pages import curl_example
from gateway.views.text import file_name, visible, visible_lines
from shared.presentation.text import count_text, plain_name, size_text

PACKAGE_ROOT = Path(__file__).parent.parent
STATIC_ROOT = PACKAGE_ROOT / "static"
TEMPLATES_ROOT = PACKAGE_ROOT / "templates"


def render(template: str, view: BaseModel) -> str:
    """Return a template filled with a view model, whose fields become the template's variables.

    Raises jinja2.TemplateNotFound for an unknown template and jinja2.UndefinedError where the model
    lacks something that the template shows.
    """
    return environment().get_template(template).render(**dict(view))


@cache
def environment() -> Environment:
    """Return the environment that all templates share; undefined names are errors."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES_ROOT),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "count": count_text,
        "curl_example": curl_example,
        "file_name": file_name,
        "plain_name": plain_name,
        "size": size_text,
        "visible": visible,
        "visible_lines": visible_lines,
    }
    made.globals["static"] = static_url
    return made


@cache
def static_url(path: str) -> str:
    """Return the address of a static file; it changes with the content, so that it can be cached for ever."""
    digest = hashlib.sha256((STATIC_ROOT / path).read_bytes()).hexdigest()
    return f"/static/{path}?v={digest[:12]}"
