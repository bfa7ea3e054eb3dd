"""Languages: of texts together, of each text, and what is not to be taken for a foreign language."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from handful.data.languages import (
    Language,
    all_english,
    judged_together,
    language_of_each,
    languages_of,
    main_language,
)

DATA = Path(os.environ.get("HANDFUL_BENCH_DATA", Path(__file__).parents[3] / "shared" / "data"))
TICKETS = Path(__file__).parents[2] / "examples" / "tickets.csv"

# Short sentences of our own, about the same things.
SHORT = {
    "English": ["Where is my parcel?", "Refund please", "Forgot password", "Card declined", "Cancel my order"],
    "German": ["Wo ist mein Paket?", "Bitte Geld zurück", "Passwort vergessen", "Karte geht nicht", "Storno bitte"],
    "French": ["Où est mon colis ?", "Remboursez-moi", "Mot de passe oublié", "Ma carte ne marche pas", "À annuler"],
    "Spanish": ["¿Dónde está mi paquete?", "Quiero un reembolso", "Olvidé mi contraseña", "No funciona la tarjeta"],
    "Norwegian": ["Hvor er pakken min?", "Jeg vil ha pengene tilbake", "Jeg har glemt passordet", "Kortet virker ikke"],
    "Swahili": ["Kifurushi changu kiko wapi?", "Naomba kurudishiwa pesa", "Nimesahau nenosiri", "Kadi haifanyi kazi"],
    "Yoruba": ["Nibo ni apoti mi wa", "Mo fe gba owo mi pada", "Mo ti gbagbe oro asina mi"],
    "Russian": ["Где моя посылка", "Верните деньги", "Я забыл пароль", "Карта не работает", "Отмените заказ"],
    "Arabic": ["أين طردي", "أريد استرداد المال", "نسيت كلمة المرور", "البطاقة لا تعمل"],
    "Chinese": ["我的包裹在哪里？", "请退款", "账户被锁定了", "密码忘记了怎么办"],
    "Japanese": ["荷物はどこですか", "返金してください", "パスワードを忘れました", "カードが使えません"],
    "Korean": ["내 소포는 어디에 있나요", "환불해 주세요", "비밀번호를 잊었어요"],
    "Hindi": ["मेरा पार्सल कहाँ है", "पासवर्ड भूल गया", "पैसे वापस करो"],
    "Greek": ["Πού είναι το δέμα μου", "Ξέχασα τον κωδικό", "Θέλω τα χρήματά μου πίσω"],
    "Hebrew": ["איפה החבילה שלי", "שכחתי את הסיסמה", "אני רוצה החזר"],
}

# What is in no language, or too little of one to say: English must not be called foreign for it.
NOTHING = {
    "codes": ["A12-99", "INV 20231", "#9981", "XK-200-B", "0x3fa9", "XKCD-QWERTZ", "SKU ABX 2231", "HRTV-11"],
    "numbers": ["12345", "99.50", "--", "+49 30 1234"],
    "emoji": ["😀😀", "🔥", "👍👍👍", "❤️"],
    "empty texts": ["", "", " "],
    "no texts": [],
    "one word": ["hello"],
    "another word": ["ok"],
    "names of people": ["Anna Müller", "Jean Dupont", "John Smith", "Maria Garcia", "Wei Zhang", "Olga Ivanova"],
    "names of towns": ["Paris", "Berlin", "London", "Tokyo", "Madrid", "Rome", "Vienna", "Lisbon"],
    "names of products": ["HP LaserJet 1020", "Canon EOS 5D", "Sony WH-1000XM4", "iPhone 13 Pro Max", "Dell XPS 13"],
    "nucleotides": ["ACGTACGTAA", "GGCATTAC", "TTAGGCCA"],
}


@pytest.mark.parametrize("name", SHORT)
def test_short_texts_tell_together_what_they_are_in(name):
    texts = SHORT[name]
    assert main_language(texts).name == name
    assert all_english(texts) == (name == "English")
    assert languages_of(texts).counts[main_language(texts)] >= 0.6 * len(texts)


@pytest.mark.parametrize("kind", NOTHING)
def test_what_is_in_no_language_is_not_foreign(kind):
    assert all_english(NOTHING[kind])
    assert main_language(NOTHING[kind]) is None


@pytest.mark.parametrize(
    "texts",
    [
        ["refund", "parcel", "password", "card", "cancel", "delivery", "invoice", "login"],
        ["REFUND", "PARCEL", "PASSWORD", "CARD", "CANCEL", "DELIVERY", "INVOICE", "LOGIN"],
        ["app crashes", "login fails", "card declined", "late delivery", "wrong item", "double charge"],
        ["def f(x): return x+1", "import numpy as np", "for i in range(10): print(i)", "class A(B): pass"],
        ["lol ok c u l8r", "gr8 thx m8", "wtf omg", "ur so funny haha", "brb gtg", "idk tbh", "yeah nah", "k"],
        ["ERROR 2023-01-01 conn refused 10.0.0.1", "WARN disk 91% full /dev/sda1", "INFO GET /api/v1 200 12ms"],
    ],
)
def test_single_words_slang_code_and_logs_are_not_foreign(texts):
    assert all_english(texts)
    assert main_language(texts) in (None, Language("en"))


def test_a_text_alone_is_unclear_where_its_neighbours_tell_what_it_is():
    texts = SHORT["German"]
    alone = [language_of_each([text])[0] for text in texts]
    together = language_of_each(texts)
    assert set(alone) | set(together) == {Language("de"), None}
    assert together.count(None) == 1 < alone.count(None)


def test_mixed_texts_stay_apart_and_numbers_are_in_no_language():
    texts = [*SHORT["English"], "12345", *SHORT["German"], "", *SHORT["Russian"]]
    each = language_of_each(texts)
    assert each[5] is each[11] is None
    for name, start in (("English", 0), ("German", 6), ("Russian", 12)):
        own = [language.name for language in each[start : start + 5] if language is not None]
        assert set(own) == {name}
        assert len(own) >= 3
    found = languages_of(texts)
    assert found.main is None
    assert found.texts == 17
    assert found.beside(("en",)) >= 7
    assert found.beside(("en", "de", "ru")) == 0


def test_a_few_foreign_texts_are_told_and_do_not_turn_the_others():
    german = [f"{text} Können Sie mir bitte helfen, ich warte schon seit Tagen." for text in SHORT["German"]]
    texts = [*SHORT["English"] * 8, *german]
    assert main_language(texts).name == "English"
    assert language_of_each(texts)[-5:] == [Language("de")] * 5
    assert not all_english(texts)
    assert all_english([*SHORT["English"] * 20, *german])


def test_long_texts_and_lists_are_looked_at_in_part():
    assert main_language(["Where is my parcel? " * 20 + "Wo ist mein Paket? " * 10_000]).name == "English"
    assert languages_of(SHORT["French"] * 1000).texts == 295
    # Half of a surrogate pair, as a broken file may hold, is no reason to stop.
    assert main_language([*SHORT["English"], "broken \ud800 text"]).name == "English"


def test_every_language_of_the_library_has_a_name():
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    codes = set(LanguageIdentifier.from_model_file(MODEL_FILE).labels)
    variants = {"ary", "arz", "wuu", "yue", "hbo", "nn", "uzs"}
    assert {code for code in codes - variants if Language(code).name == code} == {"zxx"}


def test_texts_judged_together_by_hand():
    likelihood = np.array([[0.9, 0.1, 0.0]] * 4 + [[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    together = judged_together(likelihood, usual=1)
    assert together.sum(1) == pytest.approx(np.ones(6))
    assert (together[:5].argmax(1) == 0).all()  # the fifth is in doubt alone and is decided by the other four
    assert together[4, 0] > 0.7
    assert together[5, 2] > 0.9
    # A lone text has nobody to ask: the usual language counts as much as both others together.
    assert judged_together(np.array([[0.5, 0.5, 0.0]]), usual=1)[0] == pytest.approx([1 / 3, 2 / 3, 0], abs=1e-4)


def test_the_library_is_not_loaded_before_texts_are_looked_at():
    code = "import sys, handful.data.languages; assert 'py3langid' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


# Real data -----------------------------------------------------------------------------------------------------------


def draws(path: Path, count: int) -> list[list[str]]:
    """Twenty samples of so many texts."""
    with path.open(encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    rng = np.random.default_rng(0)
    return [[texts[i] for i in rng.permutation(len(texts))[:count]] for _ in range(20)]


@pytest.mark.parametrize("count", [4, 10, 60])
def test_the_tickets_are_english(count):
    for texts in draws(TICKETS, count):
        assert all_english(texts)
        assert main_language(texts).name == "English"


@pytest.mark.integration
@pytest.mark.parametrize("count", [4, 10, 40])
@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("agnews", "English"),
        ("trec6", "English"),
        ("banking77", "English"),
        ("cr", "English"),
        ("sst5", "English"),
        ("cuad_clauses", "English"),
        ("goemotions", "English"),
        ("clinc150_oos", "English"),
        ("masakhanews_eng", "English"),
        ("masakhanews_swa", "Swahili"),
        ("masakhanews_yor", "Yoruba"),
    ],
)
def test_samples_of_real_texts(name, language, count):
    path = DATA / f"{name}.csv"
    if not path.exists():
        pytest.skip(f"{path} is not there; set HANDFUL_BENCH_DATA to the folder with the benchmark data")
    for texts in draws(path, count):
        judged = languages_of(texts)
        assert judged.main.name == language
        assert judged.all_english == (language == "English")
