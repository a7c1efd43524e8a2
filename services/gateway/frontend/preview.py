"""Shows every page and state with sample data, under the gateway's content security policy.

Run `python services/gateway/frontend/preview.py` and open http://127.0.0.1:8765/preview. Uploads and
WebSockets answer like the gateway, from memory; `429` or `500` in a file name makes that upload fail once.
"""

# ruff: noqa: ARG001, D103, INP001, S106
# A script for developers, no package: routes say what they do by their names, and the secrets are samples.

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from html import escape

import samples
import uvicorn
from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel

from gateway import views
from gateway.views.rendering import STATIC_ROOT
from gateway.views.text import when
from shared.scan import ScanStatus, Verdict

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self' ws: wss:; "
    "font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
STEP_SECONDS = 1.2
VIEWER = views.Viewer(email="marie@example.org", is_admin=True)
SHELL = views.Shell(csrf_token="preview-token", viewer=VIEWER)
ENTRANCE = views.Shell(csrf_token="preview-token")
FAILED_ONCE: set[str] = set()
UPLOADED: list[views.SubmissionFacts] = []
WEBHOOKS: list[views.WebhookRow] = []

app = FastAPI()
app.mount("/static", StaticFiles(directory=STATIC_ROOT))


@app.middleware("http")
async def add_policy(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    response.headers["Content-Security-Policy"] = POLICY
    return response


def page(template: str, view: BaseModel, status: int = 200) -> HTMLResponse:
    return HTMLResponse(views.render(template, view), status_code=status)


def now() -> datetime:
    return datetime.now(UTC)


def rows() -> tuple[views.SubmissionRow, ...]:
    return tuple(views.submission_row(facts, now()) for facts in (*reversed(UPLOADED), *samples.SUBMISSIONS))


def scan_of(submission_id: str, progress: views.LiveProgress | None = None) -> views.ScanView:
    facts = next(f for f in (*UPLOADED, *samples.SUBMISSIONS) if f.id == submission_id)
    if facts.status is ScanStatus.COMPLETED:
        kind = submission_id if submission_id in samples.DOCUMENTS else "clean"
        return views.scan_view(facts, samples.DOCUMENTS[kind](submission_id), None, now())
    return views.scan_view(facts, None, progress, now())


PAGES = {
    "sign-in": lambda: page("pages/sign_in.html", views.SignInPage(shell=ENTRANCE)),
    "sign-in-error": lambda: page(
        "pages/sign_in.html",
        views.SignInPage(shell=ENTRANCE, email="marie@example.org", error="E-mail and password do not match."),
    ),
    "welcome": lambda: page("pages/welcome.html", views.WelcomePage(shell=ENTRANCE, token="one-time")),
    "home-empty": lambda: page("pages/home.html", views.HomePage(shell=SHELL, max_file_bytes=650_000_000)),
    "history-empty": lambda: page(
        "pages/submissions.html", views.SubmissionsPage(shell=SHELL, filters=views.SubmissionFilters(), rows=())
    ),
    "history-no-match": lambda: page(
        "pages/submissions.html",
        views.SubmissionsPage(
            shell=SHELL, filters=views.SubmissionFilters(name="nothing", verdict=Verdict.CLEAN), rows=()
        ),
    ),
    "shadows-empty": lambda: page("pages/shadows.html", samples.shadows(SHELL, None)),
    "shadows-nothing": lambda: page("pages/shadows.html", samples.shadows(SHELL, samples.comparison(compared=False))),
    "shadows": lambda: page("pages/shadows.html", samples.shadows(SHELL, samples.comparison(compared=True))),
    "settings-issued": lambda: page("pages/settings.html", settings(issued=True)),
    "flashes": lambda: page(
        "pages/home.html",
        views.HomePage(
            shell=SHELL.model_copy(
                update={
                    "flashes": tuple(
                        views.Flash(kind=kind, text=f"This is what a message of kind {kind} looks like.")
                        for kind in views.FlashKind
                    )
                }
            ),
            max_file_bytes=650_000_000,
        ),
    ),
    "scanning": lambda: page("pages/scan.html", views.ScanPage(shell=SHELL, scan=scan_of("live", samples.PROGRESS[3]))),
} | {
    f"error-{status}": lambda status=status: page(
        "pages/error.html",
        views.error_page(
            SHELL, status, "0af7651916cd43dd8448eb211c80319c", retry_after_seconds=42 if status == 429 else None
        ),
        status,
    )
    for status in (403, 404, 429, 500, 503)
}


def settings(*, issued: bool = False, error: str | None = None, url: str = "") -> views.SettingsPage:
    hook = views.WebhookRow(
        id="1",
        url="https://siem.example.org/hooks/fumehood?team=incident-response",
        created=when(now() - timedelta(days=3), now()),
        last_delivery=when(now() - timedelta(minutes=4), now()),
        last_status="200 OK",
        last_succeeded=True,
    )
    broken = hook.model_copy(
        update={"id": "2", "url": "https://old.example.org/in", "last_status": "no answer", "last_succeeded": False}
    )
    secret = views.IssuedWebhook(url="https://new.example.org/hook", secret="whsec_" + "C2FVsBQIhrscChlQ" * 2)
    return views.SettingsPage(
        shell=SHELL,
        base_url="https://fumehood.example.org",
        webhooks=(*WEBHOOKS, hook, broken),
        issued=secret if issued else None,
        error=error,
        url=url,
    )


@app.get("/preview")
async def show_index() -> HTMLResponse:
    links = [f"/preview/{name}" for name in PAGES] + [row.url for row in rows()] + ["/", "/submissions", "/settings"]
    return HTMLResponse("".join(f'<p><a href="{escape(link)}">{escape(link)}</a>' for link in links))


@app.get("/preview/{name}")
async def show_state(name: str) -> HTMLResponse:
    return PAGES[name]()


@app.get("/")
async def show_home() -> HTMLResponse:
    return page("pages/home.html", views.HomePage(shell=SHELL, max_file_bytes=650_000_000, recent=rows()[:6]))


@app.get("/submissions")
async def list_submissions(request: Request) -> HTMLResponse:
    query = dict(request.query_params)
    cursor = query.pop("cursor", None)
    filters = views.SubmissionFilters.model_validate(query)
    found = tuple(r for r in rows() if filters.name.lower() in r.file_name.lower())
    found = tuple(r for r in found if not filters.verdict or r.mark.tone == filters.verdict)
    part, next_cursor = (found[5:], None) if cursor else (found[:5], "next" if len(found) > 5 else None)
    values = {"filters": filters, "rows": part, "next_cursor": next_cursor, "first": cursor is None}
    if "HX-Request" in request.headers:
        return page("partials/submission_rows.html", views.SubmissionRows(**values))
    return page("pages/submissions.html", views.SubmissionsPage(shell=SHELL, **values))


@app.get("/submissions/{submission_id}")
async def show_scan(submission_id: str) -> HTMLResponse:
    return page("pages/scan.html", views.ScanPage(shell=SHELL, scan=scan_of(submission_id)))


@app.get("/settings")
async def show_settings() -> HTMLResponse:
    return page("pages/settings.html", settings())


@app.post("/settings/webhooks")
async def add_webhook(request: Request) -> HTMLResponse:
    url = str((await request.form())["url"])
    if "127." in url:
        view = settings(error="This address is in a private range, which this server does not send to.", url=url)
        return page("partials/webhooks.html", view, 422)
    return page("partials/webhooks.html", settings(issued=True))


@app.post("/settings/webhooks/{webhook_id}/delete")
async def delete_webhook(webhook_id: str) -> HTMLResponse:
    return page("partials/webhooks.html", settings())


@app.post("/files")
async def receive_file(request: Request) -> Response:
    body = await request.form()
    file = body["file"]
    name = file.filename or ""
    key = request.headers.get("Idempotency-Key", "")
    for status, title in ((429, "Too many uploads"), (500, "The upload could not be stored")):
        if str(status) in name and key not in FAILED_ONCE:
            FAILED_ONCE.add(key)
            return JSONResponse({"title": title, "detail": ""}, status, headers={"Retry-After": "3"})
    if "413" in name:
        return JSONResponse({"title": "The file is too large", "detail": "The limit is 650 MB."}, 413)
    facts = samples.facts(secrets.token_urlsafe(9), name, ScanStatus.QUEUED, minutes=0, size_bytes=file.size or 0)
    UPLOADED.append(facts)
    if "application/json" not in request.headers.get("accept", ""):
        return RedirectResponse(f"/submissions/{facts.id}", 303)
    await asyncio.sleep(0.3)
    links = {"self": f"/api/v1/submissions/{facts.id}", "page": f"/submissions/{facts.id}"}
    return JSONResponse({"id": facts.id, "links": links}, 202)


@app.websocket("/ws/submissions")
async def watch_submissions(socket: WebSocket) -> None:
    await socket.accept()
    try:
        while True:
            for number, facts in enumerate(UPLOADED):
                step = {ScanStatus.QUEUED: ScanStatus.SCANNING, ScanStatus.SCANNING: ScanStatus.COMPLETED}
                status = step.get(facts.status, facts.status)
                UPLOADED[number] = facts.model_copy(update={"status": status, "verdict": Verdict.CLEAN})
            chips = [views.SubmissionChip(row=row) for row in rows()]
            await socket.send_text("\n".join(views.render("partials/submission_chip.html", chip) for chip in chips))
            await asyncio.sleep(STEP_SECONDS)
    except (WebSocketDisconnect, RuntimeError):
        return


@app.websocket("/ws/submissions/{submission_id}")
async def watch_scan(socket: WebSocket, submission_id: str) -> None:
    await socket.accept()
    try:
        for progress in samples.PROGRESS:
            view = views.ScanLive(scan=scan_of(submission_id, progress))
            await socket.send_text(views.render("partials/scan_live.html", view))
            await asyncio.sleep(STEP_SECONDS)
        done = views.ScanLive(scan=scan_of("malicious"))
        await socket.send_text(views.render("partials/scan_live.html", done))
        await socket.close()
    except (WebSocketDisconnect, RuntimeError):
        return


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=8765, log_level="warning")
