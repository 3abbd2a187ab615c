"""Analyses that can be asked for later, in SQLite or PostgreSQL.

    store = Store(Database("sqlite:///analyses.db"))
    stored, new = store.add(subject, report.to_json(), pictures)
    store.get(stored.id, owner=subject.owner).document["verdict"]

`tables.py` is the schema, `migrations/` how a database gets there, `database.py` the connection.
"""

from tamperscope.store.analyses import IMAGE, Picture, Store, StoredAnalysis, Subject, Summary
from tamperscope.store.database import Database

__all__ = ["IMAGE", "Database", "Picture", "Store", "StoredAnalysis", "Subject", "Summary"]
