"""Tables of the results service."""

from __future__ import annotations

import sqlalchemy as sa

from shared.messaging.tables import add_messaging_tables

METADATA = sa.MetaData()
add_messaging_tables(METADATA)

SCANS = sa.Table(
    "scans",
    METADATA,
    sa.Column("scan_id", sa.String(36), primary_key=True),
    sa.Column("submission_id", sa.String(36), nullable=False, index=True),
    sa.Column("user_id", sa.String(64), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("name_folded", sa.Text, nullable=False, comment="Case-folded name, for search."),
    sa.Column("sha256", sa.String(64), nullable=False, index=True),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("object_key", sa.String(200), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("verdict", sa.String(16), nullable=False),
    sa.Column("coverage_level", sa.String(16), nullable=False),
    sa.Column("coverage", sa.JSON, nullable=False),
    sa.Column("artifact_count", sa.Integer, nullable=False),
    sa.Column("finding_count", sa.Integer, nullable=False),
    sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("known_at", sa.DateTime(timezone=True), nullable=False, comment="When this service first heard of it."),
    sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
    sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True, comment="NULL exactly while it has not ended."),
    sa.Column("reason", sa.Text, nullable=True),
    sa.Column("document", sa.LargeBinary, nullable=True, comment="The scan document as JSON, if it is small."),
    sa.Column("document_ref", sa.JSON(none_as_null=True), nullable=True, comment="Where it is stored, if it is not."),
    sa.Index("ix_scans_owner_newest", "user_id", "submitted_at", "submission_id"),
    sa.Index("ix_scans_newest", "submitted_at", "submission_id"),
    sa.Index(
        "ix_scans_open_deadline",
        "deadline_at",
        postgresql_where=sa.text("finished_at IS NULL"),
        sqlite_where=sa.text("finished_at IS NULL"),
    ),
)

ARTIFACTS = sa.Table(
    "artifacts",
    METADATA,
    sa.Column("scan_id", sa.String(36), sa.ForeignKey("scans.scan_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("parent_id", sa.Integer, nullable=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False, index=True),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("content_type", sa.Text, nullable=False),
    sa.Column("mime_type", sa.Text, nullable=False),
    sa.Column("verdict", sa.String(16), nullable=False),
    sa.Column("coverage", sa.JSON, nullable=False),
)

FINDINGS = sa.Table(
    "findings",
    METADATA,
    sa.Column("scan_id", sa.String(36), sa.ForeignKey("scans.scan_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("artifact_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("detector", sa.Text, nullable=False, index=True),
    sa.Column("detector_version", sa.Text, nullable=False),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("verdict", sa.String(16), nullable=False),
    sa.Column("score", sa.Float, nullable=True),
    sa.Column("shadow", sa.Boolean, nullable=False),
)
