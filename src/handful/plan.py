"""The Plan: the options of a run, checked all at once, with where each value came from."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from handful.choices import HEADS, LANGUAGE_ARMS, METRICS, SHARED, STRATEGIES, TASKS
from handful.errors import BundleError, OptionError, suggestion
from handful.files import read_ordinary
from handful.readback import checked, damage_is

PATTERN = "regex:"
REMEDIES = ("fade", "l2sp", "replay")
"""What holds a language model back from forgetting."""
ENGINES = ("inline", "processes", "ray")

# Bytes; what handful writes has about two thousand.
_LARGEST = 1 << 20

_EVERY = tuple(dict.fromkeys((*STRATEGIES, SHARED, *LANGUAGE_ARMS)))
# Without the s of the plural, or of seconds.
_UNITS = {"": 1.0, "sec": 1.0, "second": 1.0, "m": 60.0, "min": 60.0, "minute": 60.0, "h": 3600.0, "hour": 3600.0}


@dataclass(frozen=True)
class Plan:
    """The options that apply to a whole run."""

    source: str = "items"
    """The folder, table or JSON-lines file with the labelled rows."""
    sources: tuple[str, ...] = ()
    """All folders and files with labelled rows, the earliest first, where there are several."""
    label: str | None = None
    """The column that holds the label, or several columns of 0 and 1 joined by commas; guessed when that is safe."""
    task: str | None = None
    """What the labels are, as a task of ``handful.choices.TASKS``; guessed when the guess is safe."""
    input: str | None = None
    """The column that holds the text or the path of the file, or two that belong together; guessed when safe."""
    features: str | None = None
    """The file with vectors that another program made of the items, or ``columns`` for those of the table itself."""
    group: str | None = None
    """The column that says which rows belong together (speaker, patient, document); never split across folds."""
    unlabelled: str | None = None
    """A folder, table or text file with items that have no labels, which are learned from too."""
    related: str | None = None
    """A table or folder with labelled rows of something related, on which weights move first (``--with``)."""
    out: str | None = None
    """The run folder to write."""
    budget: float = 60.0
    """How long you are willing to wait, in seconds; 0: frozen features and the smallest search."""
    seed: int = 0
    """One number that fixes every random choice of the run."""
    backbone: str = "auto"
    """A name from ``handful models``, a local folder or a Hugging Face id; auto compares the default ones."""
    strategies: tuple[str, ...] = STRATEGIES
    """Which arms to try; of those that move weights only the promising ones, unless they are named."""
    metric: str = METRICS[0]
    """What arms are compared by: a metric of the task (``handful.choices.METRICS_OF``), its first one by default; of
    answers one of ``handful.choices.ANSWER_METRICS`` or regex:PATTERN."""
    false_alarms: float | None = None
    """Of defects: the share of normal items that may raise a false alarm; 5 % by default."""
    must_find: str | None = None
    """The share of bad items that must be found, such as ``95%``; of two classes with the name of one: ``bad=99%``."""
    anti_forgetting: str = ""
    """What holds a language model back from forgetting: fade, l2sp or replay; empty for nothing."""
    trials: int = 0
    """How many further settings of the strategies that move weights to try, from a wide space."""
    resume: bool = False
    """Whether to go on from where an interrupted run of the same plan stood."""
    carry_items: bool = False
    """Whether a few short training items go into the model, to test it when it is loaded; who has it can read them."""
    engine: str = "inline"
    """Where the fits run: inline (here), processes (one per core) or ray (on a cluster; an extra)."""
    origins: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Option → where its value came from; options that are not listed have their default."""

    @classmethod
    def resolve(cls, given: Mapping[str, Any], origin: str = "given") -> Plan:
        """Make a plan of the given options and the defaults, and check it.

        Args:
            given: option → value; None means: not given.
            origin: where the given values came from, for example ``command line``.

        Raises:
            OptionError: lists every problem at once.
        """
        known = [f.name for f in fields(cls) if f.name != "origins"]
        wanted = {name: value for name, value in given.items() if value is not None}
        problems = [f"unknown option {n!r}.{suggestion(n, known)}" for n in wanted if n not in known]
        values = {name: value for name, value in wanted.items() if name in known}
        if "budget" in values:
            try:
                values["budget"] = seconds_of(values["budget"])
            except OptionError as error:
                problems.append(str(error))
        if isinstance(values.get("strategies"), str):
            values["strategies"] = [name.strip() for name in values["strategies"].split(",") if name.strip()]
        problems += _kept(values)
        if "strategies" in values:
            values["strategies"], wrong = _strategies(values["strategies"])
            problems += wrong
        problems += _metric(str(values.get("metric", METRICS[0])))
        problems += _unknown("task", [values["task"]] if values.get("task") else [], TASKS)
        problems += _unknown("engine", [values.get("engine", ENGINES[0])], ENGINES)
        problems += _unknown(
            "anti-forgetting", [values["anti_forgetting"]] if values.get("anti_forgetting") else [], REMEDIES
        )
        seed = values.get("seed", 0)
        if not isinstance(seed, Integral) or isinstance(seed, bool) or seed < 0:
            problems.append(f"seed must be a whole number from 0 up, got {seed!r}. Try 0.")
        elif "seed" in values:
            values["seed"] = int(seed)
        trials = values.get("trials", 0)
        if not isinstance(trials, Integral) or isinstance(trials, bool) or trials < 0:
            problems.append(f"trials must be a whole number from 0 up, got {trials!r}. Try 20.")
        values |= _named(values)
        if not values.get("source", "items"):
            problems.append("source must be a folder or a file, got an empty text. Name one.")
        if not values.get("backbone", "auto").strip(", "):
            problems.append(
                f"backbone must be a name, a folder or auto, got {values['backbone']!r}. See `handful models list`."
            )
        if problems:
            raise OptionError(*problems)
        return cls(**values, origins=dict.fromkeys(values, origin))

    def items(self) -> list[tuple[str, Any, str]]:
        """Name, value and origin of every option."""
        return [
            (f.name, getattr(self, f.name), self.origins.get(f.name, "default"))
            for f in fields(self)
            if f.name != "origins"
        ]

    def again(self, **more: Any) -> str:
        """What to type for a run with the options that were given, and others: a command, or a call in Python.

        Args:
            more: option → value, in place of what was given.
        """
        left = ("source", "sources")
        given = {name: value for name, value, origin in self.items() if origin != "default" and name not in left}
        if not set(self.origins.values()) & {"command line"}:
            return ", ".join(["handful.tune(…", *(f"{name}={value!r}" for name, value in more.items())]) + ")"
        shown = {name: _typed(value) for name, value in {**given, **more}.items()}
        shown.pop("resume", None)  # another run begins anew
        flags = [f"--{name.rstrip('_').replace('_', '-')} {shlex.quote(value)}" for name, value in shown.items()]
        return " ".join(["handful tune", *map(shlex.quote, self.sources or (self.source,)), *flags])

    def save(self, file: Path) -> None:
        """Write every option with its value and origin as YAML."""
        import yaml

        shown = {n: {"value": list(v) if isinstance(v, tuple) else v, "from": o} for n, v, o in self.items()}
        file.write_text(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True), encoding="utf-8")


