"""API: webhooks."""

from __future__ import annotations

from fastapi import APIRouter, Response

from gateway.handlers.dependencies import ApiIdentity, ClientAddress, CurrentContext, PathId
from gateway.handlers.problems import problems
from gateway.models.accounts import Action
from shared.clients import NewSubscription
from shared.clients.notifier import Subscription

router = APIRouter(prefix="/api/v1/webhooks", tags=["Webhooks"])


@router.post("", status_code=201, summary="Add a webhook", responses=problems(401, 403, 422, 429, 503))
async def add_webhook(
    context: CurrentContext, identity: ApiIdentity, address: ClientAddress, new: NewSubscription
) -> Subscription:
    """Have events of your scans posted to an address, signed after Standard Webhooks. The secret is shown this once."""
    subscription = await context.notifier.create_subscription(identity.caller, new)
    await context.accounts.record(identity.user, Action.WEBHOOK_ADDED, address, target=subscription.id)
    return subscription


@router.get("", summary="List webhooks", responses=problems(401, 429, 503))
async def list_webhooks(context: CurrentContext, identity: ApiIdentity) -> tuple[Subscription, ...]:
    """Return your webhooks with their last delivery."""
    return await context.notifier.list_subscriptions(identity.caller)


@router.delete(
    "/{webhook_id}", status_code=204, summary="Remove a webhook", responses=problems(401, 403, 404, 422, 429, 503)
)
async def remove_webhook(
    context: CurrentContext, identity: ApiIdentity, address: ClientAddress, webhook_id: PathId
) -> Response:
    """Send nothing more to it."""
    await context.notifier.delete_subscription(identity.caller, webhook_id)
    await context.accounts.record(identity.user, Action.WEBHOOK_REMOVED, address, target=webhook_id)
    return Response(status_code=204)
