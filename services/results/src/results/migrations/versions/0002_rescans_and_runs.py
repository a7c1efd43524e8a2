"""Scans of a submission after its first one, jobs that ask for them, and what each detector made of an artifact."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add columns, tables and indexes; every scan there is is the first and the current one of its submission."""
    _extend_scans()
    op.create_table(
        "rescans",
        sa.Column("rescan_id", sa.String(36), primary_key=True),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("filters", sa.JSON, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("total", sa.Integer, nullable=False, comment="Submissions that matched when it was made."),
        sa.Column("requested", sa.Integer, nullable=False),
        sa.Column("gone", sa.Integer, nullable=False, comment="Files whose bytes are not stored any more."),
        sa.Column("cursor_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cursor_id", sa.String(36), nullable=True, comment="The last submission that was gone over."),
    )
    op.create_index("ix_rescans_created_at", "rescans", ["created_at"])
    op.create_table(
        "runs",
        sa.Column("scan_id", sa.String(36), sa.ForeignKey("scans.scan_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("artifact_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("detector", sa.Text, nullable=False),
        sa.Column("detector_version", sa.Text, nullable=False),
        sa.Column("shadow", sa.Boolean, nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("score", sa.Float, nullable=True),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index(
        "ix_runs_shadow",
        "runs",
        ["detector", "detector_version", "looked_at"],
        postgresql_where=sa.text("shadow"),
        sqlite_where=sa.text("shadow = 1"),
    )


def _extend_scans() -> None:
    # Only what SQLite can add in place: making the table anew would delete what refers to it.
    for column in (
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
        sa.Column("rescan_id", sa.String(36), nullable=True, comment="The job that asked for it, if one did."),
    ):
        op.add_column("scans", column)
    current = {"postgresql_where": sa.text("is_current"), "sqlite_where": sa.text("is_current = 1")}
    op.drop_index("ix_scans_owner_newest", "scans")
    op.drop_index("ix_scans_newest", "scans")
    op.create_index("ix_scans_owner_newest", "scans", ["user_id", "submitted_at", "submission_id"], **current)
    op.create_index("ix_scans_newest", "scans", ["submitted_at", "submission_id"], **current)
    op.create_index("ix_scans_rescan_id", "scans", ["rescan_id"])
    is_open = sa.text("finished_at IS NULL")
    op.create_index(
        "uq_scans_open", "scans", ["submission_id"], unique=True, postgresql_where=is_open, sqlite_where=is_open
    )
