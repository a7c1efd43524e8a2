"""Settings of the notifier."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from notifier.addresses import PortRange
from shared.settings import Environment, ServiceSettings


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _port_ranges(value: object) -> object:
    parts = _split(value)
    if not isinstance(parts, list):
        return parts
    return [PortRange.parse(part) if isinstance(part, str) else part for part in parts]


class Settings(ServiceSettings):
    """Read from the environment, once, in `main.py`."""

    webhook_allow_private: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_split)] = Field(
        default=(),
        description="Private networks that webhooks may reach, as CIDR separated by commas, e.g. `10.20.0.0/16`.",
    )
    webhook_allowed_ports: Annotated[tuple[PortRange, ...], NoDecode, BeforeValidator(_port_ranges)] = Field(
        default=(PortRange(80, 80), PortRange(443, 443), PortRange(8000, 65535)),
        min_length=1,
        description="Ports that webhooks may go to, separated by commas; a range has a dash.",
    )
    webhook_retry_delays: Annotated[tuple[Annotated[float, Field(ge=0)], ...], NoDecode, BeforeValidator(_split)] = (
        Field(
            default=(5.0, 30.0, 120.0, 600.0, 3600.0, 21600.0),
            description="Seconds to wait after each failed try of a webhook, separated by commas; then it has failed.",
        )
    )
    webhook_timeout_seconds: float = Field(
        default=10.0, gt=0, le=30, description="Longest time for one try of a webhook, from name lookup to answer."
    )
    webhook_concurrency: int = Field(default=64, ge=1, le=1000, description="Webhooks on their way at the same time.")
    webhook_subscriptions_per_user: int = Field(default=20, ge=1, description="Webhooks that one user may have.")
    webhook_history_days: int = Field(
        default=30, ge=1, description="Ended deliveries are forgotten after this many days."
    )

    @property
    def https_only(self) -> bool:
        """Whether webhooks must be encrypted."""
        return self.environment is Environment.PRODUCTION
