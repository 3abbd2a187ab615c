"""Analyses in SQLite or PostgreSQL.

    store = AnalysisStore(Database("sqlite:///analyses.db"))
    stored, new = store.add(subject, report.record, pictures)
    store.get(stored.id, owner=subject.owner).report.verdict

`tables.py` defines the schema, `migrations/` brings a database up to it, `database.py` connects to it.
"""

from tamperscope.store.analyses import (
    IMAGE,
    THUMBNAIL,
    AnalysisStore,
    Filter,
    StoredAnalysis,
    StoredPicture,
    Subject,
    Summary,
    Usage,
)
from tamperscope.store.database import Database

__all__ = [
    "IMAGE",
    "THUMBNAIL",
    "AnalysisStore",
    "Database",
    "Filter",
    "StoredAnalysis",
    "StoredPicture",
    "Subject",
    "Summary",
    "Usage",
]
