"""What each template takes. The fields of a model are the variables of its template."""

from __future__ import annotations

import shlex
from enum import StrEnum

from gateway.views.scan import ScanView
from gateway.views.submissions import SubmissionFilters, SubmissionRow
from gateway.views.text import When
from shared.scan import Frozen, Verdict


class Viewer(Frozen):
    """The person who is signed in."""

    email: str
    is_admin: bool = False


class FlashKind(StrEnum):
    """The weight of a message."""

    INFO = "info"
    SUCCESS = "success"
    ERROR = "error"


class Flash(Frozen):
    """A message shown once at the top of a page."""

    kind: FlashKind
    text: str


class Shell(Frozen):
    """What surrounds every page."""

    csrf_token: str
    viewer: Viewer | None = None
    flashes: tuple[Flash, ...] = ()


class SignInPage(Frozen):
    """`pages/sign_in.html`."""

    shell: Shell
    email: str = ""
    error: str | None = None
    next_path: str = "/"


class WelcomePage(Frozen):
    """`pages/welcome.html`: the administrator's one-time link."""

    shell: Shell
    token: str
    email: str = ""
    error: str | None = None
    minimum_password_length: int = 12


class HomePage(Frozen):
    """`pages/home.html`."""

    shell: Shell
    max_file_bytes: int
    recent: tuple[SubmissionRow, ...] = ()


class ScanPage(Frozen):
    """`pages/scan.html`."""

    shell: Shell
    scan: ScanView


class ScanLive(Frozen):
    """`partials/scan_live.html`: the part of the scan page that the WebSocket replaces."""

    scan: ScanView


class SubmissionChip(Frozen):
    """`partials/submission_chip.html`: the verdict of one row, replaced by the WebSocket on lists."""

    row: SubmissionRow


class SubmissionsPage(Frozen):
    """`pages/submissions.html`."""

    shell: Shell
    filters: SubmissionFilters
    rows: tuple[SubmissionRow, ...]
    next_cursor: str | None = None
    first: bool = True
    verdicts: tuple[Verdict, ...] = tuple(Verdict)


class SubmissionRows(Frozen):
    """`partials/submission_rows.html`: rows for `load more` and for changed filters.

    `first` is false where a cursor was given, so that an empty later page is not an empty history.
    """

    filters: SubmissionFilters
    rows: tuple[SubmissionRow, ...]
    next_cursor: str | None = None
    first: bool = True


class WebhookRow(Frozen):
    """One webhook of the viewer."""

    id: str
    url: str
    created: When
    last_delivery: When | None = None
    last_status: str | None = None
    """In words, e.g. `200 OK` or `no answer`."""
    last_succeeded: bool | None = None


class IssuedWebhook(Frozen):
    """A webhook just made; its secret is shown this once."""

    url: str
    secret: str


class WebhookSection(Frozen):
    """`partials/webhooks.html`: the list, the form, and what came of the last act."""

    shell: Shell
    webhooks: tuple[WebhookRow, ...] = ()
    issued: IssuedWebhook | None = None
    url: str = ""
    error: str | None = None


class SettingsPage(WebhookSection):
    """`pages/settings.html`."""

    base_url: str
    """Scheme, host and port of this server, as the curl example shows them."""


class ErrorPage(Frozen):
    """`pages/error.html`."""

    shell: Shell
    status: int
    title: str
    detail: str
    advice: str
    request_id: str
    retry_after_seconds: int | None = None


_TITLES = {
    400: (
        "That did not make sense",
        "The server could not read the request.",
        "Go back and try again from the page you came from.",
    ),
    403: (
        "This is not yours to see",
        "Your account may not open this page.",
        "Ask its owner to share it with you, or an administrator.",
    ),
    404: (
        "Nothing here",
        "There is no page or submission at this address.",
        "Check the address. A submission that somebody else handed in looks like this, too.",
    ),
    405: (
        "Not that way",
        "This address does not take that kind of request.",
        "Go back and try again from the page you came from.",
    ),
    413: (
        "Too large",
        "The file is larger than this server takes.",
        "Unpack it and submit the parts, or ask an administrator to raise the limit.",
    ),
    429: (
        "One moment",
        "There were too many requests from your account or address.",
        "Wait a little and try again. Nothing was lost.",
    ),
    500: (
        "Something broke here",
        "The server hit an error that it did not expect.",
        "Try again. If it stays, give the request id to an administrator: it leads to the log.",
    ),
    503: (
        "Part of Fumehood is not answering",
        "A service that this page needs is not answering.",
        "Accepted files are safe and will be scanned. Try again in a minute.",
    ),
}


def error_page(
    shell: Shell, status: int, request_id: str, detail: str | None = None, retry_after_seconds: int | None = None
) -> ErrorPage:
    """Return the page for an HTTP error; `detail` replaces the usual sentence where it may be shown."""
    title, usual_detail, advice = _TITLES.get(status) or _TITLES[400 if status < 500 else 500]
    return ErrorPage(
        shell=shell,
        status=status,
        title=title,
        detail=detail or usual_detail,
        advice=advice,
        request_id=request_id,
        retry_after_seconds=retry_after_seconds,
    )


def curl_example(base_url: str, email: str) -> str:
    """Return shell commands that submit a file and wait for its verdict."""
    user = shlex.quote(f"username={email}")
    api = f"{base_url.rstrip('/')}/api/v1"
    return (
        "read -rsp 'Password: ' PASSWORD\n"
        f"TOKEN=$(curl -s {api}/auth/token --data-urlencode {user} \\\n"
        '  --data-urlencode "password=$PASSWORD" | jq -r .access_token)\n'
        "\n"
        f'ID=$(curl -s {api}/files -H "Authorization: Bearer $TOKEN" -F file=@sample.zip | jq -r .id)\n'
        "\n"
        f'curl -s "{api}/submissions/$ID?wait=60" -H "Authorization: Bearer $TOKEN"'
    )
