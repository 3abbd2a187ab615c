"""Analyses and their pictures."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the two tables."""
    op.create_table(
        "analysis",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("image_sha256", sa.String(64), nullable=False),
        sa.Column("bundle_sha256", sa.String(64), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_analysis"),
        sa.UniqueConstraint("owner", "image_sha256", "bundle_sha256", "method", name="uq_analysis"),
    )
    op.create_index("ix_analysis_created", "analysis", ["created"])
    op.create_index("ix_analysis_owner_created_id", "analysis", ["owner", "created", "id"])
    op.create_table(
        "picture",
        sa.Column("analysis_id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("media_type", sa.String(64), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("analysis_id", "name", name="pk_picture"),
        sa.ForeignKeyConstraint(
            ["analysis_id"], ["analysis.id"], name="fk_picture_analysis", ondelete="CASCADE"
        ),
    )
