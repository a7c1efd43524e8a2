"""The bus without a broker: a durable queue in one SQLite file, consumed by one process."""

from shared.messaging.local.bus import LocalBus

__all__ = ["LocalBus"]
