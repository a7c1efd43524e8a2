"""What live sockets send: one scan, or the chips of a list."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager

from gateway import views
from gateway.context import Context
from gateway.handlers.answers import row_of_update, rows_of, scan_of
from gateway.live import Watch
from gateway.models.accounts import Identity
from gateway.models.live import Update
from shared.clients import ScanDetail, ScanFilter

CHIPS = 50


class Feed(ABC):
    """The content of one socket. Errors of the services pass through."""

    ended = False
    """Whether nothing more will ever come."""

    def __init__(self, context: Context, identity: Identity) -> None:
        self._context = context
        self._identity = identity

    @abstractmethod
    def watch(self) -> AbstractContextManager[Watch]:
        """Subscribe to what this feed shows."""

    @abstractmethod
    async def present(self) -> str:
        """Return the present state, read anew."""

    @abstractmethod
    async def after(self, updates: tuple[Update, ...]) -> str:
        """Return what the updates change."""


class ScanFeed(Feed):
    """All of one scan page that changes; ends when no scan of the submission is open."""

    def __init__(self, context: Context, identity: Identity, submission_id: str) -> None:
        super().__init__(context, identity)
        self._submission_id = submission_id
        self._detail: ScanDetail | None = None

    def watch(self) -> AbstractContextManager[Watch]:
        return self._context.live.watch(submission_id=self._submission_id)

    async def present(self) -> str:
        self._detail = await self._context.submissions.detail(self._identity.caller, self._submission_id)
        self.ended = not self._detail.open
        return await self._markup(self._detail)

    async def after(self, updates: tuple[Update, ...]) -> str:
        latest, detail = updates[-1], self._detail
        if latest.status.terminal or detail is None:
            return await self.present()
        if latest.scan_id == detail.scan_id:
            return await self._markup(detail.model_copy(update={"status": latest.status}))
        if detail.rescan is None or detail.rescan.scan_id != latest.scan_id:
            return await self.present()
        rescan = detail.rescan.model_copy(update={"status": latest.status})
        return await self._markup(detail.model_copy(update={"rescan": rescan}))

    async def _markup(self, detail: ScanDetail) -> str:
        scan = await scan_of(self._context, self._identity, detail)
        return views.render("partials/scan_live.html", views.ScanLive(scan=scan))


class ListFeed(Feed):
    """The chips of the latest submissions, and of every one that changes; an administrator's list shows everyone's."""

    def watch(self) -> AbstractContextManager[Watch]:
        caller = self._identity.caller
        return self._context.live.watch(user_id=None if caller.sees_everything else caller.user_id)

    async def present(self) -> str:
        page = await self._context.submissions.page(self._identity.caller, ScanFilter(), cursor=None, limit=CHIPS)
        return _chips(await rows_of(self._context, self._identity, page.items))

    async def after(self, updates: tuple[Update, ...]) -> str:
        # A submission keeps its verdict in lists until a rescan has found another one.
        shown = (update for update in updates if update.status.terminal or not update.rescan)
        return _chips(tuple(row_of_update(update) for update in shown))


def _chips(rows: tuple[views.SubmissionRow, ...]) -> str:
    return "\n".join(views.render("partials/submission_chip.html", views.SubmissionChip(row=row)) for row in rows)
