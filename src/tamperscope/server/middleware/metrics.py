"""What operators watch, for Prometheus at `/metrics`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager

from flask import Blueprint, Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from tamperscope.errors import StoreError
from tamperscope.jobs.model import JobState
from tamperscope.jobs.queue import JobQueue
from tamperscope.report import BundleIdentity
from tamperscope.server.gate import Gate
from tamperscope.server.openapi import operation

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60)


class Metrics:
    """The figures of one server; each has a registry of its own, so that several may live in one process."""

    def __init__(self, gate: Gate) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "tamperscope_requests",
            "Requests answered.",
            ["method", "endpoint", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "tamperscope_request_seconds",
            "Time from the whole request to the whole answer.",
            ["endpoint"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._stages = Histogram(
            "tamperscope_stage_seconds",
            "Time of one step of an analysis: wait, decode, inference or encode.",
            ["stage"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._refusals = Counter(
            "tamperscope_refusals", "Requests refused, by reason.", ["reason"], registry=self.registry
        )
        self._bundle = Gauge(
            "tamperscope_bundle_info",
            "The bundle behind every answer; always 1.",
            ["name", "version", "sha256"],
            registry=self.registry,
        )
        waiting = Gauge("tamperscope_queue_depth", "Images that wait for a worker.", registry=self.registry)
        waiting.set_function(lambda: gate.waiting)
        inside = Gauge("tamperscope_analyses_running", "Images being analysed.", registry=self.registry)
        inside.set_function(lambda: gate.inside)

        self._job_images = Counter(
            "tamperscope_job_images",
            "Images of jobs that this process is through with, by outcome: done or failed.",
            ["outcome"],
            registry=self.registry,
        )

    def job_image(self, outcome: str) -> None:
        """Count an image of a job."""
        self._job_images.labels(outcome).inc()

    def watch(self, jobs: JobQueue) -> None:
        """Show how much there is to do in all jobs of the database, whoever does it."""
        self.registry.register(_JobFigures(jobs))

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Measure the time inside a `with` as one step of an analysis."""
        return self._stages.labels(name).time()

    def waited(self, seconds: float) -> None:
        """Record how long an image waited for a worker."""
        self._stages.labels("wait").observe(seconds)

    def serving(self, bundle: BundleIdentity) -> None:
        """Say which bundle is behind every answer from now on."""
        self._bundle.clear()
        self._bundle.labels(bundle.name, bundle.version, bundle.sha256).set(1)

    def answered(self, method: str, endpoint: str, status: int, seconds: float, refusal: str | None) -> None:
        """Count one answer; `refusal` is the reason of a problem."""
        self._requests.labels(method, endpoint, status).inc()
        self._seconds.labels(endpoint).observe(seconds)
        if refusal:
            self._refusals.labels(refusal).inc()


class _JobFigures(Collector):
    def __init__(self, jobs: JobQueue) -> None:
        self._jobs = jobs

    def collect(self) -> Iterator[Metric]:
        """Ask the database, at each scrape."""
        try:
            backlog = self._jobs.backlog()
        except StoreError:
            # Prometheus sees that they are missing, and goes on watching the rest.
            return
        states = GaugeMetricFamily("tamperscope_jobs", "Jobs that are kept, by state.", labels=["state"])
        for state in JobState:
            states.add_metric([state], backlog.jobs.get(state, 0))
        yield states
        for name, help, value in (
            ("waiting", "Images of jobs that wait for a worker.", backlog.waiting),
            ("running", "Images of jobs that a worker has.", backlog.running),
        ):
            yield GaugeMetricFamily(f"tamperscope_job_images_{name}", help, value)
        yield GaugeMetricFamily(
            "tamperscope_job_age_seconds", "Age of the oldest unfinished job.", backlog.oldest_seconds
        )


def register(app: Flask, metrics: Metrics) -> None:
    """Count every request of `app`, and show the figures at `/metrics`."""

    @app.after_request
    def count(response: Response) -> Response:
        # Routes and known methods only: a client must not be able to make up labels.
        endpoint = request.url_rule.rule if request.url_rule else "none"
        method = request.method if request.url_rule else "any"
        seconds = time.perf_counter() - g.begun
        metrics.answered(method, endpoint, response.status_code, seconds, g.get("problem"))
        return response

    app.register_blueprint(_blueprint(metrics))


def _blueprint(metrics: Metrics) -> Blueprint:
    pages = Blueprint("metrics", __name__)

    @pages.get("/metrics")
    @operation({"text/plain": None})
    def figures() -> Response:
        """Return requests, latencies, queue depth and refusals, for Prometheus."""
        return Response(generate_latest(metrics.registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)

    return pages
