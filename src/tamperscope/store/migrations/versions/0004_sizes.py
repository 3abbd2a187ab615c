"""How many bytes each analysis takes."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_TEXT_BYTES = {"sqlite": "length(CAST({} AS BLOB))", "postgresql": "octet_length(({})::text)"}


def upgrade() -> None:
    """Add the column, and count the analyses that are there."""
    size = sa.Column("bytes", sa.BigInteger(), nullable=False, server_default=sa.text("0"))
    op.add_column("analysis", size)
    text_bytes = _TEXT_BYTES[op.get_bind().dialect.name].format
    op.execute(
        f"""
        UPDATE analysis SET bytes = {text_bytes("document")}
            + coalesce((SELECT sum(length(data)) FROM picture WHERE analysis_id = id), 0)
            + coalesce((SELECT {text_bytes("added.document")} + {text_bytes("added.words")}
                        FROM analysis_case added WHERE added.analysis_id = id), 0)
        """  # noqa: S608
    )
    op.create_index("ix_analysis_owner_bytes", "analysis", ["owner", "bytes"])
