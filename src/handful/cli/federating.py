"""The commands of sites that may not share their rows: federated coordinator, federated site."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App

from handful.atomic import check_replaceable
from handful.cli.given import check_backbone, check_source, place, typed
from handful.cli.printing import put, put_line
from handful.cli.serving import missing_package
from handful.data.cells import shown
from handful.data.sources import that_exists
from handful.errors import OptionError
from handful.plan import seconds_of
from handful.progress import Bars

if TYPE_CHECKING:
    from handful.web.tls import Tls
    from handful.web.tokens import Token

federated = App(name="federated", help="Fit one model at several sites that may not share their rows.")


@federated.command
def coordinator(
    *,
    sites: int,
    out: str = "runs/federated",
    backbone: str = "minilm-l6",
    modality: str | None = None,
    classes: str | None = None,
    epsilon: float | None = None,
    delta: float = 1e-5,
    rounds: int = 0,
    strategies: str | None = None,
    wait: str = "10min",
    host: str = "127.0.0.1",
    port: int = 8470,
    token: str | None = None,
    certificate: str | None = None,
    key: str | None = None,
    trust: str | None = None,
    allow_host: str | None = None,
) -> None:
    """Wait for sites, make one model from sums of their rows, write it, and say who gains.

    Args:
        sites: how many sites will take part.
        out: the folder to write.
        backbone: what looks at the rows at every site, a name from `handful models list`.
        modality: text, image or sound, where the backbone is none of that list.
        classes: their names, joined by commas; needed with --epsilon, otherwise the sites tell them.
        epsilon: how much one row may change what a site sends (ε of differential privacy), kept by noise; without it
            nothing is promised. Needs handful[federated].
        delta: the chance that ε does not hold, for each row.
        rounds: how often sites send weights that learned from their rows, to be averaged; 0: no weight moves. The model
            reads them only where held-out rows of the sites say that this is better. Not with --epsilon.
        strategies: which strategy moves them, one that moves weights of the backbone itself; by default contrastive.
        wait: how long sites are waited for: to send sums, and again to answer; then it goes on without those that lack.
        host: who can reach it: 127.0.0.1, this machine only; 0.0.0.0, everybody who can reach this machine.
        port: its number; 0 for any that is free.
        token: what every site has to know: by default it is made up and told once; or a text of 16 characters or more,
            which the environment variable HANDFUL_TOKEN keeps from other users of this machine.
        certificate: a file in PEM by which it proves who it is; needed where sites are on other machines.
        key: the file of its key.
        trust: a file of certificates: then sites have to prove who they are by one of these, or one that these signed.
        allow_host: further names by which sites may call this machine, joined by commas.
    """
    from handful.web.tls import Tls

    folder, seconds, tls = place(out), seconds_of(wait, "--wait"), Tls(certificate, key, trust)
    check_backbone(backbone)
    named = tuple(part.strip() for part in (classes or "").split(",") if part.strip())

    from handful.regimes.federated.terms import Asked

    asked = Asked(sites, seconds, backbone, modality, named, epsilon, delta, rounds, strategies)
    asked.check()
    context = tls.server()
    try:
        from handful.web import serving
        from handful.web.admission import Admission
        from handful.web.federated import coordinating
        from handful.web.federated.service import BODIES, PATIENCE
        from handful.web.federated.taking_part import RECORD
    except ModuleNotFoundError as error:
        raise missing_package(error, "federated coordinator") from error

    check_replaceable(folder, marker=RECORD)
    _check_reached(host, tls)
    secret = _token(token, host, tls)
    with serving.take_port(host, port) as taken:
        gathering, loaded = coordinating.prepared(asked, _version(), lambda said: put_line(said, sys.stderr))
        taken.listen()
        scheme = "http" if context is None else "https"
        where = serving_address(scheme, host, taken.getsockname()[1])
        put(f"waiting for {sites} sites at {where}{_known_by(secret, tls)}. Ctrl-C stops it.")
        admission = Admission.of(host, allow_host, None, BODIES, secret)
        coordinating.gather(gathering, taken, replace(admission, patience=PATIENCE), context)
    model = coordinating.save(gathering, loaded, folder)
    assert gathering.joint is not None
    for name, why in gathering.left_out.items():
        put_line(f"{shown(name)} was left out: {why}")
    put_line(gathering.joint.sentence)
    put_line(coordinating.who_gains(gathering.verdicts, epsilon))
    put_line(coordinating.traffic(gathering))
    put(f"model: {shown(str(model))}")


@federated.command
def site(
    source: str,
    *,
    coordinator: str,
    name: str,
    out: str | None = None,
    label: str | None = None,
    input: str | None = None,  # noqa: A002 - the name of the flag
    group: str | None = None,
    backbone: str | None = None,
    epsilon: float | None = None,
    token: str | None = None,
    certificate: str | None = None,
    key: str | None = None,
    trust: str | None = None,
) -> None:
    """Take part with rows that stay here: send sums of them, get the model of all sites, and see whether it gains.

    Args:
        source: labelled rows, as `handful tune` takes them.
        coordinator: the address that the coordinator printed.
        name: what this site is called, another name at each site.
        out: the folder to write; by default runs/ and the name.
        label: the column that holds the label; guessed when the guess is safe.
        input: the column that holds the text or the file name; guessed when the guess is safe.
        group: the column that says which rows belong together (speaker, patient, document).
        backbone: take part with this backbone only; by default with any of `handful models list`.
        epsilon: take part only where noise keeps ε at this or below; by default also where there is none.
        token: what the coordinator printed; the environment variable HANDFUL_TOKEN keeps it from other users of this
            machine.
        certificate: a file in PEM by which this site proves who it is, where the coordinator asks for that.
        key: the file of its key.
        trust: the file of the certificate of the coordinator, or of who signed it; by default what the machine trusts.
    """
    from handful.web.tls import Tls

    check_source(source, "labelled rows")
    that_exists(source)
    if backbone is not None:
        check_backbone(backbone)
    folder = place(out) if out else Path("runs") / _folder_name(name)
    try:
        from handful.web.federated.connection import Connection
        from handful.web.tokens import VARIABLE
    except ModuleNotFoundError as error:
        raise missing_package(error, "federated site") from error
    check_replaceable(folder, marker="federated.json")

    secret = token if token is not None else os.environ.get(VARIABLE) or None
    line = Connection.to(coordinator, secret, Tls(certificate, key, trust))
    with Bars() as bars:
        bars.now("start")

        from handful.data.columns import Wanted
        from handful.web.federated.taking_part import MODEL, Given, take_part

        given = Given(source, name, folder, Wanted(input, label, group), backbone, epsilon)
        taken = take_part(line, given, _version(), bars, lambda said: put_line(said, sys.stderr))
    if taken.score:
        put_line(taken.score)
    put_line(taken.gain.sentence)
    put(f"{taken.sent:,} bytes left this site, none of them an item")
    put(f"model: {shown(str(folder / MODEL))}")
    put(f"next: {typed('predict', folder, 'NEW')}")


def _token(given: str | None, host: str, tls: Tls) -> Token | None:
    """What sites have to know; none is made up where they have to prove who they are anyway."""
    from handful.web.tokens import AUTO, VARIABLE, Token

    said = given if given is not None else os.environ.get(VARIABLE) or None
    if said is None and tls.trusted is not None:
        return None
    return Token.of(AUTO if said is None else said, host)


def _check_reached(host: str, tls: Tls) -> None:
    """Refuse to be reached by others where they could read what sites send."""
    from handful.web.tokens import is_this_machine

    if not is_this_machine(host) and tls.certificate is None:
        raise OptionError(
            f"--host {host} lets others reach the coordinator, which then needs --certificate and --key, got none: "
            "what sites send could be read on the way. Add them."
        )


def serving_address(scheme: str, host: str, port: int) -> str:
    """Where the coordinator can be asked."""
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _known_by(token: Token | None, tls: Tls) -> str:
    """What sites need, in words; a token that was made up is told here and nowhere else."""
    proof = ", who prove by their certificates who they are" if tls.trusted is not None else ""
    if token is None:
        return proof
    return f"{proof}, token {token.secret}" if token.made_up else f"{proof}, with your token"


def _version() -> str:
    import handful

    return handful.__version__


def _folder_name(name: str) -> str:
    """The name of a site as that of a folder."""
    plain = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name).strip(".-")
    return plain or "site"
