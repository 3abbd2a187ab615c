"""How a database gets to the schema of `tables.py`: one file per step, applied when a server starts.

A new step: copy the newest file in `versions/`, give it the next number, and as its `down_revision` the
copied one's `revision`. A test compares what the steps lead to with `tables.py`, on SQLite and PostgreSQL.
"""
