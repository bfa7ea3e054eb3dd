"""The command that serves runs over HTTP: classifiers and the like at /predict, a language model as OpenAI does."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handful.cli.given import check_model
from handful.cli.printing import put, put_line
from handful.data.cells import shown
from handful.errors import MachineError, OptionError
from handful.progress import Bars

if TYPE_CHECKING:
    from handful.export.bundle import Bundle
    from handful.export.part_model import PartModel
    from handful.web.admission import Admission
    from handful.web.item_answers import ServedModel
    from handful.web.tokens import Token

_PACKAGES = {
    "starlette": "starlette", "uvicorn": "uvicorn", "pydantic": "pydantic", "prometheus_client": "prometheus-client",
    "python_multipart": "python-multipart",
}  # fmt: skip
"""Module of the extra → what it is called in the package index."""


# What backbones saw in so many items last is kept for the other models that read them.
_KEPT = 2048


def serve(
    run: str,
    *more: str,
    host: str = "127.0.0.1",
    port: int = 8000,
    allow_host: str | None = None,
    allow_origin: str | None = None,
    token: str | None = None,
    learn: bool = False,
    retrain: bool = False,
) -> None:
    """Serve runs over HTTP, with a page to try them; a language model as OpenAI does. Ctrl-C stops it.

    Args:
        run: the run folder that `handful tune` wrote, its model folder, or a folder of
            `handful export RUN --format onnx --out FOLDER`.
        more: further ones, each then answers at /models/NAME/predict, all together at /predict/all; of language models
            a request names one as model.
        host: who can reach it: 127.0.0.1, this machine only; 0.0.0.0, everybody who can reach this machine.
        port: its number; 0 for any that is free.
        allow_host: further names by which programs may call this machine, joined by commas, for example of a proxy
            before it.
        allow_origin: where web pages come from that may ask too, joined by commas, for example https://app.example; by
            default none.
        token: what every request has to know, needed where others can reach the server: auto, then it is made up and
            told once; or a text of 16 characters or more, which the environment variable HANDFUL_TOKEN keeps from
            other users of this machine better than a command line.
        learn: take in each correction at once, where it does no harm to what is known.
        retrain: tune the run again in the background when corrections are enough, and swap the new model in.
    """
    from handful.run_folder import heads_of, reads_two, reads_vectors

    # Of several targets each is a model of its own, and a question to all of them is answered at once.
    runs = tuple(str(own) for given in (run, *more) for own in (*heads_of(given).values(),) or (given,))
    for each in runs:
        check_model(each, "serve")
        if reads_vectors(each):
            raise OptionError(
                f"serve reads texts, pictures and sounds, got a model of vectors ({each}). Answer files of vectors "
                "with `handful predict`, or in Python with handful.Bundle.load(run).predict(vectors)."
            )
        if reads_two(each):
            raise OptionError(
                f"serve reads one text, picture or sound at a time, got a model of images with texts ({each}). Answer "
                "tables of both with `handful predict`, or in Python with handful.Bundle.load(run).predict(pairs)."
            )
    try:
        from handful.web import serving
        from handful.web.admission import Admission
        from handful.web.tokens import Token
    except ModuleNotFoundError as error:
        raise missing_package(error) from error
    from handful.run_folder import is_language

    asked = Token.of(token, host)

    speaks = [run for run in runs if is_language(run)]
    if speaks and len(speaks) < len(runs):
        raise OptionError(
            f"language models are served apart from others, got {len(runs)} runs, of which {speaks[0]} is one. "
            "Start a server for it."
        )
    if speaks and (learn or retrain):
        raise OptionError(
            f"--learn and --retrain are for models of labelled items, got the language model {speaks[0]}. "
            "Leave them out."
        )
    with serving.take_port(host, port) as taken:
        where = address_of(host, taken.getsockname()[1])
        if speaks:
            app, said = _language(runs, Admission.of(host, allow_host, allow_origin, token=asked), where)
        else:
            admission = Admission.of(host, allow_host, allow_origin, token=asked)
            app, said = _items(runs, admission, (learn, retrain), where)
        taken.listen()  # the models are loaded before anybody can ask
        put(f"{said}, {who_can_reach(host, asked)}. Ctrl-C stops it.")
        serving.Server(app).run([taken])


def _language(runs: Sequence[str], admission: Admission, where: str) -> tuple[Any, str]:
    from handful.export.adapters import ready_together
    from handful.export.language_model import LanguageModel
    from handful.web import completions
    from handful.web.item_service import check_names

    names = [name_of(run) for run in runs]
    check_names(names)
    models = [LanguageModel.load(run) for run in runs]
    with Bars() as bars:
        saved = ready_together(models, bars)
    if saved:
        put_line(f"{len(models)} runs hold in memory once what they have in common: {saved / 1e6:.0f} MB", sys.stderr)
    context, verb = models[0].backbone.context, "answers" if len(runs) == 1 else "answer by name"
    return (
        completions.application(models[0], names[0], admission, dict(zip(names[1:], models[1:], strict=True))),
        f"{', '.join(names)} (context: {context} tokens) {verb} at {where}/v1",
    )


def _items(runs: Sequence[str], admission: Admission, how: tuple[bool, bool], where: str) -> tuple[Any, str]:
    try:
        from handful.web import item_service
        from handful.web.asked_items import BODIES
        from handful.web.improving import Improvement, Improver
    except ModuleNotFoundError as error:
        raise missing_package(error) from error
    from handful.export.sharing import shared_memory
    from handful.run_folder import is_onnx

    served = load_served(runs)
    names = [one.name for one in served]
    item_service.check_names(names)
    for one in served:
        if one.model.warning:
            put_line(f"{one.name}: {one.model.warning}", sys.stderr)
    for sentence in shared_memory([one.model for one in served]):
        put_line(sentence, sys.stderr)
    others = [one for one in served if not one.corrected and (how[0] or one.parts is not None)]
    if any(how) and others:
        raise OptionError(
            f"--learn and --retrain are for models that one label can correct, got one of {others[0].model.task.name} "
            f"({others[0].name}). Leave them out, or serve it at a port of its own."
        )
    learning = [(one, run) for one, run in zip(served, runs, strict=True) if one.parts is None and not is_onnx(run)]
    if any(how) and len(learning) < len(runs):
        raise OptionError(
            "--learn and --retrain are for runs, got a folder in ONNX, which keeps nothing of its training rows. Serve "
            "the run that it was exported from, or leave them out."
        )
    improvers = [Improver(one, Path(run), Improvement(*how)) for one, run in learning]
    app = item_service.application(served, replace(admission, kinds=BODIES), improvers=improvers)
    verb = "answers" if len(served) == 1 else "answer"
    return app, f"{', '.join(names)} {verb} at {where}, where there is a page to try"


def load_served(runs: Sequence[str]) -> list[ServedModel]:
    """The models, whose backbones are in memory, those that several read once."""
    from handful.export.sharing import share_backbones
    from handful.features.cache import MemoryCache
    from handful.run import saved_inputs
    from handful.web.item_answers import ServedModel

    seen = MemoryCache(_KEPT) if len(runs) > 1 else None
    served = [ServedModel(name_of(run), _model(run), saved_inputs(Path(run)), seen=seen) for run in runs]
    share_backbones([one.model for one in served])
    return served


def _model(run: str) -> Bundle | PartModel:
    """The model of a run, or of a folder in ONNX."""
    from handful.run_folder import is_onnx

    if is_onnx(run):
        from handful.export.onnx.model import load_onnx

        return load_onnx(run)
    from handful.export.bundle import Bundle
    from handful.export.part_model import PartModel
    from handful.run import opened

    model = opened(run)
    assert isinstance(model, Bundle | PartModel)  # several targets are parted, language models served apart
    return model


def missing_package(error: ModuleNotFoundError, command: str = "serve") -> Exception:
    """What is said where the libraries of the extra are not there.

    Args:
        error: what an import said.
        command: what needs it.
    """
    package = _PACKAGES.get((error.name or "").partition(".")[0])
    if package is None:
        return error
    typed = f"handful {command}"
    return MachineError(
        f"`{typed}` needs the package {package}, which is not installed. Run: pip install 'handful[web]'"
    )


def address_of(host: str, port: int) -> str:
    """Where a server can be asked."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def name_of(run: str) -> str:
    """What a model is called: as its run folder."""
    place = Path(run).absolute()
    return shown((place.parent if place.name == "model" else place).name) or "model"


def who_can_reach(host: str, token: Token | None) -> str:
    """Who can reach it, and what they need; a token that was made up is told here and nowhere else."""
    from handful.web.tokens import is_this_machine

    who = "for this machine only" if is_this_machine(host) else "for everybody who can reach this machine"
    if token is None:
        return who
    if token.made_up:
        return f"{who} and knows the token {token.secret} (in a browser: the address with #token={token.secret})"
    return f"{who} and knows the token"
