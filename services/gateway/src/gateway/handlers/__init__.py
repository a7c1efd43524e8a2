"""HTTP and WebSockets in: pages for browsers, the API for programs, live updates for both kinds of page."""

from gateway.handlers import (
    api_accounts,
    api_files,
    api_submissions,
    api_webhooks,
    documentation,
    pages,
    settings,
    sign_in,
    sockets,
)
from gateway.handlers.errors import add_error_answers
from gateway.handlers.static import add_static_files

ROUTERS = (
    api_accounts.router,
    api_files.router,
    api_submissions.router,
    api_webhooks.router,
    documentation.router,
    pages.router,
    settings.router,
    sign_in.router,
    sockets.router,
)

__all__ = ["ROUTERS", "add_error_answers", "add_static_files"]
