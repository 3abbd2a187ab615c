"""Jobs, their images and files, and their webhooks."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the four tables."""
    op.create_table(
        "job",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("keep", sa.Boolean(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("served", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished", sa.DateTime(timezone=True)),
        sa.Column("idempotency_key", sa.Text()),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
        sa.UniqueConstraint("owner", "idempotency_key", name="uq_job"),
    )
    op.create_index("ix_job_state", "job", ["state"])
    op.create_index("ix_job_owner_created_id", "job", ["owner", "created", "id"])
    op.create_table(
        "job_image",
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease", sa.String(32)),
        sa.Column("leased_until", sa.DateTime(timezone=True)),
        sa.Column("settled", sa.Integer()),
        sa.Column("analysis_id", sa.String(32)),
        sa.Column("error_kind", sa.String(64)),
        sa.Column("error", sa.Text()),
        sa.PrimaryKeyConstraint("job_id", "number", name="pk_job_image"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_job_image_job", ondelete="CASCADE"),
        sa.UniqueConstraint("job_id", "settled", name="uq_job_image"),
    )
    op.create_index("ix_job_image_state_leased_until", "job_image", ["state", "leased_until"])
    op.create_table(
        "job_file",
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "number", name="pk_job_file"),
        sa.ForeignKeyConstraint(
            ["job_id", "number"],
            ["job_image.job_id", "job_image.number"],
            name="fk_job_file_job_image",
            ondelete="CASCADE",
        ),
    )
    op.create_table(
        "webhook",
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due", sa.DateTime(timezone=True)),
        sa.Column("error", sa.Text()),
        sa.PrimaryKeyConstraint("job_id", name="pk_webhook"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_webhook_job", ondelete="CASCADE"),
    )
    op.create_index("ix_webhook_due", "webhook", ["due"])
