"""Migrations to the schema of `tables.py`: one file per migration, applied when a server starts.

To add a migration, copy the newest file in `versions/` and give it the next number. Set its `down_revision`
to the `revision` of the copied file. A test compares the migrated schema with `tables.py`, on SQLite and
PostgreSQL.
"""
