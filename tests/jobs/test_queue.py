"""The queue of jobs: it behaves the same on SQLite and on PostgreSQL."""

from __future__ import annotations

import itertools
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

import reports
from tamperscope.errors import TooManyJobsError
from tamperscope.jobs.model import (
    Claim,
    Failure,
    ImageState,
    JobState,
    Submission,
    SubmittedImage,
    WebhookDelivery,
    WebhookState,
    WebhookTarget,
    fingerprint,
)
from tamperscope.jobs.outbox import DELAYS, LONGEST_DELIVERY, Outbox
from tamperscope.jobs.queue import LEASE, MOST_ATTEMPTS, JobQueue
from tamperscope.store import AnalysisStore, Database, Subject

SUBMISSION = Submission(owner="")
DIED = Failure("worker-died", "Every worker died.")
DAMAGED = Failure("damaged-image", "The image is damaged.")
TARGET = WebhookTarget("https://news.example/hook", "whsec_c2VjcmV0")
MOMENT = timedelta(seconds=1)


@pytest.fixture
def database(database_url):
    database = Database(database_url)
    database.migrate()
    yield database
    database.close()


@pytest.fixture
def jobs(database, clock):
    return JobQueue(database, clock)


@pytest.fixture
def outbox(database, clock):
    return Outbox(database, clock)


def images(count: int) -> list[SubmittedImage]:
    return [SubmittedImage(f"{number}.jpg", b"image %d" % number) for number in range(count)]


def submit(jobs: JobQueue, count: int, owner: str = "", **submission):
    return jobs.submit(Submission(owner=owner, **submission), images(count))[0]


def claim(jobs: JobQueue) -> Claim:
    claimed = jobs.claim()
    assert claimed is not None
    return claimed


def process_all(jobs: JobQueue) -> list[Claim]:
    """Claim and finish every image that is free; return the claims."""
    claims = []
    while claimed := jobs.claim():
        assert jobs.finish(claimed, f"{claimed.number:032x}")
        claims.append(claimed)
    return claims


def left_files(jobs: JobQueue) -> int:
    with jobs._database.transaction() as session:
        return session.connection().exec_driver_sql("SELECT count(*) FROM job_file").scalar()


def next_delivery(outbox: Outbox) -> WebhookDelivery | None:
    due = outbox.due()
    return outbox.take(due[0]) if due else None


class TestSubmitting:
    def test_a_job_waits_with_its_images(self, jobs, clock):
        job, new = jobs.submit(Submission(owner="newsroom", keep=True), images(3))

        assert new
        assert jobs.get(job.id, owner="newsroom") == job
        assert (job.state, job.created, job.finished, job.keep) == (JobState.QUEUED, clock.time, None, True)
        assert (job.total, job.done, job.failed, job.webhook) == (3, 0, 0, None)
        assert jobs.claimable() == 3

    def test_an_image_that_failed_before_submission_is_a_result_already(self, jobs):
        job, _ = jobs.submit(SUBMISSION, [SubmittedImage("a.txt", b"", DAMAGED), *images(1)])

        assert (job.total, job.failed, job.state) == (2, 1, JobState.QUEUED)
        [result] = jobs.results(job.id, limit=10)
        assert (result.number, result.name, result.failure) == (0, "a.txt", DAMAGED)
        assert [claimed.number for claimed in process_all(jobs)] == [1]

    def test_a_job_without_a_valid_image_ends_at_once(self, jobs, clock, outbox):
        job, _ = jobs.submit(
            Submission(owner="", webhook=TARGET), [SubmittedImage("a.txt", b"", DAMAGED)] * 2
        )

        assert (job.state, job.finished, job.failed) == (JobState.COMPLETED, clock.time, 2)
        assert next_delivery(outbox) is not None

    def test_nothing_is_stored_of_a_submission_that_fails(self, jobs):
        def failing():
            yield from images(2)
            raise ValueError("no more")

        with pytest.raises(ValueError, match="no more"):
            jobs.submit(SUBMISSION, failing())

        assert jobs.list(owner="", limit=10) == []
        assert (jobs.claimable(), left_files(jobs)) == (0, 0)

    def test_an_owner_has_a_limit_of_unfinished_jobs(self, jobs):
        for _ in range(2):
            jobs.submit(SUBMISSION, images(1), most=2)

        with pytest.raises(TooManyJobsError, match="limit of 2 unfinished jobs"):
            jobs.submit(SUBMISSION, images(1), most=2)
        assert jobs.submit(Submission(owner="other"), images(1), most=2)[1]
        process_all(jobs)
        assert jobs.submit(SUBMISSION, images(1), most=2)[1]

    def test_servers_that_submit_at_once_keep_the_limit_together(self, jobs):
        def submit() -> bool:
            try:
                jobs.submit(SUBMISSION, images(1), most=3)
            except TooManyJobsError:
                return False
            return True

        with ThreadPoolExecutor(8) as threads:
            taken = [threads.submit(submit) for _ in range(8)]

        assert sum(each.result() for each in taken) == 3


