"""Jobs: who analyses their images, how the images come in, and who is told when a job has ended.

    runner = JobRunner(jobs, analyze, Wakeups(redis=None), threads=1, postman=Postman(jobs))
    runner.start()

The database (`tamperscope.store.JobStore`) is the truth. `wakeups.py` only tells idle workers that there is
something to do: whatever gets lost there is made up for from the database.
"""

from tamperscope.jobs.intake import JobLimits, images_in_archive, images_in_form
from tamperscope.jobs.runner import JobRunner
from tamperscope.jobs.wakeups import Wakeups
from tamperscope.jobs.webhooks import Postman, check_target

__all__ = [
    "JobLimits",
    "JobRunner",
    "Postman",
    "Wakeups",
    "check_target",
    "images_in_archive",
    "images_in_form",
]
