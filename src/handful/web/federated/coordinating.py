"""A coordinator at work: it waits for sites, makes the model, and writes it with a record of who took part."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from handful.atomic import replaced_folder
from handful.backbones import catalog
from handful.backbones.base import Backbone
from handful.errors import DataError, OptionError
from handful.export.federated import card, joint_bundle
from handful.export.kept_parts import Moved
from handful.export.specimens import seen_by
from handful.regimes.federated.averaging import refused_noise, rounds_of, size_of
from handful.regimes.federated.gains import ALONE, KEPT, TIE, TOGETHER, TOO_FEW
from handful.regimes.federated.gathering import DONE, Gathering
from handful.regimes.federated.members import in_bytes
from handful.regimes.federated.privacy import Noise
from handful.regimes.federated.rounds import Moving
from handful.regimes.federated.terms import FOLDS, FOLDS_MOVED, STRATEGY, Asked, Rounds, Terms
from handful.web.admission import Admission
from handful.web.federated.service import PATIENCE, application
from handful.web.federated.taking_part import MODEL, RECORD
from handful.web.serving import Server


def prepared(asked: Asked, version: str, tell: Callable[[str], None]) -> tuple[Gathering, Backbone]:
    """The gathering, ready for sites, and the backbone that all of them use.

    Args:
        asked: what the user said.
        version: of handful.
        tell: told what happens.

    Raises:
        OptionError: an option cannot work.
        WeightsError: the backbone cannot be had.
        MachineError: noise is asked for and its accountant is not installed.
    """
    asked.check()
    modality = asked.modality or catalog.modality_of(asked.backbone)
    if modality is None:
        raise OptionError(
            f"--modality must be given where the backbone is none of the catalogue, got {asked.backbone!r} alone. Add "
            "--modality text, image or sound."
        )
    noise = None if asked.epsilon is None else Noise.of(asked.epsilon, asked.delta)
    backbone = catalog.load(asked.backbone, modality)
    depth, rounds = backbone.search_depths[0], _rounds(asked, backbone)
    terms = Terms(
        modality, asked.backbone, backbone.fingerprint, depth, _width(backbone, depth), version,
        tuple(sorted(set(asked.classes))), asked.epsilon, asked.delta, FOLDS if rounds is None else FOLDS_MOVED,
        rounds=rounds,
    )  # fmt: skip
    moving = None if rounds is None else Moving(terms, backbone, tell)
    if moving is not None and asked.epsilon is not None:
        assert rounds is not None
        raise refused_noise(asked.epsilon, asked.delta, rounds, size_of(moving.start), asked.sites)
    return Gathering(terms, asked.sites, asked.wait, time.monotonic, tell, noise, moving), backbone


def _rounds(asked: Asked, backbone: Backbone) -> Rounds | None:
    """How weights move together; None where they do not."""
    if not asked.rounds:
        return None
    if not backbone.blocks:
        raise OptionError(
            f"--rounds must come with a backbone whose weights can move, got {backbone.name}. Leave it out."
        )
    return rounds_of(asked.rounds, asked.strategy or STRATEGY, backbone, _width(backbone, len(backbone.blocks)))


def _width(backbone: Backbone, depth: int) -> int:
    """How many numbers a backbone makes of an item, by one that everybody has."""
    return int(seen_by(backbone, (depth,))[0].shape[1])


def gather(
    gathering: Gathering, taken: socket.socket, admission: Admission, tls: ssl.SSLContext | None
) -> None:  # fmt: skip
    """Serve until the gathering is over.

    Args:
        gathering: of which sites are a part.
        taken: the port, which listens.
        admission: who may ask.
        tls: how it is spoken; None: plainly.

    Raises:
        DataError: nothing was made.
    """

    def end() -> None:
        server.should_exit = True

    server = Server(application(gathering, admission, end), PATIENCE, tls)
    server.run([taken])
    if gathering.phase != DONE:
        raise DataError(gathering.failure or "the fit was stopped before its sites were done. Start again.")


def save(gathering: Gathering, backbone: Backbone, out: Path) -> Path:
    """Write the model and the record. Gives the folder of the model.

    Raises:
        OptionError: the folder holds something else.
        MachineError: it cannot be written.
    """
    joint = gathering.joint
    assert joint is not None, "a gathering that is done has a model"
    moved, moving = None, gathering.moving
    if moving is not None and joint.moved is not None and joint.moved.delta is not None:
        moved = Moved(moving.tuner.name, moving.first, dict(joint.moved.delta))
    bundle = joint_bundle(joint.names, joint.coef, joint.intercept, gathering.terms, backbone, joint.measured, moved)
    with replaced_folder(out, (RECORD, MODEL)) as folder:
        (folder / MODEL).mkdir()
        bundle.write(folder / MODEL, card(bundle, gathering.terms, joint.measured, len(gathering.taking_part)))
        (folder / RECORD).write_text(json.dumps(record(gathering), indent=1, ensure_ascii=False) + "\n", "utf-8")
    return out / MODEL


def record(gathering: Gathering) -> dict[str, Any]:
    """Who took part, what was measured and what was sent, as plain values."""
    joint = gathering.joint
    assert joint is not None
    sites = [{"name": one.name, "received": one.received, "sent": one.sent} for one in gathering.taking_part]
    return {
        "terms": json.loads(gathering.terms.encoded()),
        "measured": joint.measured,
        "sites": sites,
        "left_out": gathering.left_out,
        "gains": dict(gathering.verdicts),
        "remarks": gathering.remarks,
    }


def who_gains(verdicts: Mapping[str, int], epsilon: float | None) -> str:
    """How many sites gain, and no more than that.

    Args:
        verdicts: verdict → how many sites came to it.
        epsilon: what was promised of the noise; None: nothing.
    """
    if epsilon is not None:
        return f"who gains is told at each of the {verdicts.get(KEPT, 0)} sites alone, since it has no noise in it"
    words = {
        TOGETHER: "have gained from fitting together", ALONE: "would do better alone", TIE: "cannot tell them apart",
        TOO_FEW: "have too few rows to tell",
    }  # fmt: skip
    said = [f"{count} {words[verdict]}" for verdict, count in sorted(verdicts.items()) if verdict in words]
    return f"of {sum(verdicts.values())} sites {', '.join(said) or 'none said whether it gains'}"


def traffic(gathering: Gathering) -> str:
    """How many bytes went over the wire, in words."""
    sites = gathering.taking_part
    received, sent = sum(one.received for one in sites), sum(one.sent for one in sites)
    most = max(one.received for one in sites)
    said = f"{len(sites)} sites sent {in_bytes(received)} in all, at most {in_bytes(most)} each"
    return f"{said}, and were sent {in_bytes(sent)}"
