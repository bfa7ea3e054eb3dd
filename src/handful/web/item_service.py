"""The application that serves models of items: answers, health, figures for Prometheus, its description, a page."""

from __future__ import annotations

import asyncio
import base64
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from handful.errors import OptionError
from handful.web.admission import Admission, Doorkeeper
from handful.web.asked_items import PNG, Asked, check_wanted, read_asked
from handful.web.description import describe
from handful.web.failures import handlers
from handful.web.feedback import Memory, Remembered
from handful.web.feedback_service import FeedbackService
from handful.web.figures import Figures
from handful.web.improving import Improver
from handful.web.item_answers import Answered, Answering, ServedModel
from handful.web.part_answers import in_text
from handful.web.questions import RefusedError

SECONDS = 60.0
"""How long a request may take, once its body is there."""

_PAGES = (
    "There are POST /predict, /feedback and /rollback, GET /models, /versions, /drift, /health, /ready, /metrics, "
    "/openapi.json and the page /."
)

# Nothing of another place is loaded or sent anything; a picture or sound that was dropped is shown from memory.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob: data:; "
    "media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_FILES = {
    "try.js": "text/javascript", "try_parts.js": "text/javascript", "try_versions.js": "text/javascript",
    "try.css": "text/css",
}  # fmt: skip


def application(
    models: Sequence[ServedModel], admission: Admission | None = None, seconds: float = SECONDS,
    improvers: Sequence[Improver] = (),
) -> Starlette:  # fmt: skip
    """Make the application.

    Args:
        models: who answers; the first one where a request names none.
        admission: who may ask.
        seconds: how long a request may take.
        improvers: what takes corrections to some of the models.

    Returns:
        An ASGI application.

    Raises:
        OptionError: two models have the same name.
    """
    check_names([model.name for model in models])
    memory, by_name = Memory(), {one.served.name: one for one in improvers}
    service = _Service({model.name: model for model in models}, seconds, memory, by_name)
    feedback = FeedbackService(service.named, by_name, memory, seconds)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        for improver in improvers:
            await run_in_threadpool(improver.end)
        for model in models:
            await run_in_threadpool(model.batcher.end)

    made = Starlette(
        routes=[
            Route("/", service.page),
            Route("/static/{name}", service.static),
            Route("/predict", service.predict, methods=["POST"]),
            Route("/predict/all", service.predict_all, methods=["POST"]),
            Route("/models", service.models),
            Route("/models/{model}/predict", service.predict, methods=["POST"]),
            *feedback.routes(),
            Route("/health", service.health),
            Route("/ready", service.ready),
            Route("/metrics", service.metrics),
            Route("/openapi.json", service.openapi),
        ],
        exception_handlers=handlers(_PAGES),
        middleware=[Middleware(Doorkeeper, admission or Admission())],
        lifespan=lifespan,
    )
    made.state.stopping = False
    return made


def check_names(names: Sequence[str]) -> None:
    """Refuse two models of one name.

    Raises:
        OptionError: there are two.
    """
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise OptionError(f"each run must have a name of its own, got {twice!r} twice. Rename one of the folders.")


