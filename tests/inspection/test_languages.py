"""Languages: guessed per text, counted per set."""

import pytest

from handful.inspection.languages import language_of, languages


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Where is my card? It has not arrived.", "English"),
        ("Der Kurier ist nicht gekommen und die Tür war offen", "German"),
        ("Je ne sais pas où est le colis que vous avez envoyé", "French"),
        ("No está en la caja y el cartero no sabe por qué", "Spanish"),
        ("O pacote não chegou e você não respondeu ao e-mail", "Portuguese"),
        ("Serikali ya Kenya ilisema kwa watu wa nchi hiyo kuwa bei za mafuta", "Swahili"),
        ("أين طردي", "Arabic script"),
        ("איפה החבילה שלי", "Hebrew"),
        ("Где моя посылка", "Cyrillic script"),
        ("荷物はどこですか", "Japanese"),
        ("我的包裹在哪里", "Chinese"),
        ("내 소포는 어디에 있나요", "Korean"),
        ("xkcd qwertz", "unknown"),
        ("12345 !!!", "unknown"),
        ("", "unknown"),
    ],
)
def test_the_guess(text, language):
    assert language_of(text) == language


def test_texts_are_counted():
    assert languages(["where is it", "что это", "who is this"]) == {"English": 2, "Cyrillic script": 1}
