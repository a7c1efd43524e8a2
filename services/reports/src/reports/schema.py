"""Tables of the reports service."""

from __future__ import annotations

import sqlalchemy as sa

from shared.messaging.tables import add_messaging_tables

METADATA = sa.MetaData()
add_messaging_tables(METADATA)

REPORTS = sa.Table(
    "reports",
    METADATA,
    sa.Column("scan_id", sa.String(36), primary_key=True),
    sa.Column("report_id", sa.String(36), nullable=False),
    sa.Column("submission_id", sa.String(36), nullable=False, index=True),
    sa.Column("user_id", sa.String(64), nullable=False),
    sa.Column("fumehood_version", sa.String(32), nullable=False),
    sa.Column("generated_at", sa.DateTime(timezone=True), nullable=False),
)

RENDERINGS = sa.Table(
    "renderings",
    METADATA,
    sa.Column("scan_id", sa.String(36), sa.ForeignKey("reports.scan_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("format", sa.String(8), primary_key=True),
    sa.Column("object_key", sa.String(200), nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("rendered_at", sa.DateTime(timezone=True), nullable=False),
)
