"""Metrics for operators, served to Prometheus at `/metrics`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from flask import Blueprint, Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from tamperscope.errors import StoreError
from tamperscope.jobs.model import JobState
from tamperscope.jobs.queue import JobQueue
from tamperscope.method import Method
from tamperscope.server.gate import Gate
from tamperscope.server.openapi import operation

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60)


class Metrics:
    """The metrics of one server, in their own registry, so that one process can run several servers."""

    def __init__(self, gate: Gate, hung: Callable[[], int]) -> None:
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
            "Time from the complete request to the complete answer.",
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
            "The bundle that produces the answers; always 1.",
            ["name", "version", "sha256"],
            registry=self.registry,
        )
        self._device = Gauge(
            "tamperscope_device_info",
            "What runs the networks; always 1.",
            ["device"],
            registry=self.registry,
        )
        waiting = Gauge("tamperscope_queue_depth", "Images waiting for a worker.", registry=self.registry)
        waiting.set_function(lambda: gate.waiting)
        inside = Gauge("tamperscope_analyses_running", "Images being analysed.", registry=self.registry)
        inside.set_function(lambda: gate.inside)
        left = Gauge(
            "tamperscope_analyses_hung", "Analyses left behind in native code.", registry=self.registry
        )
        left.set_function(hung)

        self._job_images = Counter(
            "tamperscope_job_images",
            "Job images that this process has finished, by outcome: done or failed.",
            ["outcome"],
            registry=self.registry,
        )

    def job_image(self, outcome: str) -> None:
        """Count a finished job image."""
        self._job_images.labels(outcome).inc()

    def watch(self, jobs: JobQueue) -> None:
        """Show the backlog of all jobs in the database, whichever process works on them."""
        self.registry.register(_JobMetrics(jobs))

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Measure the time inside a `with` as one step of an analysis."""
        return self._stages.labels(name).time()

    def waited(self, seconds: float) -> None:
        """Record how long an image waited for a worker."""
        self._stages.labels("wait").observe(seconds)

    def serving(self, method: Method) -> None:
        """Record which bundle and which device produce every answer from now on."""
        bundle = method.bundle
        self._bundle.clear()
        self._bundle.labels(bundle.name, bundle.version, bundle.sha256).set(1)
        self._device.clear()
        self._device.labels(method.device).set(1)

    def answered(self, method: str, endpoint: str, status: int, seconds: float, refusal: str | None) -> None:
        """Count one answer; `refusal` is the reason if it is a problem."""
        self._requests.labels(method, endpoint, status).inc()
        self._seconds.labels(endpoint).observe(seconds)
        if refusal:
            self._refusals.labels(refusal).inc()


class _JobMetrics(Collector):
    def __init__(self, jobs: JobQueue) -> None:
        self._jobs = jobs

    def collect(self) -> Iterator[Metric]:
        """Read the backlog from the database at each scrape."""
        try:
            backlog = self._jobs.backlog()
        except StoreError:
            # Prometheus notices that these metrics are missing, and still receives the others.
            return
        states = GaugeMetricFamily("tamperscope_jobs", "Jobs in the database, by state.", labels=["state"])
        for state in JobState:
            states.add_metric([state], backlog.jobs.get(state, 0))
        yield states
        for name, help, value in (
            ("waiting", "Job images waiting for a worker.", backlog.waiting),
            ("running", "Job images that a worker is analysing.", backlog.running),
        ):
            yield GaugeMetricFamily(f"tamperscope_job_images_{name}", help, value)
        yield GaugeMetricFamily(
            "tamperscope_job_age_seconds", "Age of the oldest unfinished job.", backlog.oldest_seconds
        )


def register(app: Flask, metrics: Metrics) -> None:
    """Count every request of `app`, and serve the metrics at `/metrics`."""

    @app.after_request
    def count(response: Response) -> Response:
        # Only routes and known methods, so that a client cannot create labels.
        endpoint = request.url_rule.rule if request.url_rule else "none"
        method = request.method if request.url_rule else "any"
        seconds = time.perf_counter() - g.begun
        metrics.answered(method, endpoint, response.status_code, seconds, g.get("problem"))
        return response

    app.register_blueprint(_blueprint(metrics.registry))


def _blueprint(registry: CollectorRegistry) -> Blueprint:
    pages = Blueprint("metrics", __name__)

    @pages.get("/metrics")
    @operation({"text/plain": None})
    def figures() -> Response:
        """Return request counts, latencies, queue depth and refusals for Prometheus."""
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)

    return pages
