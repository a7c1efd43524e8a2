"""API: detectors in shadow beside the live ones."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from gateway.handlers.dependencies import ApiAdministrator, CurrentContext
from gateway.handlers.problems import problems
from shared.clients import Comparison, ComparisonQuery, ShadowVersion

router = APIRouter(prefix="/api/v1/shadows", tags=["Administration"])

DetectorName = Annotated[str, Path(pattern="^[a-z0-9][a-z0-9-]{0,63}$", description="As in the pack's manifest.")]


@router.get("", summary="List detectors in shadow", responses=problems(401, 403, 429, 503))
async def list_shadows(context: CurrentContext, identity: ApiAdministrator) -> tuple[ShadowVersion, ...]:
    """Return every version of a detector that has looked at something in shadow, the latest first."""
    return await context.results.list_shadows(identity.caller)


@router.get("/{detector}", summary="Compare a detector in shadow", responses=problems(401, 403, 404, 422, 429, 503))
async def compare_shadow(
    context: CurrentContext,
    identity: ApiAdministrator,
    detector: DetectorName,
    query: Annotated[ComparisonQuery, Query()],
) -> Comparison:
    """Return agreement with the live detectors, scores of both, and what would be flagged otherwise."""
    return await context.results.compare(identity.caller, detector, query)
