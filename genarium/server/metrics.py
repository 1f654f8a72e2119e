"""What Prometheus reads at `/metrics`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

if TYPE_CHECKING:
    from genarium.server.jobs import Job
    from genarium.server.queue import Queue

SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)


class Metrics:
    def __init__(self, queue: Queue):
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "genarium_requests", "HTTP requests", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "genarium_request_seconds",
            "From the request to the last byte of the answer",
            ["route"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.jobs = Counter("genarium_jobs", "Recipes that ended, by how", ["task", "status"], registry=self.registry)
        self.job_seconds = Histogram(
            "genarium_job_seconds",
            "From the first to the last moment of a run",
            ["task"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.tokens = Counter("genarium_tokens", "Tokens read and written", ["kind"], registry=self.registry)
        self.first_token = Histogram(
            "genarium_first_token_seconds",
            "From the beginning of a run to its first token",
            buckets=SECONDS,
            registry=self.registry,
        )
        waiting = Gauge("genarium_queue_waiting", "Jobs that wait", registry=self.registry)
        waiting.set_function(lambda: len(queue))
        running = Gauge("genarium_queue_running", "Jobs that run", registry=self.registry)
        running.set_function(queue.running)
        models, held = (
            Gauge("genarium_models_loaded", "Models that are open", registry=self.registry),
            Gauge("genarium_models_bytes", "Bytes of the models that are open, by their files", registry=self.registry),
        )
        models.set_function(lambda: _loaded()[0])
        held.set_function(lambda: _loaded()[1])
        memory = Gauge("genarium_resident_bytes", "Memory of this process", registry=self.registry)
        memory.set_function(_resident)

    def ended(self, job: Job) -> None:
        self.jobs.labels(job.recipe.task, job.status).inc()
        self.job_seconds.labels(job.recipe.task).observe(job.seconds)
        for artefact in job.result or ():
            facts = artefact.facts()
            if artefact.item == 0:
                self.tokens.labels("prompt").inc(facts.get("prompt_tokens", 0))
            self.tokens.labels("completion").inc(facts.get("completion_tokens", 0))
            if "time_to_first_token" in artefact.stats:
                self.first_token.observe(artefact.stats["time_to_first_token"])

    def written(self) -> bytes:
        return generate_latest(self.registry)


def _loaded() -> tuple[int, int]:
    from genarium.engines import cache

    return cache.count(), cache.held()


def _resident() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)
