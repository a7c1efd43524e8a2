"""The two tables that every service has: what it still has to publish and what it has handled."""

from __future__ import annotations

import sqlalchemy as sa

_metadata = sa.MetaData()

OUTBOX = sa.Table(
    "outbox",
    _metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("event_id", sa.String(36), nullable=False),
    sa.Column("type", sa.String(100), nullable=False),
    sa.Column("source", sa.String(100), nullable=False),
    sa.Column("time", sa.DateTime(timezone=True), nullable=False),
    sa.Column("headers", sa.JSON, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)

PROCESSED_EVENTS = sa.Table(
    "processed_events",
    _metadata,
    sa.Column("event_id", sa.String(36), primary_key=True),
    sa.Column("processed_at", sa.DateTime(timezone=True), nullable=False, index=True),
)


def add_messaging_tables(metadata: sa.MetaData) -> None:
    """Make both tables part of a service's metadata, so that its migrations create them."""
    for table in _metadata.sorted_tables:
        table.to_metadata(metadata)


def create_messaging_tables() -> None:
    """Create both tables inside a migration; a change to them is a new function, never an edit here."""
    from alembic import op  # noqa: PLC0415 - slow to import, and a process that finds its tables made needs none of it

    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("event_id", sa.String(36), nullable=False),
        sa.Column("type", sa.String(100), nullable=False),
        sa.Column("source", sa.String(100), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("headers", sa.JSON, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "processed_events",
        sa.Column("event_id", sa.String(36), primary_key=True),
        sa.Column("processed_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_processed_events_processed_at", "processed_events", ["processed_at"])