class TestIdempotency:
    def test_the_same_key_returns_the_same_job(self, jobs):
        submission = Submission(owner="", idempotency_key="mine")
        first, _ = jobs.submit(submission, images(2), most=1)

        again, new = jobs.submit(submission, images(2), most=1)

        assert (again.id, new) == (first.id, False)
        assert again.fingerprint == fingerprint(submission, images(2))
        assert jobs.claimable() == 2

    def test_different_submissions_have_different_fingerprints(self, jobs):
        submissions = [
            (Submission(owner=""), images(2)),
            (Submission(owner="", keep=True), images(2)),
            (Submission(owner="", webhook=TARGET), images(2)),
            (Submission(owner=""), images(1)),
            (Submission(owner=""), [images(1)[0], SubmittedImage("other.jpg", b"image 1")]),
            (Submission(owner=""), [images(1)[0], SubmittedImage("1.jpg", b"other")]),
        ]

        assert len({fingerprint(submission, shown) for submission, shown in submissions}) == len(submissions)
        for submission, shown in submissions:
            assert jobs.submit(submission, shown)[0].fingerprint == fingerprint(submission, shown)

    def test_keys_of_other_owners_do_not_matter(self, jobs):
        ids = {
            jobs.submit(Submission(owner=owner, idempotency_key=key), images(1))[0].id
            for owner, key in (("a", "k"), ("b", "k"), ("a", "l"), ("a", None), ("a", None))
        }

        assert len(ids) == 5

    def test_simultaneous_submissions_agree_on_one_job(self, jobs):
        submission = Submission(owner="", idempotency_key="mine")
        with ThreadPoolExecutor(4) as pool:
            outcomes = list(pool.map(lambda _: jobs.submit(submission, images(3)), range(8)))

        assert len({job.id for job, _ in outcomes}) == 1
        assert sum(new for _, new in outcomes) == 1


class TestWorking:
    def test_images_are_claimed_in_order_with_all_their_data(self, jobs):
        job = submit(jobs, 3, owner="newsroom", keep=True)

        claims = [claim(jobs) for _ in range(3)]

        assert [(each.number, each.data) for each in claims] == [(n, b"image %d" % n) for n in range(3)]
        assert {(each.job_id, each.owner, each.keep, each.attempt) for each in claims} == {
            (job.id, "newsroom", True, 1)
        }
        assert jobs.claim() is None
        assert jobs.get(job.id, owner="newsroom").state is JobState.RUNNING

    def test_jobs_take_turns(self, jobs, clock):
        large = submit(jobs, 4)
        clock.time += MOMENT
        assert claim(jobs).job_id == large.id
        clock.time += MOMENT
        small = submit(jobs, 2)
        clock.time += MOMENT

        order = []
        while claimed := jobs.claim():
            order.append(claimed.job_id)
            clock.time += MOMENT

        assert order == [large.id, small.id, large.id, small.id, large.id], "the jobs take turns"

    def test_a_job_ends_with_its_last_image(self, jobs, clock):
        job = submit(jobs, 2)
        first, second = claim(jobs), claim(jobs)

        assert jobs.fail(second, DAMAGED)
        assert jobs.get(job.id, owner="").finished is None
        clock.time += MOMENT
        assert jobs.finish(first, "a" * 32)

        ended = jobs.get(job.id, owner="")
        assert (ended.state, ended.finished) == (JobState.COMPLETED, clock.time)
        assert (ended.done, ended.failed) == (1, 1)
        assert left_files(jobs) == 0

    def test_images_that_finish_at_the_same_time_end_the_job(self, jobs):
        for _ in range(5):
            job = submit(jobs, 4)
            claims = [claim(jobs) for _ in range(4)]
            with ThreadPoolExecutor(4) as pool:
                assert all(pool.map(lambda each: jobs.finish(each, "a" * 32), claims))

            assert jobs.get(job.id, owner="").state is JobState.COMPLETED
            assert [each.settled for each in jobs.results(job.id, limit=10)] == [1, 2, 3, 4]

    def test_many_workers_count_nothing_twice(self, jobs):
        ids = [submit(jobs, 12).id for _ in range(3)]

        with ThreadPoolExecutor(6) as pool:
            done = list(itertools.chain(*pool.map(lambda _: process_all(jobs), range(6))))

        assert Counter((each.job_id, each.number) for each in done) == {
            (id, number): 1 for id in ids for number in range(12)
        }
        assert {(jobs.get(id, owner="").state, jobs.get(id, owner="").done) for id in ids} == {
            (JobState.COMPLETED, 12)
        }


