"""Languages: which ones texts are in, judged together, so that four words each are enough; the door of py3langid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

Floats = NDArray[np.float64]

UNKNOWN = "unknown"
"""What stands for the language of a text that shows none clearly, such as a number, a code or a name."""

ENGLISH = "en"

# Texts in another language matter from so many on, and from this share of all on.
_FEWEST, _SHARE = 3, 0.1

# Of a longer list of texts so many are looked at, evenly spread, and of a longer text so many characters.
_TEXTS, _CHARACTERS = 300, 300

# A text is clearly in a language that is at least as probable as this.
_CLEAR = 0.9

# As long as nothing is known English is as probable as all other languages together, and that weighs as much as two
# texts: a lone word, or a list of towns, is not to be called Breton for the letters that it happens to have.
_ENGLISH_SHARE, _WEIGHT = 0.5, 2

# A word may be one that a language has never had in the model of the library: no language is ruled out by one text.
_LEAST = 1e-6

# Rounds of weighing texts and shares against each other; the shares hardly change after ten.
_ROUNDS = 20

# Codes of the library that are variants of another language, for what is done with them here.
_VARIANTS = {"ary": "ar", "arz": "ar", "wuu": "zh", "yue": "zh", "hbo": "he", "nn": "no", "uzs": "uz"}
# What the library gives to numbers, markup and identifiers.
_NO_LANGUAGE = "zxx"

_NAMES = {
    "ace": "Acehnese", "af": "Afrikaans", "am": "Amharic", "an": "Aragonese", "ar": "Arabic", "as": "Assamese",
    "az": "Azerbaijani", "ba": "Bashkir", "bcl": "Bikol", "be": "Belarusian", "bg": "Bulgarian", "bn": "Bengali",
    "br": "Breton", "bs": "Bosnian", "ca": "Catalan", "crh": "Crimean Tatar", "cs": "Czech", "cy": "Welsh",
    "da": "Danish", "de": "German", "dz": "Dzongkha", "el": "Greek", "en": "English", "eo": "Esperanto",
    "es": "Spanish", "et": "Estonian", "eu": "Basque", "ext": "Extremaduran", "fa": "Persian", "fi": "Finnish",
    "fo": "Faroese", "fr": "French", "fuv": "Fulfulde", "fy": "Frisian", "ga": "Irish", "gcf": "Guadeloupean Creole",
    "gcr": "Guianese Creole", "gd": "Scottish Gaelic", "gl": "Galician", "gom": "Konkani", "grc": "Ancient Greek",
    "gu": "Gujarati", "gug": "Guarani", "guw": "Gun", "ha": "Hausa", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian",
    "ht": "Haitian Creole", "hu": "Hungarian", "hy": "Armenian", "id": "Indonesian", "ig": "Igbo", "is": "Icelandic",
    "it": "Italian", "ja": "Japanese", "jv": "Javanese", "ka": "Georgian", "kab": "Kabyle", "kik": "Kikuyu",
    "kk": "Kazakh", "km": "Khmer", "kn": "Kannada", "ko": "Korean", "ku": "Kurdish", "ky": "Kyrgyz", "la": "Latin",
    "lb": "Luxembourgish", "lg": "Ganda", "lij": "Ligurian", "ln": "Lingala", "lo": "Lao", "lt": "Lithuanian",
    "ltg": "Latgalian", "lv": "Latvian", "mg": "Malagasy", "mk": "Macedonian", "ml": "Malayalam", "mn": "Mongolian",
    "mr": "Marathi", "ms": "Malay", "mt": "Maltese", "my": "Burmese", "ne": "Nepali", "nl": "Dutch",
    "no": "Norwegian", "nso": "Northern Sotho", "oc": "Occitan", "om": "Oromo", "or": "Odia", "pa": "Punjabi",
    "pcm": "Nigerian Pidgin", "pl": "Polish", "ps": "Pashto", "pt": "Portuguese", "qu": "Quechua", "ro": "Romanian",
    "ru": "Russian", "rw": "Kinyarwanda", "sa": "Sanskrit", "sdh": "Southern Kurdish", "se": "Northern Sami",
    "si": "Sinhala", "sk": "Slovak", "sl": "Slovenian", "sn": "Shona", "so": "Somali", "sq": "Albanian",
    "sr": "Serbian", "st": "Southern Sotho", "sv": "Swedish", "sw": "Swahili", "ta": "Tamil", "te": "Telugu",
    "tg": "Tajik", "th": "Thai", "tk": "Turkmen", "tl": "Tagalog", "tr": "Turkish", "tt": "Tatar", "ug": "Uyghur",
    "uk": "Ukrainian", "ur": "Urdu", "uz": "Uzbek", "vec": "Venetian", "vi": "Vietnamese", "vo": "Volapük",
    "wa": "Walloon", "xh": "Xhosa", "yo": "Yoruba", "zh": "Chinese", "zu": "Zulu",
}  # fmt: skip


@dataclass(frozen=True)
class Language:
    """One language."""

    code: str
    """Its ISO 639 code, of two letters where there is one: ``sw``."""

    @property
    def name(self) -> str:
        """What it is called in English: ``Swahili``; the code where that is not known."""
        return _NAMES.get(self.code, self.code)


@dataclass(frozen=True)
class Languages:
    """Which languages some texts are in."""

    texts: int
    """How many texts were looked at."""
    counts: Mapping[Language, int]
    """Language → how many of them are clearly in it, most frequent first."""

    @property
    def main(self) -> Language | None:
        """The language of at least half of the texts; None where there is none."""
        language = next(iter(self.counts), None)
        return language if language and 2 * self.counts[language] >= self.texts else None

    def beside(self, codes: Collection[str]) -> int:
        """How many texts are clearly in another language than these."""
        return sum(count for language, count in self.counts.items() if language.code not in codes)

    @property
    def all_english(self) -> bool:
        """Whether hardly any text is clearly in another language than English."""
        return not is_material(self.beside((ENGLISH,)), self.texts)


def is_material(count: int, texts: int) -> bool:
    """Whether so many of all texts, in another language than the others, are enough to matter."""
    return count >= max(_FEWEST, _SHARE * texts)


def languages_of(texts: Sequence[str]) -> Languages:
    """Which languages texts are in.

    Args:
        texts: N texts; of more than 300, that many or somewhat fewer are looked at, evenly spread.
    """
    some = texts[:: -(-len(texts) // _TEXTS) or 1]
    return Languages(len(some), counts_of_languages(language_of_each(some)))


def main_language(texts: Sequence[str]) -> Language | None:
    """The language of at least half of the texts; None where there is none, or nothing can be said.

    Args:
        texts: N texts, looked at as in ``languages_of``.
    """
    return languages_of(texts).main


def all_english(texts: Sequence[str]) -> bool:
    """Whether hardly any text is clearly in another language than English; True also where nothing can be said.

    Args:
        texts: N texts, looked at as in ``languages_of``.
    """
    return languages_of(texts).all_english


def counts_of_languages(languages: Sequence[Language | None]) -> dict[Language, int]:
    """Language → how many texts are in it, most frequent first, without those that are in none clearly."""
    return dict(Counter(language for language in languages if language is not None).most_common())


def language_of_each(texts: Sequence[str]) -> list[Language | None]:
    """The language of each text, where that is clear; the other texts help to tell.

    Args:
        texts: N texts, of each of which the first 300 characters are read: 1,000 take half a second at most.

    Returns:
        N languages, None for texts without letters and texts that may be in several or in none.
    """
    readable = [i for i, text in enumerate(texts) if any(map(str.isalpha, text[:_CHARACTERS]))]
    each: list[Language | None] = [None] * len(texts)
    if not readable:
        return each
    codes = list(dict.fromkeys(_VARIANTS.get(code, code) for code in _identifier().labels))
    shares = judged_together(_likelihoods([texts[i] for i in readable], codes), codes.index(ENGLISH))
    for i, own in zip(readable, shares, strict=True):
        best = int(own.argmax())
        if own[best] >= _CLEAR and codes[best] != _NO_LANGUAGE:
            each[i] = Language(codes[best])
    return each


def judged_together(likelihood: Floats, usual: int) -> Floats:
    """How probable each language is for each text, as the other texts make it.

    The shares of languages among all texts and the languages of the texts are estimated in turn, by expectation
    maximisation (Saerens, Latinne & Decaestecker 2002, Neural Computation 14:21, "Adjusting the outputs of a classifier
    to new a priori probabilities"). For each text its own part in the shares is left out, so that it cannot confirm
    itself: a lone text is judged by itself and by what is usual.

    Args:
        likelihood: (N, L) up to a factor per row, how probable a text is in a language.
        usual: the language that is as probable as the others together as long as nothing is known.

    Returns:
        (N, L) probabilities; every row sums to one.
    """
    languages = likelihood.shape[1]
    base = np.full(languages, (1 - _ENGLISH_SHARE) / max(1, languages - 1))
    base[usual] = _ENGLISH_SHARE
    probability = _normalised((likelihood + _LEAST) * base)
    for _ in range(_ROUNDS):
        others = probability.sum(0) - probability + _WEIGHT * base  # (N, L) what all texts but the own one are in
        probability = _normalised((likelihood + _LEAST) * others)
    return probability


def _normalised(x: Floats) -> Floats:
    return np.asarray(x / x.sum(1, keepdims=True))


def _likelihoods(texts: Sequence[str], codes: Sequence[str]) -> Floats:
    """(N, L) what the library says of each text alone, variants of a language together."""
    place = {code: i for i, code in enumerate(codes)}
    out = np.zeros((len(texts), len(codes)))
    for row, text in zip(out, texts, strict=True):
        for code, share in _identifier().rank(text[:_CHARACTERS]):
            row[place[_VARIANTS.get(code, code)]] += share
    return out


@cache
def _identifier() -> LanguageIdentifier:
    """The model of the library: read when texts are first looked at, in half a second; nothing changes it later."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
