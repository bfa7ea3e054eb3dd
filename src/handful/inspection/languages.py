"""Languages: a guess from the script of the letters and, for Latin letters, from the commonest words."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

# Words that are frequent in one of these languages and rare in the others; our own lists, kept short on purpose.
_COMMON = {
    "English": "the of and to is was that for with are this you it have not what how my your been from will can i in a "
    "do does on my me why who where when s be",
    "German": "der die das und ist nicht ein eine ich mit den von zu auf für sie wie auch wird sich haben dem",
    "French": "le les des et est une pas que vous je dans pour sur du au qui avec nous sont ce cette",
    "Spanish": "el los las y es una que no por con para del se su lo está como pero más muy qué",
    "Portuguese": "os é uma não do da em um com para que se mais como você foi ao está",
    "Italian": "il gli che di è una non per con del della sono si nel questo come più anche ho mi",
    "Dutch": "de het een en van is niet dat ik met op voor zijn te aan er maar ook hebben wordt",
    "Swahili": "ya wa na kwa ni katika za la kuwa hii huo hiyo alisema watu baada kama cha yake pia",
    "Yoruba": "ni ti awon si fun lati pe ninu naa won bi ko ati wa ile ise ọ ṣe gbogbo",
    "Turkish": "ve bir bu için ile da de çok ne var daha gibi olarak ama değil mi kadar sonra",
    "Polish": "nie się jest że jak jego dla są po przez ale czy tak od",
}
_LISTS = {name: frozenset(words.split()) for name, words in _COMMON.items()}

# How the Unicode name of a letter begins → what is most probably written with it.
_SCRIPTS = {
    "ARABIC": "Arabic script",
    "HEBREW": "Hebrew",
    "CYRILLIC": "Cyrillic script",
    "GREEK": "Greek",
    "CJK": "Chinese",
    "HIRAGANA": "Japanese",
    "KATAKANA": "Japanese",
    "HANGUL": "Korean",
    "DEVANAGARI": "Devanagari script",
    "BENGALI": "Bengali",
    "TAMIL": "Tamil",
    "THAI": "Thai",
    "ETHIOPIC": "Ethiopic script",
}

UNKNOWN = "unknown"

# Letters that are looked at, and the share of the words that has to be on the list of a language.
_LETTERS, _SHARE = 400, 0.1
_WORD = re.compile(r"[^\W\d_]+")


def language_of(text: str) -> str:
    """The most probable language or script of a text, ``unknown`` where nothing speaks for one.

    Args:
        text: any text; its first letters count.
    """
    letters = [char for char in text[: 2 * _LETTERS] if char.isalpha()][:_LETTERS]
    if not letters:
        return UNKNOWN
    scripts = Counter(_script(char) for char in letters)
    if scripts["Japanese"]:  # Japanese is written with Chinese letters as well
        scripts["Japanese"] += scripts.pop("Chinese", 0)
    script = scripts.most_common(1)[0][0]
    return script if script else _latin(text[: 4 * _LETTERS])


def _script(char: str) -> str:
    """What a letter stands for; an empty text for Latin and rare ones."""
    if char.isascii():
        return ""
    return _SCRIPTS.get(unicodedata.name(char, "").partition(" ")[0], "")


def _latin(text: str) -> str:
    words = _WORD.findall(text.casefold())
    hits = {name: sum(word in known for word in words) for name, known in _LISTS.items()}
    (best, most), (_, second) = Counter(hits).most_common(2)
    return best if most > second and most >= _SHARE * len(words) else UNKNOWN


def languages(texts: Iterable[str]) -> dict[str, int]:
    """Texts per language, most frequent first."""
    return dict(Counter(map(language_of, texts)).most_common())