class TestWorkersThatDie:
    def test_another_worker_takes_the_image_when_the_lease_has_expired(self, jobs, clock):
        job = submit(jobs, 1)
        lost = claim(jobs)
        clock.time += LEASE

        assert jobs.claim() is None
        clock.time += MOMENT
        again = claim(jobs)

        assert (again.number, again.attempt, again.data) == (lost.number, 2, lost.data)
        assert not jobs.finish(lost, "a" * 32)
        assert not jobs.fail(lost, DAMAGED)
        assert not jobs.renew(lost)
        assert not jobs.release(lost)
        assert jobs.finish(again, "b" * 32)
        assert not jobs.finish(again, "b" * 32)
        assert jobs.get(job.id, owner="").done == 1

    def test_a_lease_from_before_the_clock_was_set_back_does_not_outlast_it(self, jobs, clock):
        jobs.submit(SUBMISSION, images(1))
        dead = jobs.claim()

        clock.time -= timedelta(days=30)

        again = jobs.claim()
        assert (again.number, again.attempt) == (dead.number, 2)
        assert not jobs.finish(dead, "a" * 32)
        assert jobs.finish(again, "a" * 32)

    def test_a_renewed_lease_does_not_expire(self, jobs, clock):
        submit(jobs, 1)
        held = claim(jobs)
        for _ in range(5):
            clock.time += LEASE - MOMENT
            assert jobs.renew(held)

        assert (jobs.claim(), jobs.claimable()) == (None, 0)
        assert jobs.finish(held, "a" * 32)

    def test_a_worker_that_stops_returns_the_image_unchanged(self, jobs):
        submit(jobs, 1)

        for _ in range(MOST_ATTEMPTS + 1):
            returned = claim(jobs)
            assert returned.attempt == 1
            assert jobs.release(returned)

        assert jobs.give_up(DIED) == 0

    def test_an_image_that_every_worker_dies_with_fails_alone(self, jobs, clock):
        job = submit(jobs, 2)
        for attempt in range(1, MOST_ATTEMPTS + 1):
            assert jobs.give_up(DIED) == 0
            poisoned = claim(jobs)
            assert (poisoned.number, poisoned.attempt) == (0, attempt)
            clock.time += LEASE + MOMENT

        assert claim(jobs).number == 1
        assert jobs.give_up(DIED) == 1
        assert jobs.give_up(DIED) == 0

        [result] = jobs.results(job.id, limit=10)
        assert (result.number, result.failure) == (0, DIED)
        assert left_files(jobs) == 1


class TestResults:
    def test_they_are_listed_in_order_of_completion(self, jobs):
        job = submit(jobs, 5)
        claims = [claim(jobs) for _ in range(5)]
        for number in (3, 0, 4):
            jobs.finish(claims[number], "a" * 32)
        first = jobs.results(job.id, limit=2)
        for number in (2, 1):
            jobs.fail(claims[number], DAMAGED)

        rest = jobs.results(job.id, limit=10, after=first[-1].settled)

        assert [each.number for each in first] == [3, 0]
        assert [each.number for each in rest] == [4, 2, 1]
        assert [each.settled for each in (*first, *rest)] == [1, 2, 3, 4, 5]
        failed = jobs.results(job.id, limit=10, state=ImageState.FAILED)
        assert [(each.number, each.failure) for each in failed] == [(2, DAMAGED), (1, DAMAGED)]

    def test_they_have_their_analysis_until_it_is_deleted(self, jobs, database, clock):
        store = AnalysisStore(database, clock)
        stored, _ = store.add(Subject("", "a" * 64, "b" * 64, "tests"), reports.report().record, {})
        job = submit(jobs, 1)
        jobs.finish(claim(jobs), stored.id)

        [result] = jobs.results(job.id, limit=10)
        assert result.analysis == store.list(owner="", limit=1)[0]

        store.delete(stored.id, owner="")
        [result] = jobs.results(job.id, limit=10)
        assert (result.analysis, result.failure) == (None, None)


