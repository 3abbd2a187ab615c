"""What people add to analyses, and analyses that are not listed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column of private analyses, and the tables of cases and tags."""
    op.add_column("analysis", sa.Column("private", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "analysis_case",
        sa.Column("analysis_id", sa.String(32), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("analysis_id", name="pk_analysis_case"),
        sa.ForeignKeyConstraint(
            ["analysis_id"], ["analysis.id"], name="fk_analysis_case_analysis", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "analysis_tag",
        sa.Column("analysis_id", sa.String(32), nullable=False),
        sa.Column("tag", sa.String(40), nullable=False),
        sa.PrimaryKeyConstraint("analysis_id", "tag", name="pk_analysis_tag"),
        sa.ForeignKeyConstraint(
            ["analysis_id"], ["analysis.id"], name="fk_analysis_tag_analysis", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_analysis_tag_tag", "analysis_tag", ["tag"])
