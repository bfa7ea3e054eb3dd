"""Figures of a service for Prometheus: requests, how long they take, what is answered, how much of it is strange."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from handful.web.questions import RefusedError

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Figures:
    """Counts since the server began."""

    KIND = CONTENT_TYPE_LATEST
    """The Content-Type of ``text``."""

    def __init__(self) -> None:
        """Begin to count; nothing is shared with other servers in this process."""
        self._registry = CollectorRegistry()
        names = ("handful_requests", "handful_items", "handful_request_seconds")
        self._requests = Counter(names[0], "Requests by status", ("model", "status"), registry=self._registry)
        self._items = Counter(names[1], "Items by what became of them", ("model", "kind"), registry=self._registry)
        self._seconds = Histogram(
            names[2], "Seconds of a request", ("model",), registry=self._registry, buckets=_SECONDS
        )

        self._drifted = Gauge(
            "handful_drifted", "1 where what is asked differs from the training rows", ("model",),
            registry=self._registry,
        )  # fmt: skip
        self._fresh = Gauge(
            "handful_corrections", "Corrections that the model was not tuned with", ("model",), registry=self._registry
        )

    def improved(self, model: str, drifted: bool, corrections: int) -> None:
        """Take over what is known of drift and corrections now."""
        self._drifted.labels(model).set(drifted)
        self._fresh.labels(model).set(corrections)

    @contextmanager
    def request(self, model: str) -> Iterator[None]:
        """Count one request, however it ends, and its seconds."""
        start, status = time.perf_counter(), 500
        try:
            yield
            status = 200
        except RefusedError as error:
            status = error.status
            raise
        finally:
            self._requests.labels(model, str(status)).inc()
            self._seconds.labels(model).observe(time.perf_counter() - start)

    def answers(self, model: str, rows: Sequence[dict[str, Any]]) -> None:
        """Count items: answered, of these strange or called bad ones, and not readable."""
        failed = sum("error" in row for row in rows)
        self._items.labels(model, "answered").inc(len(rows) - failed)
        self._items.labels(model, "unreadable").inc(failed)
        self._items.labels(model, "alarm").inc(sum(bool(row.get("alarm")) for row in rows))
        self._items.labels(model, "unlike_training").inc(sum(bool(row.get("unlike_training")) for row in rows))

    def text(self) -> bytes:
        """All figures, as Prometheus reads them."""
        return generate_latest(self._registry)
