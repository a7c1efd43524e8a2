"""The page on which an administrator compares detectors in shadow with the live ones."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Response

from gateway import views
from gateway.handlers.answers import attempt, page
from gateway.handlers.dependencies import Administrator, CurrentContext, shell
from shared.clients import Comparison, ComparisonQuery, ShadowVersion
from shared.clock import now
from shared.errors import ClientError
from shared.scan import Frozen

router = APIRouter(prefix="/settings/detectors", include_in_schema=False)


class ShadowChoice(Frozen):
    """What the page's form sends; what makes no sense is left out."""

    shadow: str = ""
    reference: str = ""
    days: str = ""

    def pick(self, shadows: tuple[ShadowVersion, ...]) -> ShadowVersion | None:
        """Return the version that is meant, else the latest."""
        named = (one for one in shadows if views.shadow_key(one) == self.shadow)
        return next(named, shadows[0] if shadows else None)

    def query(self, version: str) -> ComparisonQuery:
        """Return the comparison that is meant."""
        days = int(self.days or 0) if self.days in views.PERIODS else 0
        since = now() - timedelta(days=days) if days else None
        return ComparisonQuery(version=version, reference=self.reference[:64] or None, since=since)


@router.get("")
async def show_shadows(
    context: CurrentContext, identity: Administrator, choice: Annotated[ShadowChoice, Query()]
) -> Response:
    """Show the detectors in shadow and the comparison of one of them."""
    shadows = await context.results.list_shadows(identity.caller)
    chosen = choice.pick(shadows)
    found: Comparison | ClientError | None = None
    if chosen is not None:
        query = choice.query(chosen.version)
        found = await attempt(context.results.compare(identity.caller, chosen.detector, query))
        if isinstance(found, ClientError) and query.reference is not None:
            # That live detector did not look at the same files; another one may have.
            query = query.model_copy(update={"reference": None})
            found = await attempt(context.results.compare(identity.caller, chosen.detector, query))
    comparison = None if isinstance(found, ClientError) else found
    frame, period = shell(context, identity), choice.days if choice.days in views.PERIODS else ""
    return page("pages/shadows.html", views.shadows_page(frame, shadows, chosen, comparison, now(), period=period))