def read_plan(file: Path) -> Plan:
    """Read back what ``Plan.save`` wrote.

    Raises:
        BundleError: the file is missing, damaged, or holds what no plan does.
    """
    import yaml

    def refusal(why: str) -> BundleError:
        return BundleError(
            f"{file} cannot be read ({why}). Restore it, or tune again with the old rows and the new ones together."
        )

    with damage_is(refusal, yaml.YAMLError):
        raw = yaml.safe_load(read_ordinary(file, _LARGEST, OSError))
        given = {name: entry["value"] for name, entry in raw.items() if entry["from"] != "default"}
        try:
            plan = Plan.resolve(given)
        except OptionError as error:
            raise ValueError(str(error)) from error
        return checked(replace(plan, origins={name: str(raw[name]["from"]) for name in plan.origins}))


def seconds_of(budget: float | str, option: str = "budget") -> float:
    """Read a time such as ``90``, ``"30 s"``, ``"1 min"`` or ``"2h"`` as seconds.

    Args:
        budget: the time.
        option: what it was given as, for messages.

    Raises:
        OptionError: it is not a time, or below 0.
    """
    seconds = float("nan")
    if isinstance(budget, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", budget.lower())
        unit = _UNITS.get(match[2].removesuffix("s")) if match else None
        if match and unit:
            seconds = float(match[1]) * unit
    elif isinstance(budget, Real):
        seconds = float(budget)
    if not 0 <= seconds < float("inf"):
        raise OptionError(f"{option} must be a time such as 30s, '1 min' or 0, got {budget!r}. Try '1 min'.")
    return seconds


def share_of(text: str, option: str) -> float:
    """Read a share such as ``5%`` or ``0.05``.

    Raises:
        OptionError: it is none.
    """
    number, sign, rest = text.strip().partition("%")
    try:
        share = float(number) / (100 if sign else 1)
    except ValueError:
        share = -1.0
    if rest.strip() or not 0 < share < 1:
        raise OptionError(f"{option} must be a share between 0 and 1, such as 5% or 0.05, got {text!r}. Correct it.")
    return share


def _named(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values that are names of files, folders and models, as texts."""
    several = {"sources": tuple(map(str, values["sources"]))} if "sources" in values else {}
    one = {"source", "features", "unlabelled", "related", "out", "backbone"} & values.keys()
    return several | {name: str(values[name]) for name in one}


def must_find_of(text: str, option: str = "--must-find") -> tuple[str, float]:
    """Read what must be found: a share such as ``95%``, or with a class ``bad=95%``.

    Returns:
        The class, empty where none is named, and the share.

    Raises:
        OptionError: it is none.
    """
    name, equals, share = text.rpartition("=")
    if equals and not name.strip():
        raise OptionError(f"{option} must be a share such as 95%, or bad=95%, got {text!r}. Name the class.")
    return name.strip(), share_of(share, option)


def _typed(value: Any) -> str:
    """A value as it is typed."""
    if isinstance(value, tuple):
        return ",".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _strategies(names: Iterable[str]) -> tuple[tuple[str, ...], list[str]]:
    """The names as they are known, with the heads where only what moves weights is named, and what is wrong."""
    wanted = tuple(str(name).replace("_", "-") for name in names)
    problems = list(_unknown("strategies", wanted, _EVERY))
    if set(wanted) and set(wanted) <= set(LANGUAGE_ARMS) and set(wanted) - set(STRATEGIES):
        return wanted, problems
    if not set(wanted) - set(HEADS[:1]):  # the reference alone
        problems.append(f"strategies must name at least one of {', '.join(STRATEGIES[1:])}.")
    elif not set(wanted) & set(HEADS[1:]):  # what moves weights has something to beat: frozen heads are always tried
        wanted = (*HEADS, *wanted)
    return wanted, problems


def _kept(values: dict[str, Any]) -> list[str]:
    """Read what detectors are to keep, in place, and say what is wrong with it."""
    problems = []
    try:
        if "false_alarms" in values:
            values["false_alarms"] = share_of(str(values["false_alarms"]), "--false-alarms")
    except OptionError as error:
        problems.append(str(error))
    try:
        if "must_find" in values:
            must_find_of(str(values["must_find"]))
    except OptionError as error:
        problems.append(str(error))
    return problems


def _metric(name: str) -> list[str]:
    return [] if name.startswith(PATTERN) else _unknown("metric", [name], METRICS)


def _unknown(option: str, names: Iterable[str], known: tuple[str, ...]) -> list[str]:
    return [
        f"{option} must be one of {', '.join(known)}, got {name!r}.{suggestion(name, known) or ' Choose one of these.'}"
        for name in names
        if name not in known
    ]
