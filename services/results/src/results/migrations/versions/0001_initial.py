"""First tables: scans, artifacts, findings, outbox, processed events."""

import sqlalchemy as sa
from alembic import op

from shared.messaging.tables import create_messaging_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    _create_scans()
    op.create_table(
        "artifacts",
        sa.Column("scan_id", sa.String(36), sa.ForeignKey("scans.scan_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("parent_id", sa.Integer, nullable=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("content_type", sa.Text, nullable=False),
        sa.Column("mime_type", sa.Text, nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("coverage", sa.JSON, nullable=False),
    )
    op.create_index("ix_artifacts_sha256", "artifacts", ["sha256"])
    op.create_table(
        "findings",
        sa.Column("scan_id", sa.String(36), sa.ForeignKey("scans.scan_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("artifact_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("detector", sa.Text, nullable=False),
        sa.Column("detector_version", sa.Text, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("score", sa.Float, nullable=True),
        sa.Column("shadow", sa.Boolean, nullable=False),
    )
    op.create_index("ix_findings_detector", "findings", ["detector"])
    create_messaging_tables()


def _create_scans() -> None:
    op.create_table(
        "scans",
        sa.Column("scan_id", sa.String(36), primary_key=True),
        sa.Column("submission_id", sa.String(36), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("name_folded", sa.Text, nullable=False, comment="Case-folded name, for search."),
        sa.Column("sha256", sa.String(64), nullable=False),
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
        sa.Column(
            "known_at", sa.DateTime(timezone=True), nullable=False, comment="When this service first heard of it."
        ),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "finished_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="NULL exactly while it has not ended.",
        ),
        sa.Column("reason", sa.Text, nullable=True),
        sa.Column("document", sa.LargeBinary, nullable=True, comment="The scan document as JSON, if it is small."),
        sa.Column("document_ref", sa.JSON, nullable=True, comment="Where it is stored, if it is not."),
    )
    op.create_index("ix_scans_submission_id", "scans", ["submission_id"])
    op.create_index("ix_scans_sha256", "scans", ["sha256"])
    op.create_index("ix_scans_owner_newest", "scans", ["user_id", "submitted_at", "submission_id"])
    op.create_index("ix_scans_newest", "scans", ["submitted_at", "submission_id"])
    is_open = sa.text("finished_at IS NULL")
    op.create_index("ix_scans_open_deadline", "scans", ["deadline_at"], postgresql_where=is_open, sqlite_where=is_open)
