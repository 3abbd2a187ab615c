"""The environment in which Alembic runs migrations; `database.py` holds the lock and the transaction."""

from alembic import context

from tamperscope.store.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    # SQLite cannot alter a column in place; Alembic then copies the table.
    render_as_batch=True,
)
context.run_migrations()
