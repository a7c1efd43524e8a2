"""HTTP in: webhook subscriptions of the caller."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.status import HTTP_201_CREATED, HTTP_204_NO_CONTENT

from notifier.context import Context
from shared.clients.notifier import NewSubscription, Subscription
from shared.web import VerifiedCaller

router = APIRouter(prefix="/internal/v1")


def current_context(request: Request) -> Context:
    """Return the process-wide context."""
    context: Context = request.app.state.context
    return context


CurrentContext = Annotated[Context, Depends(current_context)]


@router.post("/subscriptions", status_code=HTTP_201_CREATED)
async def create_subscription(new: NewSubscription, caller: VerifiedCaller, context: CurrentContext) -> Subscription:
    """Add a webhook; this answer alone holds its secret."""
    return await context.service.create_subscription(caller, new)


@router.get("/subscriptions")
async def list_subscriptions(caller: VerifiedCaller, context: CurrentContext) -> tuple[Subscription, ...]:
    """Return the caller's webhooks with their last deliveries."""
    return await context.service.list_subscriptions(caller)


@router.delete("/subscriptions/{subscription_id}", status_code=HTTP_204_NO_CONTENT)
async def delete_subscription(subscription_id: str, caller: VerifiedCaller, context: CurrentContext) -> None:
    """Remove a webhook."""
    await context.service.delete_subscription(caller, subscription_id)
