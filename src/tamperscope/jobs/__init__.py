"""Jobs: many images that are analysed one after the other, by whichever worker is free.

`model.py` says what a job is, `intake.py` reads the images of a new one, `queue.py` keeps jobs in the
database and leases their images to workers, `runner.py` is such a worker, `wakeups.py` wakes idle ones, and
`outbox.py` and `webhooks.py` tell the owner when a job has ended.

The database is the truth. A lost wake-up costs seconds, never an image.
"""