class TestListing:
    def test_newest_first_in_pages(self, jobs, clock):
        ids = []
        for number in range(5):
            # Two have the same time: a page that ends between them must not lose one.
            clock.time += timedelta(seconds=number % 2)
            ids.append(submit(jobs, 1).id)
        submit(jobs, 1, owner="other")

        pages, after = [], None
        while page := jobs.list(owner="", limit=2, after=after):
            pages.append([job.id for job in page])
            after = page[-1].id

        assert [len(page) for page in pages] == [2, 2, 1]
        assert sorted(itertools.chain(*pages)) == sorted(ids)
        assert pages[-1] == [ids[0]]

    def test_by_state(self, jobs):
        ended = submit(jobs, 1)
        process_all(jobs)
        waiting = submit(jobs, 1)

        assert [job.id for job in jobs.list(owner="", limit=10, state=JobState.QUEUED)] == [waiting.id]
        assert [job.id for job in jobs.list(owner="", limit=10, state=JobState.COMPLETED)] == [ended.id]
        assert jobs.list(owner="", limit=10, state=JobState.RUNNING) == []

    def test_an_owner_sees_and_changes_nothing_of_another(self, jobs):
        job = submit(jobs, 1, owner="newsroom")

        assert jobs.get(job.id, owner="claims") is None
        assert jobs.list(owner="claims", limit=10) == []
        assert jobs.list(owner="claims", limit=10, after=job.id) == []
        assert jobs.cancel(job.id, owner="claims") is None
        assert not jobs.delete(job.id, owner="claims")
        assert jobs.get(job.id, owner="newsroom") == job


class TestEnding:
    def test_a_cancelled_job_keeps_its_results_and_does_nothing_more(self, jobs, clock, outbox):
        job = submit(jobs, 4, webhook=TARGET)
        jobs.finish(claim(jobs), "a" * 32)
        in_progress = claim(jobs)
        clock.time += MOMENT

        cancelled = jobs.cancel(job.id, owner="")

        assert (cancelled.state, cancelled.finished, cancelled.done) == (
            JobState.CANCELLED,
            clock.time,
            1,
        )
        assert jobs.claim() is None
        assert not jobs.finish(in_progress, "b" * 32)
        assert [each.number for each in jobs.results(job.id, limit=10)] == [0]
        assert left_files(jobs) == 0
        assert next_delivery(outbox).job == jobs.get(job.id, owner="")
        clock.time += MOMENT
        assert jobs.cancel(job.id, owner="").finished == cancelled.finished

    def test_a_job_that_has_ended_cannot_be_cancelled(self, jobs):
        job = submit(jobs, 1)
        process_all(jobs)

        assert jobs.cancel(job.id, owner="").state is JobState.COMPLETED

    def test_a_deleted_job_is_gone_with_everything(self, jobs):
        job = submit(jobs, 2, webhook=TARGET)
        in_progress = claim(jobs)

        assert jobs.delete(job.id, owner="")

        assert not jobs.delete(job.id, owner="")
        assert jobs.get(job.id, owner="") is None
        assert not jobs.finish(in_progress, "a" * 32)
        assert (jobs.claimable(), left_files(jobs)) == (0, 0)

    def test_only_jobs_that_ended_long_ago_expire(self, jobs, clock):
        ended, waiting = submit(jobs, 1), submit(jobs, 1, owner="other")
        jobs.finish(claim(jobs), "a" * 32)
        clock.time += timedelta(days=30)
        assert jobs.expire(timedelta(days=30)) == 0
        clock.time += MOMENT

        assert jobs.expire(timedelta(days=30)) == 1

        assert jobs.get(ended.id, owner="") is None
        assert jobs.get(waiting.id, owner="other") is not None


