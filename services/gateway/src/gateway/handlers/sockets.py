"""Live updates: on connect the present state, then what changes, as the parts of pages that htmx replaces."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from gateway.auth.csrf import is_own_origin
from gateway.context import Context
from gateway.handlers.dependencies import CurrentContext, PathId, require_session, signed_in
from gateway.handlers.feeds import Feed, ListFeed, ScanFeed
from gateway.live import Watch
from gateway.models.accounts import Identity
from shared.web import log_error, to_app_error

PAUSE_SECONDS = 0.2
CHECK_SECONDS = 15.0
SEND_SECONDS = 30.0

DONE = 1000
REFUSED = 1008
TRY_AGAIN = 1013
_CLOSE_CODES = {401: 4401, 403: 4403, 404: 4404}
"""A browser connects again by itself only after codes that promise that it helps, such as 1013."""

router = APIRouter()


@router.websocket("/ws/submissions")
async def watch_submissions(socket: WebSocket, context: CurrentContext) -> None:
    """Send the chip of each of the viewer's submissions whenever it changes."""
    await _serve(socket, context, lambda identity: ListFeed(context, identity))


@router.websocket("/ws/submissions/{submission_id}")
async def watch_submission(socket: WebSocket, context: CurrentContext, submission_id: PathId) -> None:
    """Send the live part of a scan page until the scan has ended."""
    await _serve(socket, context, lambda identity: ScanFeed(context, identity, submission_id))


async def _serve(socket: WebSocket, context: Context, open_feed: Callable[[Identity], Feed]) -> None:
    if not is_own_origin(socket.headers, context.settings.public_url):
        await socket.close(REFUSED)
        return
    await socket.accept()
    sender = asyncio.create_task(_send_all(socket, context, open_feed))
    listener = asyncio.create_task(_listen(socket))
    await asyncio.wait({sender, listener}, return_when=asyncio.FIRST_COMPLETED)
    gone = listener.done()
    for task in (sender, listener):
        task.cancel()
    code, _ = await asyncio.gather(sender, listener, return_exceptions=True)
    if not gone:
        with suppress(WebSocketDisconnect):
            await socket.close(code if isinstance(code, int) else TRY_AGAIN)


async def _send_all(socket: WebSocket, context: Context, open_feed: Callable[[Identity], Feed]) -> int:
    """Send until there is nothing more to send; return the code to close with."""
    try:
        feed = open_feed(await signed_in(socket, context))
        # Watching begins before the state is read, so that nothing falls in between.
        with feed.watch() as watch:
            await _follow(socket, context, feed, watch)
    except WebSocketDisconnect:
        return DONE
    except Exception as exception:  # noqa: BLE001 - the edge of sockets, where errors become close codes
        error = to_app_error(exception)
        log_error(error, exception)
        return _CLOSE_CODES.get(error.status, TRY_AGAIN)
    return DONE


async def _follow(socket: WebSocket, context: Context, feed: Feed, watch: Watch) -> None:
    clock = asyncio.get_running_loop().time
    sent, checked_at = "", clock()
    markup = await feed.present()
    while True:
        if markup and markup != sent:
            async with asyncio.timeout(SEND_SECONDS):
                await socket.send_text(markup)
            sent = markup
        if feed.ended:
            return
        await asyncio.sleep(PAUSE_SECONDS)
        updates = await watch.take(CHECK_SECONDS)
        if not updates or clock() - checked_at > CHECK_SECONDS:
            await require_session(socket, context)
            checked_at = clock()
        # Without news the state is read anew: an event can be lost while the bus is away.
        markup = await feed.after(updates) if updates else await feed.present()


async def _listen(socket: WebSocket) -> None:
    """Return when the browser has gone; what it says is ignored."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
