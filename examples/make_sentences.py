"""Write examples/sentences.jsonl: fifty invented messages to a parts shop, with products, firms and places marked."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

HERE = Path(__file__).resolve().parent

# Names are put together anew for each sentence, so that few come twice: who looks marked strings up finds little.
NAMES = {
    "product": (
        ("Torvik ", "K40 ", "copper ", "Lumo ", "M8 ", "Hask ", "Orlo ", "rubber ", "T2 ", "Brenn ", "oak ", "Vanta "),
        ("drill", "pump", "elbow", "lamp", "bolts", "ladder", "valve", "seal", "roller", "thermostat", "hinge", "hose"),
    ),
    "firm": (
        ("Alder", "Nord", "Pell", "Quay", "Mira", "Ost", "Tide", "Fen", "Sol", "Kest", "Bram", "Lind"),
        ("n Tools", "licht", "works", " Supplies", "bel & Sons", "mark", "line", "wick Parts", "ano Electric", "ova"),
    ),
    "place": (
        (
            "Leeds", "Porto", "Ghent", "Malmö", "Cork", "Turin", "Bergen", "Split", "Nantes", "Graz", "Vigo", "Tartu",
            "Lille", "Bari", "Odense", "Galway", "Linz", "Brno", "Tampere", "Kaunas", "Aarhus", "Bilbao", "Rouen",
            "Zadar", "Exeter", "Uppsala", "Lugano", "Varna", "Gdynia", "Namur",
        ),
        ("",),
    ),
}  # fmt: skip
FORMS = (
    "The {product} from {firm} arrived in {place} without its manual.",
    "Can you send two {product} to our workshop in {place}?",
    "{firm} charged us twice for the {product}.",
    "We moved from {place} to {place}, please change the address.",
    "Is the {product} still in stock?",
    "My order has not left {place} since Monday.",
    "Please cancel the {product}, {firm} delivers faster.",
    "I would like to return a {product} that I bought in {place}.",
    "Does the {product} fit the one that {firm} sold last year?",
    "Nobody answers the phone at {firm}.",
    "Thank you, everything is fine now.",
    "When do you open on Saturday?",
    "The driver left the {product} with a neighbour in {place}.",
    "Our contact at {firm} says that {place} is out of service.",
    "How long is the warranty on a {product}?",
    "The box was wet and the {product} is rusty.",
    "{firm} will pick up the parcel in {place} tomorrow.",
    "I paid for a {product} and got a {product} instead.",
    "Send the bill to {firm}, not to me.",
    "Where can I try the {product} near {place}?",
)
SENTENCES, SEED = 50, 7


def sentence(form: str, rng: random.Random) -> dict[str, object]:
    """Fill a form with names.

    Args:
        form: with a label in braces where a name goes.
        rng: chooses the names.
    """
    text, spans = "", list[dict[str, object]]()
    for part in re.split(r"(\{\w+\})", form):
        label = part.strip("{}")
        if part.startswith("{"):
            name = "".join(map(rng.choice, NAMES[label]))
            spans.append({"start": len(text), "end": len(text) + len(name), "label": label})
            part = name
        text += part
    return {"text": text, "spans": spans}


def main() -> None:
    """Write the file."""
    rng = random.Random(SEED)  # noqa: S311 - no secret hangs on it
    rows = [sentence(FORMS[i % len(FORMS)], rng) for i in range(SENTENCES)]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (HERE / "sentences.jsonl").write_text(lines, "utf-8", newline="\n")


if __name__ == "__main__":
    main()