class TestWebhooks:
    def test_they_are_due_when_the_job_has_ended(self, jobs, outbox):
        job = submit(jobs, 1, webhook=TARGET)
        assert next_delivery(outbox) is None
        process_all(jobs)

        delivery = next_delivery(outbox)

        assert (delivery.job.id, delivery.job.state) == (job.id, JobState.COMPLETED)
        assert (delivery.target, delivery.attempt) == (TARGET, 1)
        outbox.delivered(delivery)
        webhook = jobs.get(job.id, owner="").webhook
        assert (webhook.state, webhook.attempts, webhook.error) == (WebhookState.DELIVERED, 1, None)
        assert next_delivery(outbox) is None

    def test_they_are_retried_at_growing_intervals_and_then_given_up(self, jobs, clock, outbox):
        job = submit(jobs, 1, webhook=TARGET)
        process_all(jobs)

        for number, delay in enumerate(DELAYS, start=1):
            delivery = next_delivery(outbox)
            assert delivery.attempt == number
            outbox.not_delivered(delivery, "status 500")
            assert jobs.get(job.id, owner="").webhook.error == "status 500"
            clock.time += delay - MOMENT
            assert next_delivery(outbox) is None
            clock.time += MOMENT
        outbox.not_delivered(next_delivery(outbox), "status 404")

        clock.time += timedelta(days=30)
        assert next_delivery(outbox) is None
        webhook = jobs.get(job.id, owner="").webhook
        assert (webhook.state, webhook.error) == (WebhookState.FAILED, "status 404")
        assert webhook.attempts == len(DELAYS) + 1

    def test_a_process_that_dies_while_delivering_loses_no_message(self, jobs, clock, outbox):
        submit(jobs, 1, webhook=TARGET)
        process_all(jobs)
        next_delivery(outbox)

        clock.time += LONGEST_DELIVERY

        assert next_delivery(outbox).attempt == 2

    def test_a_slow_delivery_is_not_begun_again_beside_it(self, jobs, clock, outbox):
        submit(jobs, 1, webhook=TARGET)
        process_all(jobs)
        next_delivery(outbox)

        clock.time += LONGEST_DELIVERY - MOMENT

        assert next_delivery(outbox) is None

    def test_an_outdated_attempt_does_not_undo_the_outcome_of_a_later_one(self, jobs, clock, outbox):
        job = submit(jobs, 2, webhook=TARGET)
        process_all(jobs)
        first = next_delivery(outbox)
        clock.time += LONGEST_DELIVERY
        second = next_delivery(outbox)

        outbox.not_delivered(first, "status 500")
        assert next_delivery(outbox) is None
        assert jobs.get(job.id, owner="").webhook.error is None
        outbox.delivered(second)
        outbox.not_delivered(first, "status 500")

        webhook = jobs.get(job.id, owner="").webhook
        assert (webhook.state, webhook.error) == (WebhookState.DELIVERED, None)

    def test_several_processes_deliver_it_once(self, jobs, outbox):
        submit(jobs, 1, webhook=TARGET)
        process_all(jobs)

        with ThreadPoolExecutor(4) as pool:
            deliveries = list(pool.map(lambda _: next_delivery(outbox), range(8)))

        assert sum(delivery is not None for delivery in deliveries) == 1

    @pytest.mark.parametrize("outcome", ["delivered", "given up"])
    def test_the_secret_is_deleted_when_nothing_is_left_to_sign(self, jobs, database, outcome, clock, outbox):
        submit(jobs, 1, webhook=TARGET)
        process_all(jobs)
        if outcome == "delivered":
            outbox.delivered(next_delivery(outbox))
        else:
            while delivery := next_delivery(outbox):
                outbox.not_delivered(delivery, "status 500")
                clock.time += DELAYS[-1]

        with database.transaction() as session:
            assert session.connection().exec_driver_sql("SELECT secret FROM webhook").all() == [("",)]


def test_the_backlog_is_that_of_all_owners(jobs, clock):
    submit(jobs, 3, owner="newsroom")
    clock.time += MOMENT
    submit(jobs, 2)
    claim(jobs)
    ended = submit(jobs, 1, owner="ended")
    jobs.cancel(ended.id, owner="ended")
    clock.time += MOMENT

    backlog = jobs.backlog()

    assert backlog.jobs == {JobState.QUEUED: 1, JobState.RUNNING: 1, JobState.CANCELLED: 1}
    assert (backlog.waiting, backlog.running, backlog.oldest_seconds) == (4, 1, 2.0)
