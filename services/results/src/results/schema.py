"""Tables of the results service."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from shared.messaging.tables import add_messaging_tables

METADATA = sa.MetaData()
add_messaging_tables(METADATA)
_CURRENT: dict[str, Any] = {"postgresql_where": sa.text("is_current"), "sqlite_where": sa.text("is_current = 1")}
_OPEN: dict[str, Any] = {
    "postgresql_where": sa.text("finished_at IS NULL"),
    "sqlite_where": sa.text("finished_at IS NULL"),
}

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
    sa.Column("requested_at", sa.DateTime(timezone=True), nullable=True, comment="NULL for the first scan."),
    sa.Column(
        "is_current",
        sa.Boolean,
        nullable=False,
        server_default=sa.true(),
        comment="Whether it is what is said of its submission: the latest that completed, if one has.",
    ),
    sa.Column("options", sa.JSON, nullable=False, server_default="{}", comment="What the submitter asked for."),
    sa.Column("previous_verdict", sa.String(16), nullable=True, comment="Of a rescan: what was said before it."),
    sa.Column("rescan_id", sa.String(36), nullable=True, index=True, comment="The job that asked for it, if one did."),
    sa.Column("document", sa.LargeBinary, nullable=True, comment="The scan document as JSON, if it is small."),
    sa.Column("document_ref", sa.JSON(none_as_null=True), nullable=True, comment="Where it is stored, if it is not."),
    sa.Index("ix_scans_owner_newest", "user_id", "submitted_at", "submission_id", **_CURRENT),
    sa.Index("ix_scans_newest", "submitted_at", "submission_id", **_CURRENT),
    # One scan of a submission at a time.
    sa.Index("uq_scans_open", "submission_id", unique=True, **_OPEN),
    sa.Index(
        "ix_scans_open_deadline",
        "deadline_at",
        **_OPEN,
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

# What each detector made of the artifacts that one in shadow looked at.
RUNS = sa.Table(
    "runs",
    METADATA,
    sa.Column("scan_id", sa.String(36), sa.ForeignKey("scans.scan_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("artifact_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("detector", sa.Text, nullable=False),
    sa.Column("detector_version", sa.Text, nullable=False),
    sa.Column("shadow", sa.Boolean, nullable=False),
    sa.Column("verdict", sa.String(16), nullable=False),
    sa.Column("score", sa.Float, nullable=True),
    sa.Column("looked_at", sa.DateTime(timezone=True), nullable=False),
    sa.Index(
        "ix_runs_shadow",
        "detector",
        "detector_version",
        "looked_at",
        postgresql_where=sa.text("shadow"),
        sqlite_where=sa.text("shadow = 1"),
    ),
)

RESCANS = sa.Table(
    "rescans",
    METADATA,
    sa.Column("rescan_id", sa.String(36), primary_key=True),
    sa.Column("user_id", sa.String(64), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("filters", sa.JSON, nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, index=True),
    sa.Column("total", sa.Integer, nullable=False, comment="Submissions that matched when it was made."),
    sa.Column("requested", sa.Integer, nullable=False),
    sa.Column("gone", sa.Integer, nullable=False, comment="Files whose bytes are not stored any more."),
    sa.Column("cursor_at", sa.DateTime(timezone=True), nullable=True),
    sa.Column("cursor_id", sa.String(36), nullable=True, comment="The last submission that was gone over."),
)
