"""Which of the usual encodings bytes are in: candidates of charset-normalizer, weighed by the language they give."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from handful.data.languages import language_of_each

if TYPE_CHECKING:
    from charset_normalizer import CharsetMatch

_CYRILLIC = ("ba", "be", "bg", "kk", "ky", "mk", "mn", "ru", "sr", "tt", "uk")
_CENTRAL = ("bs", "cs", "hr", "hu", "pl", "ro", "sk", "sl", "sq")

# Codec → what a person and `iconv` call it, the codec that reads all of it (a later edition with more characters), and
# the languages that are written in it; none: those of no other one. Of nearly equal ones the first is taken.
_KNOWN: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "cp1252": ("Windows-1252", "cp1252", ()),
    "cp932": ("Shift-JIS", "cp932", ("ja",)),
    "euc_jp": ("EUC-JP", "euc_jp", ("ja",)),
    "gb2312": ("GB18030", "gb18030", ("zh",)),
    "big5": ("Big5", "big5hkscs", ("zh",)),
    "euc_kr": ("EUC-KR", "cp949", ("ko",)),
    "cp1251": ("Windows-1251", "cp1251", _CYRILLIC),
    "koi8_r": ("KOI8-R", "koi8_r", _CYRILLIC),
    "koi8_u": ("KOI8-U", "koi8_u", _CYRILLIC),
    "cp866": ("CP866", "cp866", _CYRILLIC),
    "iso8859_5": ("ISO-8859-5", "iso8859_5", _CYRILLIC),
    "iso8859_2": ("ISO-8859-2", "iso8859_2", _CENTRAL),
    "cp1250": ("Windows-1250", "cp1250", _CENTRAL),
    "cp1253": ("Windows-1253", "cp1253", ("el",)),
    "cp1254": ("Windows-1254", "cp1254", ("az", "tr")),
    "cp1255": ("Windows-1255", "cp1255", ("he",)),
    "cp1256": ("Windows-1256", "cp1256", ("ar", "fa", "ps", "ug", "ur")),
    "cp874": ("CP874", "cp874", ("th",)),
    "gb18030": ("GB18030", "gb18030", ("zh",)),
    "big5hkscs": ("Big5", "big5hkscs", ("zh",)),
    "cp949": ("EUC-KR", "cp949", ("ko",)),
}
# Nearly all bytes are valid in these: they are asked only where no strict one will do.
_WIDE = ("gb18030", "big5hkscs", "cp949")

# Candidates of which some part is more mess than this (a share, as charset-normalizer counts it) are no text.
_MESS = 0.5

# A guess is good from here on: most lines are clearly in a language that is written so.
_GOOD = 0.6

# Guesses nearer to the best one than this are as good, and those nearer than that are told too.
_EQUAL, _CLOSE = 0.05, 0.15

# Fewer lines than this may say something in many encodings: nearly all of them are told.
_FEW = 3

# Codes of a terminal that no text holds: what is a letter in one table is often one of these in another.
_CONTROLS = frozenset(map(chr, range(0x80, 0xA0)))

# Letters beyond ASCII in a row, and those on either side.
_RUN = re.compile(r"([A-Za-z]?)((?:(?![A-Za-z])[^\W\d_])+)([A-Za-z]?)")

# Alphabets whose letters do not stand in one word with those of another.
_ALPHABETS = ("CYRILLIC", "GREEK", "HEBREW", "ARABIC", "THAI")

# Capital letters are the smaller part of what people write; the wrong Cyrillic table turns that around.
_SHOUTING = 0.5


@dataclass(frozen=True)
class Guess:
    """One encoding that bytes may be in."""

    codec: str
    """The name Python knows it by."""
    name: str
    """The name a person and ``iconv`` know it by."""
    worth: float
    """How likely it looks; above 1 it is hardly ever another."""
    text: str
    """What the bytes say then."""

    @property
    def good(self) -> bool:
        """Whether what it says is clearly a language."""
        return self.worth >= _GOOD


def guesses(content: bytes) -> list[Guess]:
    """The encodings that bytes may be in, the best first, with those that are nearly as good.

    charset-normalizer finds the encodings in which bytes are little mess; which letters follow which in the languages
    that are written in an encoding, and whether the text is in one of these, decides between them.

    Args:
        content: whole lines, with bytes above 127.

    Returns:
        Guesses with different texts, the best first; empty where the bytes are no text in any usual encoding.
    """
    all_guesses = _weighed(content, [codec for codec in _KNOWN if codec not in _WIDE])
    if not any(guess.good for guess in all_guesses):
        all_guesses += _weighed(content, list(_WIDE))
    best = max((guess.worth for guess in all_guesses), default=0.0)
    close = _CLOSE if sum(not line.isascii() for line in content.splitlines()) >= _FEW else 1.0
    equal = [guess for guess in all_guesses if guess.worth >= best - _EQUAL]
    return equal + [guess for guess in all_guesses if best - close <= guess.worth < best - _EQUAL]


def _weighed(content: bytes, codecs: list[str]) -> list[Guess]:
    """What the bytes may say in some encodings, the more usual one first; each text once."""
    from charset_normalizer import from_bytes

    by_place: dict[int, Guess] = {}
    for match in from_bytes(content, cp_isolation=codecs, threshold=_MESS, preemptive_behaviour=False):
        same = sorted(match.could_be_from_charset, key=codecs.index)  # encodings in which the text is the same
        name, codec, _ = _KNOWN[same[0]]
        by_place[codecs.index(same[0])] = Guess(codec, name, _worth(match, same), str(match))
    return [by_place[place] for place in sorted(by_place)]


def _worth(match: CharsetMatch, codecs: list[str]) -> float:
    text = str(match)
    lines = [line for line in text.splitlines() if not line.isascii()]
    languages = [language.code for language in language_of_each(lines) if language]
    fitting = max(sum(_written_in(code, codec) for code in languages) for codec in codecs) / max(1, len(lines))
    cased = [letter for letter in text if not letter.isascii() and letter.lower() != letter.upper()]
    shouting = sum(map(str.isupper, cased)) > _SHOUTING * len(cased)
    unlikely = shouting + _mixed(text) + (not _CONTROLS.isdisjoint(text))
    return fitting + match.coherence - 2 * match.chaos - unlikely


def _mixed(text: str) -> bool:
    """Whether most letters of other alphabets stand in the middle of Latin words, as in ``naпve``."""
    runs = [run for run in _RUN.findall(text) if unicodedata.name(run[1][0], "").startswith(_ALPHABETS)]
    return 2 * sum(bool(before or after) for before, _, after in runs) > len(runs)


def _written_in(language: str, codec: str) -> bool:
    own = _KNOWN[codec][2]
    return language in own if own else language not in _of_others()


@cache
def _of_others() -> frozenset[str]:
    return frozenset(language for _, _, languages in _KNOWN.values() for language in languages)
