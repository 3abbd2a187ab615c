"""What people who know the truth say of analyses."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the table of corrections."""
    op.create_table(
        "analysis_feedback",
        sa.Column("analysis_id", sa.String(32), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("analysis_id", name="pk_analysis_feedback"),
        sa.ForeignKeyConstraint(
            ["analysis_id"], ["analysis.id"], name="fk_analysis_feedback_analysis", ondelete="CASCADE"
        ),
    )