class _Service:
    """Models by name, and what is counted of their use."""

    def __init__(
        self, models: Mapping[str, ServedModel], seconds: float, memory: Memory, improvers: Mapping[str, Improver]
    ) -> None:  # fmt: skip
        self._models, self._seconds, self._memory, self._improvers = models, seconds, memory, improvers
        self._figures = Figures()

    async def page(self, request: Request) -> Response:
        return _file("try.html", "text/html")

    async def static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _FILES:
            raise RefusedError(f"there is no file {name!r} here. {_PAGES}", status=404)
        return _file(name, _FILES[name])

    async def health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        """The models are loaded before the server listens, so that what answers is ready."""
        return JSONResponse({"status": "ready", "models": list(self._models)})

    async def metrics(self, request: Request) -> Response:
        for name, improver in self._improvers.items():
            self._figures.improved(name, improver.watch.drifted, improver.corrector.fresh())
        return Response(await run_in_threadpool(self._figures.text), media_type=Figures.KIND)

    async def openapi(self, request: Request) -> Response:
        return JSONResponse(describe(self._about()))

    async def models(self, request: Request) -> Response:
        return JSONResponse({"models": self._about()})

    def _about(self) -> list[dict[str, Any]]:
        return [
            {**model.about(), "feedback": name in self._improvers and model.corrected,
             "followed": name in self._improvers}
            for name, model in self._models.items()
        ]  # fmt: skip

    async def predict(self, request: Request) -> Response:
        served = self.named(request)
        start = time.perf_counter()
        with self._figures.request(served.name):
            asked = await read_asked(request, served)
            if asked.picture:
                return await self._picture(served, asked)
            body = await self._told(served, asked)
        return JSONResponse({**body, "seconds": round(time.perf_counter() - start, 4)})

    async def _picture(self, served: ServedModel, asked: Asked) -> Response:
        """The answer to one item as a picture.

        Raises:
            RefusedError: the item cannot be read.
        """
        (row,) = (await self._told(served, asked))["answers"]
        if "error" in row:
            raise RefusedError(f"the item cannot be read: {row['error']}. Send another.", "file", 422)
        return Response(base64.b64decode(row["drawn"]), media_type=PNG)

    async def predict_all(self, request: Request) -> Response:
        """One question to all models, one after the other: what a backbone sees is there for the next that reads it."""
        models = list(self._models.values())
        kinds = {(one.model.modality, one.model.pairs) for one in models}
        if len(kinds) > 1:
            raise RefusedError(
                f"all models must read items of one kind to be asked together, got {len(kinds)} kinds. Ask each at "
                "/models/NAME/predict.",
                status=404,
            )
        start = time.perf_counter()
        asked, told = None, {}
        for one in models:
            with self._figures.request(one.name):
                asked = asked or await read_asked(request, one)
                if asked.picture:
                    raise RefusedError(
                        f"a question to all models is not answered with one picture, got Accept: {PNG}. Ask each at "
                        "/models/NAME/predict, or all for application/json with drawn=true.", status=406,
                    )  # fmt: skip
                check_wanted(asked.wanted, one)
                told[one.name] = await self._told(one, asked)
        return JSONResponse({"models": told, "seconds": round(time.perf_counter() - start, 4)})

    async def _told(self, served: ServedModel, asked: Asked) -> dict[str, Any]:
        """What a model says to a question."""
        try:
            async with asyncio.timeout(self._seconds):
                rows, by = await self._answers(served, asked)
        except TimeoutError as late:
            raise RefusedError(
                f"an answer must be found within {self._seconds:g} seconds. Send fewer items.", status=503
            ) from late
        self._figures.answers(served.name, rows)
        body: dict[str, Any] = {"model": served.name, "version": by.version, "answers": rows}
        return {**body, **({"warning": by.model.warning} if by.model.warning else {})}

    async def _answers(self, served: ServedModel, asked: Asked) -> tuple[list[dict[str, Any]], Answering]:
        """One row per item, in their order, and who answered: one model, whatever is swapped in meanwhile."""
        readable = [i for i in range(len(asked.items)) if i not in asked.failed]
        rows: list[dict[str, Any]] = [{"error": asked.failed.get(i, "")} for i in range(len(asked.items))]
        if not readable:
            return rows, served.now
        answers: list[Answered] = []
        for some in served.together([asked.items[i] for i in readable]):
            answers += await served.batcher.answers(some)
        for i, one in zip(readable, answers, strict=True):
            rows[i] = dict(one.row)
            if "error" in one.row:
                continue
            if one.corrected_by_id:
                rows[i]["id"] = self._remembered(served, one)
            if asked.wanted.nearest:
                rows[i]["nearest"] = one.by.like(one, asked.wanted.nearest)
            if asked.wanted.explain:
                rows[i]["parts"] = await run_in_threadpool(one.by.explained, asked.items[i], one)
            if asked.draws:
                rows[i]["drawn"] = in_text(await run_in_threadpool(one.by.drawn, asked.items[i], one))
        return rows, answers[0].by

    def _remembered(self, served: ServedModel, one: Answered) -> str:
        """The id by which an answer can be corrected."""
        key = uuid.uuid4().hex
        self._memory.put(key, Remembered.of(served.name, one))
        return key

    def named(self, request: Request) -> ServedModel:
        """The model that a request asks, the first one where it names none.

        Raises:
            RefusedError: there is no such model.
        """
        name = request.path_params.get("model", next(iter(self._models)))
        if name not in self._models:
            raise RefusedError(
                f"model must be one of {', '.join(self._models)}, got {name!r}. GET /models tells about each.",
                "model", 404, "model_not_found",
            )  # fmt: skip
        return self._models[name]


def _file(name: str, kind: str) -> Response:
    """A file of the page, which may load nothing from elsewhere."""
    text = resources.files("handful").joinpath("templates", name).read_text("utf-8")
    headers = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
    return Response(text, media_type=f"{kind}; charset=utf-8", headers=headers)
