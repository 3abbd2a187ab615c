"""Jobs: many images that are submitted at once and analysed in turn by whichever worker is free.

- `model.py` defines a job.
- `intake.py` reads the images of a new job.
- `queue.py` stores jobs in the database and leases their images to workers.
- `runner.py` is such a worker.
- `wakeups.py` wakes idle workers.
- `outbox.py` and `webhooks.py` notify the owner when a job has ended.

The database is the single source of truth. A lost wake-up costs seconds, never an image.
"""
