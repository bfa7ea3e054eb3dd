"""The application that serves the page to label a pool: what is next, answers, search, dropped files, a model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from handful.answer_store import LINES, export_table, table_text
from handful.data.shown_media import as_shown
from handful.errors import DataError, HandfulError, MachineError
from handful.web.admission import Admission, Doorkeeper
from handful.web.failures import handlers
from handful.web.labelling.bodies import Answers, Back, Looked, NewClass, Wish, checked, read_body
from handful.web.labelling.learning import Learning
from handful.web.labelling.making import Making
from handful.web.labelling.session import Session
from handful.web.labelling.uploads import take_files
from handful.web.labelling.views import item_view, items_view, state_view
from handful.web.questions import RefusedError

SECONDS = 30.0
"""How long a request may take, once its body is there."""
BODIES = ("application/json", "multipart/form-data")
"""What a body may be, by its Content-Type."""
DOUBTFUL = 10
"""So many labels are shown for a second look."""

_PAGES = (
    "There are GET /state, /next, /search, /alike, /doubtful, /items/ID/content, /labels, /model, POST /answers, "
    "/undo, /classes, /items, /model, and the page /."
)
# Nothing of another place is loaded or sent anything.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "media-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# The report holds texts of the pool and scripts of its own: it may run these, and reach nothing, not even this page.
_REPORT = (
    "sandbox allow-scripts allow-popups; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data:; media-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_FILES = {
    "label.js": "text/javascript",
    "label_views.js": "text/javascript",
    "label_spans.js": "text/javascript",
    "label.css": "text/css",
    "try.css": "text/css",
}
_NOSNIFF = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}

Result = TypeVar("Result")


@dataclass(frozen=True)
class Labelling:
    """All that the page needs."""

    session: Session
    """Who said what."""
    learning: Learning
    """What is learned meanwhile."""
    making: Making
    """The model."""
    table: Path
    """The file of the labels, written after answers and at the end."""


def application(labelling: Labelling, admission: Admission | None = None, seconds: float = SECONDS) -> Starlette:
    """Make the application.

    Args:
        labelling: what it serves.
        admission: who may ask.
        seconds: how long a request may take.

    Returns:
        An ASGI application; the model learns as long as it runs.
    """
    service = _Service(labelling, seconds)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        labelling.learning.start()
        writer = asyncio.create_task(service.write_tables())
        yield
        writer.cancel()
        await run_in_threadpool(labelling.making.end)
        await run_in_threadpool(labelling.learning.end)
        if labelling.session.store.labels():
            await run_in_threadpool(export_table, labelling.session.store, labelling.table)

    made = Starlette(
        routes=[
            Route("/", service.page),
            Route("/static/{name}", service.static),
            Route("/health", service.health),
            Route("/state", service.state),
            Route("/next", service.next),
            Route("/answers", service.answers, methods=["POST"]),
            Route("/undo", service.undo, methods=["POST"]),
            Route("/classes", service.classes, methods=["POST"]),
            Route("/items", service.upload, methods=["POST"]),
            Route("/items/{item}/content", service.content),
            Route("/search", service.search),
            Route("/alike", service.alike),
            Route("/doubtful", service.doubtful),
            Route("/labels", service.table),
            Route("/model", service.model),
            Route("/model", service.make, methods=["POST"]),
            Route("/report", service.report),
        ],
        exception_handlers={**handlers(_PAGES), HandfulError: _told},
        middleware=[Middleware(Doorkeeper, admission or Admission(kinds=BODIES))],
        lifespan=lifespan,
    )
    made.state.stopping = False
    return made


async def _told(request: Request, error: Exception) -> Response:
    """What is wrong with the data or the machine, as a status: the server goes on."""
    status = 507 if isinstance(error, MachineError) else 422
    return JSONResponse(RefusedError(str(error), status=status).body(), status)


class _Service:
    """Requests on one side, the labelling on the other."""

    def __init__(self, labelling: Labelling, seconds: float) -> None:
        self._all, self._session, self._seconds = labelling, labelling.session, seconds
        self._changed = asyncio.Event()

    async def page(self, request: Request) -> Response:
        return _file("label.html", "text/html")

    async def static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _FILES:
            raise RefusedError(f"there is no such file here. {_PAGES}", status=404)
        return _file(name, _FILES[name])

    async def health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def state(self, request: Request) -> Response:
        asked = checked(Looked, dict(request.query_params))
        return JSONResponse(await self._in_time(state_view, self._session, self._all.learning, asked.person))

    async def next(self, request: Request) -> Response:
        asked = checked(Looked, dict(request.query_params))
        return JSONResponse({"items": await self._in_time(self._next, asked.person, asked.count)})

    def _next(self, person: str, count: int) -> list[dict[str, Any]]:
        found = self._session.next(person, count)
        return [item_view(self._session, asked.index, person, asked) for asked in found]

    async def answers(self, request: Request) -> Response:
        body = await read_body(request, Answers)
        new = await self._in_time(self._session.accept, body.as_kept())
        self._poke()
        return JSONResponse({"accepted": [one.id for one in body.answers], "new": new})

    async def undo(self, request: Request) -> Response:
        body = await read_body(request, Back)
        back = await self._in_time(self._session.undo, body.person, body.id)
        self._poke()
        if back is None:
            return JSONResponse({"item": None})
        view = await self._in_time(self._one, back.item, body.person)
        return JSONResponse({"item": {**view, "how": back.asked if back.asked != "given" else "searched"}})

    def _one(self, item: str, person: str) -> dict[str, Any]:
        return item_view(self._session, self._session.position(item), person)

    async def classes(self, request: Request) -> Response:
        body = await read_body(request, NewClass)
        return JSONResponse({"name": await self._in_time(self._session.labels.add, body.name)})

    async def upload(self, request: Request) -> Response:
        taken = await take_files(request, self._session)
        self._poke()
        return JSONResponse(taken)

    async def content(self, request: Request) -> Response:
        position = self._session.position(request.path_params["item"])
        if self._session.pool.modality == "text":
            raise RefusedError("texts are told by /next and have no file. Ask for them there.", status=404)
        try:
            content, kind = await self._in_time(
                as_shown, self._session.pool.items[position], self._session.pool.modality
            )
        except DataError as error:
            self._session.failed[position] = str(error)
            raise
        headers = {
            **_NOSNIFF,
            "Cache-Control": "private, max-age=3600",
            "Content-Security-Policy": "default-src 'none'",
        }
        return Response(content, media_type=kind, headers=headers)

    async def search(self, request: Request) -> Response:
        asked = checked(Looked, dict(request.query_params))
        found = await self._in_time(self._found, asked.text)
        return JSONResponse({"items": await self._in_time(self._views, found[: asked.count], asked.person)})

    def _found(self, text: str) -> list[int]:
        """Items that have all words of a text, then those that say most nearly the same."""
        words = text.lower().split()
        if not words:
            raise RefusedError("text must have a word to look for, got none. Type one.", "text", 422)
        pool = self._session.pool
        told = (
            f"{pool.names[at]} {item if isinstance(item, str) else ''}".lower() for at, item in enumerate(pool.items)
        )
        exact = [at for at, own in enumerate(told) if all(word in own for word in words)]
        near = self._all.learning.like_text(text) if len(exact) < DOUBTFUL else []
        return [*exact, *(at for at in near[:DOUBTFUL] if at not in exact)]

    async def alike(self, request: Request) -> Response:
        asked = checked(Looked, dict(request.query_params))
        if asked.item is None:
            raise RefusedError("item must be that of one item, got none. Name it.", "item", 422)
        position = self._session.position(asked.item)
        return JSONResponse({"items": await self._in_time(self._like, position, asked)})

    def _like(self, position: int, asked: Looked) -> list[dict[str, Any]]:
        away = self._session.done(asked.person) | set(self._session.failed)
        near = (at for at in self._session.fit.alike(position) if at not in away)
        return self._views([at for at, _ in zip(near, range(asked.count), strict=False)], asked.person)

    async def doubtful(self, request: Request) -> Response:
        asked = checked(Looked, dict(request.query_params))
        return JSONResponse(await self._in_time(self._doubted, asked.person))

    def _doubted(self, person: str) -> dict[str, Any]:
        doubt = self._all.learning.doubtful(DOUBTFUL)
        views = self._views(doubt.rows, person)
        for view, chance in zip(views, doubt.chances, strict=False):
            view["wrong"] = round(chance, 4)
        return {"sentence": doubt.sentence, "items": [{**view, "how": "second look"} for view in views]}

    def _views(self, positions: Sequence[int], person: str) -> list[dict[str, Any]]:
        return items_view(self._session, positions, person)

    async def table(self, request: Request) -> Response:
        table = self._all.table
        text, _ = await self._in_time(table_text, self._session.store, table)
        headers = {**_NOSNIFF, "Content-Disposition": f'attachment; filename="labels{table.suffix}"'}
        kind = "application/jsonl" if table.suffix == LINES else "text/csv"
        return Response(text, media_type=f"{kind}; charset=utf-8", headers=headers)

    async def model(self, request: Request) -> Response:
        return JSONResponse(self._all.making.view())

    async def make(self, request: Request) -> Response:
        body = await read_body(request, Wish)
        await self._in_time(self._all.making.begin, body.budget)
        return JSONResponse(self._all.making.view(), 202)

    async def report(self, request: Request) -> Response:
        file = self._all.making.report
        if file is None:
            raise RefusedError("there is no report yet. Make the model first.", status=404)
        content = await run_in_threadpool(file.read_bytes)
        return Response(
            content, media_type="text/html; charset=utf-8", headers={**_NOSNIFF, "Content-Security-Policy": _REPORT}
        )

    def _poke(self) -> None:
        self._all.learning.poke()
        self._changed.set()

    async def write_tables(self) -> None:
        """Write the CSV file whenever answers have come, so that it can be used at any time."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await run_in_threadpool(export_table, self._session.store, self._all.table)
            except HandfulError as error:  # the answers are in the store; the page tells
                self._all.learning.problem = str(error)

    async def _in_time(self, work: Callable[..., Result], *given: Any) -> Result:
        """Do something in another thread, for as long as a request may take."""
        try:
            async with asyncio.timeout(self._seconds):
                return await run_in_threadpool(work, *given)
        except TimeoutError as late:
            raise RefusedError(
                f"an answer must be found within {self._seconds:g} seconds. Ask again.", status=503
            ) from late


def _file(name: str, kind: str) -> Response:
    """A file of the page, which may load nothing from elsewhere."""
    text = resources.files("handful").joinpath("templates", name).read_text("utf-8")
    headers = {**_NOSNIFF, "Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"}
    return Response(text, media_type=f"{kind}; charset=utf-8", headers=headers)
