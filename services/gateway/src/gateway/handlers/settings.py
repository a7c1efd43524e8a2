"""The settings page and its webhooks."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from gateway import views
from gateway.context import Context
from gateway.handlers.answers import attempt, is_partial, page
from gateway.handlers.dependencies import ClientAddress, CurrentContext, PathId, SignedIn, SignedInAndMeant, shell
from gateway.models.accounts import Action, Identity
from gateway.views.text import when
from shared.clients import NewSubscription
from shared.clients.notifier import Delivery, Subscription
from shared.clock import now
from shared.errors import ClientError

router = APIRouter(prefix="/settings", include_in_schema=False)


@router.get("")
async def show_settings(request: Request, context: CurrentContext, identity: SignedIn) -> Response:
    """Show account, API example and webhooks."""
    return await _settings_page(request, context, identity)


@router.post("/webhooks")
async def add_webhook(
    request: Request,
    context: CurrentContext,
    identity: SignedInAndMeant,
    address: ClientAddress,
    url: Annotated[str, Form(max_length=2000)] = "",
) -> Response:
    """Add a webhook and show its secret this once, or show the form again with what was wrong."""
    new = NewSubscription(url=url.strip())
    outcome = await attempt(context.notifier.create_subscription(identity.caller, new))
    if isinstance(outcome, ClientError):
        return await _settings_page(request, context, identity, url=url, error=outcome.message)
    await context.accounts.record(identity.user, Action.WEBHOOK_ADDED, address, target=outcome.id)
    return await _settings_page(request, context, identity, issued=outcome)


@router.post("/webhooks/{webhook_id}/delete")
async def delete_webhook(
    request: Request, context: CurrentContext, identity: SignedInAndMeant, address: ClientAddress, webhook_id: PathId
) -> Response:
    """Remove a webhook."""
    await context.notifier.delete_subscription(identity.caller, webhook_id)
    await context.accounts.record(identity.user, Action.WEBHOOK_REMOVED, address, target=webhook_id)
    if is_partial(request):
        return await _settings_page(request, context, identity)
    return RedirectResponse("/settings", 303)


async def _settings_page(
    request: Request,
    context: Context,
    identity: Identity,
    *,
    issued: Subscription | None = None,
    url: str = "",
    error: str | None = None,
) -> Response:
    webhooks = await context.notifier.list_subscriptions(identity.caller)
    view = views.SettingsPage(
        shell=shell(context, identity),
        webhooks=tuple(_row(webhook) for webhook in webhooks),
        issued=views.IssuedWebhook(url=issued.url, secret=issued.secret or "") if issued else None,
        url=url,
        error=error,
        base_url=context.settings.public_url or str(request.base_url).rstrip("/"),
    )
    template = "partials/webhooks.html" if is_partial(request) else "pages/settings.html"
    return page(template, view, 422 if error else 200)


def _row(webhook: Subscription) -> views.WebhookRow:
    delivery = webhook.last_delivery
    return views.WebhookRow(
        id=webhook.id,
        url=webhook.url,
        created=when(webhook.created_at, now()),
        last_delivery=when(delivery.updated_at, now()) if delivery else None,
        last_status=_status_text(delivery) if delivery else None,
        last_succeeded=delivery.status == "delivered" if delivery else None,
    )


def _status_text(delivery: Delivery) -> str:
    answer = f"answered {delivery.last_status_code}" if delivery.last_status_code else delivery.last_error
    if delivery.status == "pending":
        return f"{answer}, will be tried again" if answer else "on its way"
    return answer or delivery.status
