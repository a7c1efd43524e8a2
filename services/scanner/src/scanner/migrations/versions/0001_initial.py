"""First tables: outbox, processed events."""

from shared.messaging.tables import create_messaging_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    create_messaging_tables()
