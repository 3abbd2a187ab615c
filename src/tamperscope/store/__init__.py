"""Analyses that can be asked for later, and jobs that make them, in SQLite or PostgreSQL.

    store = Store(Database("sqlite:///analyses.db"))
    stored, new = store.add(subject, report.to_json(), pictures)
    store.get(stored.id, owner=subject.owner).document["verdict"]

`tables.py` is the schema, `migrations/` how a database gets there, `database.py` the connection.
"""

from tamperscope.store.analyses import IMAGE, Picture, Store, StoredAnalysis, Subject, Summary
from tamperscope.store.database import Database
from tamperscope.store.jobs import (
    Claim,
    Delivery,
    Failure,
    ImageResult,
    ImageState,
    Job,
    JobState,
    JobStore,
    Load,
    Submission,
    SubmittedImage,
    Target,
    Webhook,
    WebhookState,
    fingerprint,
)

__all__ = [
    "IMAGE",
    "Claim",
    "Database",
    "Delivery",
    "Failure",
    "ImageResult",
    "ImageState",
    "Job",
    "JobState",
    "JobStore",
    "Load",
    "Picture",
    "Store",
    "StoredAnalysis",
    "Subject",
    "Submission",
    "SubmittedImage",
    "Summary",
    "Target",
    "Webhook",
    "WebhookState",
    "fingerprint",
]
