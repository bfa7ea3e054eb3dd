"""Foreign texts: rows in a language that none of the backbones that look at them was made to read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from handful.backbones.adapted_record import original_of
from handful.backbones.entries import ENTRIES, Entry, known
from handful.data.dataset import Dataset
from handful.data.languages import Language, counts_of_languages, is_material, language_of_each
from handful.data.names import in_a_row
from handful.inspection.findings import Finding

# So many languages are named one by one.
_NAMED = 3

# About so much of the score of foreign rows is at stake: see benchmarks/tables/languages.md.
_AT_STAKE = 0.2


def foreign(dataset: Dataset, backbones: Sequence[str]) -> Iterator[Finding]:
    """Texts that the backbones cannot read, and the backbone of the catalogue that can.

    Nothing is said where too little of it is known: items that are no texts, a folder or a toy among the backbones.

    Args:
        dataset: N rows.
        backbones: the names of those that look at them.
    """
    entries = [known(original_of(name)) for name in backbones]
    read = [entry.languages for entry in entries if entry is not None and entry.languages]
    if dataset.modality != "text" or not read or len(read) < len(entries):
        return
    readable = set().union(*read)
    each = language_of_each(dataset.items)
    at = [i for i, language in enumerate(each) if language is not None and language.code not in readable]
    if not is_material(len(at), len(dataset)):
        return
    counts = counts_of_languages([each[i] for i in at])
    yield Finding(
        "foreign",
        tuple(dataset.rows[i] for i in at),
        f"{len(at)} of {len(dataset)} texts look {_named(counts)}, but {_reads([e for e in entries if e is not None])}",
        _advice(counts, backbones),
        severity=_AT_STAKE * len(at) / len(dataset),
    )


def _named(counts: dict[Language, int]) -> str:
    """The languages, with how many texts are in each where there are several."""
    if len(counts) == 1:
        return next(iter(counts)).name
    names = [f"{language.name} ({count})" for language, count in list(counts.items())[:_NAMED]]
    if len(counts) > _NAMED:
        return f"{', '.join(names)} or one of {len(counts) - _NAMED} other languages"
    return " or ".join(names)


def _reads(entries: Sequence[Entry]) -> str:
    """What the backbones read, in words."""
    names = in_a_row([entry.name for entry in entries])
    codes = sorted({code for entry in entries for code in entry.languages})
    what = (
        in_a_row([Language(code).name for code in codes]) if len(codes) <= _NAMED else f"{len(codes)} other languages"
    )
    return f"{names} {'reads' if len(entries) == 1 else 'read'} {what}"


def _advice(counts: dict[Language, int], backbones: Sequence[str]) -> str:
    """Which other backbone of the catalogue reads most of these texts, or else most languages."""

    def texts_read(entry: Entry) -> int:
        return sum(count for language, count in counts.items() if language.code in entry.languages)

    others = [entry for entry in ENTRIES if entry.modality == "text" and entry.name not in backbones]
    best = max(others, key=lambda entry: (texts_read(entry), len(entry.languages)), default=None)
    if best is not None and texts_read(best):
        missed = sum(counts.values()) - texts_read(best)
        return f"Try --backbone {best.name}, which reads {f'all but {missed} of them' if missed else 'them'}."
    # A backbone of many languages does better on one that it has not than a backbone of a single language does.
    several = best is not None and len(best.languages) > 1
    many = f"try --backbone {best.name}, which reads {len(best.languages)} others, or " if best and several else ""
    return (
        f"No backbone of the catalogue was made to read them: {many}name a folder or a Hugging Face id of one that was."
    )
