"""What a service of models of items answers about getting better: corrections, versions and the way back, drift."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from handful.errors import DataError, HandfulError, MachineError, OptionError
from handful.web.asked_items import checked, kind_of, parsed
from handful.web.failures import body_of
from handful.web.feedback import Corrected, Memory, Remembered, read_correction
from handful.web.improving import Improver
from handful.web.item_answers import Answered, ServedModel
from handful.web.questions import RefusedError

_MOST_BYTES = 4096
_log = logging.getLogger(__name__)
Result = TypeVar("Result")


class Back(BaseModel):
    """The body of ``POST /rollback``."""

    model_config = ConfigDict(extra="forbid")

    version: Annotated[str, Field(max_length=16)]
    """Which version shall answer again, such as 2, or 2.3 for what had been learned by then."""


class FeedbackService:
    """Answers about corrections, versions and drift."""

    def __init__(
        self,
        named: Callable[[Request], ServedModel],
        improvers: Mapping[str, Improver],
        memory: Memory,
        seconds: float,
    ) -> None:
        """Take what it answers with.

        Args:
            named: finds the model that a request asks.
            improvers: name of a model → what takes its corrections.
            memory: the last answers.
            seconds: how long a request may take.
        """
        self._named, self._improvers, self._memory, self._seconds = named, improvers, memory, seconds

    def routes(self) -> list[Route]:
        """Each page for the first model, and for every model by its name."""
        pages = (
            ("feedback", self.feedback, "POST"), ("versions", self.versions, "GET"), ("drift", self.drift, "GET"),
            ("rollback", self.rollback, "POST"),
        )  # fmt: skip
        return [
            Route(f"{start}/{name}", answer, methods=[method])
            for start in ("", "/models/{model}")
            for name, answer, method in pages
        ]

    async def feedback(self, request: Request) -> Response:
        """Store a correction, and learn from it where the server was started so."""
        served = self._named(request)
        if not served.corrected:
            raise RefusedError(
                f"{served.name} is a model of {served.model.task.name}, which takes no corrections. Put what is right "
                "beside the other items, and run: handful update RUN NEW", status=404,
            )  # fmt: skip
        improver = self._improver(request)
        corrected = await read_correction(request, served.bundle)
        known = corrected.said.answer_id and self._memory.get(corrected.said.answer_id, served.name)
        before = known or Remembered.of(served.name, await self._asked(served, corrected))
        outcome = await self._done(improver.correct, corrected, before)
        after = await self._asked(served, corrected)
        body: dict[str, Any] = {
            "model": served.name, "version": outcome.version, "stored": True, "learned": outcome.learned,
            "corrections": outcome.corrections,
            "answered": {"answer": before.answer, "confidence": before.confidence, "version": before.version},
            "answers_now": {"answer": after.row["answer"], "confidence": after.row["confidence"]},
        }  # fmt: skip
        return JSONResponse({**body, "why": outcome.why} if outcome.why else body)

    async def versions(self, request: Request) -> Response:
        """What the model was."""
        return JSONResponse(await self._done(self._improver(request).versions))

    async def drift(self, request: Request) -> Response:
        """Whether what is asked still looks like the training rows."""
        return JSONResponse(await self._done(self._improver(request).drift))

    async def rollback(self, request: Request) -> Response:
        """Answer as an earlier version did."""
        improver = self._improver(request)
        if kind_of(request.headers) != "application/json":
            raise RefusedError('the body must be application/json. Send {"version": "1"}.', status=415)
        body = checked(Back, parsed(await body_of(request, _MOST_BYTES, "Send the version alone."), '{"version": "1"}'))
        try:
            version = await self._done(improver.roll_back, body.version)
        except OptionError as error:
            raise RefusedError(str(error), "version", 422) from error
        return JSONResponse({"model": improver.served.name, "version": version})

    async def _asked(self, served: ServedModel, corrected: Corrected) -> Answered:
        """What is answered to the item of a correction."""
        try:
            async with asyncio.timeout(self._seconds):
                (answered,) = await served.batcher.answers([corrected.value])
        except TimeoutError as late:
            raise RefusedError(
                f"an answer must be found within {self._seconds:g} seconds. Ask again later.", status=503
            ) from late
        if "error" in answered.row:
            raise RefusedError(f"the item cannot be read: {answered.row['error']}. Send another.", "item", 422)
        return answered

    async def _done(self, work: Callable[..., Result], *given: Any) -> Result:
        """Do in another thread what reads and writes files; what is wrong there is told without places on this machine.

        Raises:
            RefusedError: it could not be done.
        """
        try:
            return await run_in_threadpool(work, *given)
        except MachineError as error:
            _log.error("%s", error)
            raise RefusedError(
                "this cannot be stored: the disk is full or cannot be written; the log of the server says more. "
                "Nothing was changed. Ask again later.", status=507, code="not_stored",
            ) from error  # fmt: skip
        except OptionError as error:
            if work.__name__ == "roll_back":
                raise
            raise RefusedError(str(error), status=507, code="too_many") from error
        except (DataError, HandfulError) as error:
            _log.error("%s", error)
            raise RefusedError(
                "what is kept of corrections and versions cannot be read; the log of the server says more. Put it "
                "right there, and ask again.", status=503, code="not_readable",
            ) from error  # fmt: skip

    def _improver(self, request: Request) -> Improver:
        served = self._named(request)
        if served.parts is not None:
            raise RefusedError(
                f"{served.name} is a model of {served.model.task.name}, whose versions and drift are not followed "
                "while it is served. Run: handful versions RUN, or handful check RUN NEW", status=404,
            )  # fmt: skip
        if served.name not in self._improvers:
            raise RefusedError(
                f"{served.name} takes no corrections, since it was not loaded from a folder. Serve a run.", status=404
            )
        return self._improvers[served.name]
