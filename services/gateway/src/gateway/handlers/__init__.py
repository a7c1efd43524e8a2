"""HTTP and WebSockets in: pages for browsers, the API for programs, live updates for both kinds of page."""

from gateway.handlers import (
    api_accounts,
    api_files,
    api_rescans,
    api_shadows,
    api_submissions,
    api_webhooks,
    documentation,
    pages,
    settings,
    shadows,
    sign_in,
    sockets,
)
from gateway.handlers.errors import add_error_answers
from gateway.handlers.static import add_static_files

ROUTERS = (
    api_accounts.router,
    api_files.router,
    api_rescans.router,
    api_shadows.router,
    api_submissions.router,
    api_webhooks.router,
    documentation.router,
    pages.router,
    settings.router,
    shadows.router,
    sign_in.router,
    sockets.router,
)

__all__ = ["ROUTERS", "add_error_answers", "add_static_files"]
