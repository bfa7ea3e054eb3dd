"""Foreign texts: which are told, in which words, and where nothing is said."""

import numpy as np
import pytest

from handful.backbones.adapted_record import Record
from handful.data.dataset import Dataset
from handful.features.feature_set import FeatureSet
from handful.inspection.audit import audit
from handful.inspection.findings import KINDS
from handful.inspection.foreign import foreign
from handful.inspection.summary import summary

ENGLISH = [f"The courier did not bring parcel number {i}, where is it now?" for i in range(10)]
GERMAN = [f"Der Bote hat das Paket Nummer {i} nicht gebracht, wo ist es jetzt?" for i in range(10)]
RUSSIAN = [f"Курьер не принёс посылку номер {i}, где она сейчас?" for i in range(5)]
YORUBA = [f"Ẹni tó ń gbé ẹrù kò gbé ẹrù mi wá, níbo ni ó wà báyìí? Nọ́ńbà {i}" for i in range(10)]


def told(texts, *backbones, modality="text"):
    found = list(foreign(Dataset(texts, modality), backbones))
    return [(finding.message, finding.advice) for finding in found]


def test_the_backbone_that_helps_is_named():
    data = Dataset([*ENGLISH, *GERMAN * 3], "text", rows=tuple(range(100, 140)))
    (finding,) = foreign(data, ["minilm-l6"])
    assert finding.message == "30 of 40 texts look German, but minilm-l6 reads English"
    assert finding.advice == "Try --backbone multilingual-e5-small, which reads them."
    assert finding.kind in KINDS
    assert finding.rows == tuple(range(110, 140))
    assert finding.severity == pytest.approx(0.15)


def test_several_languages_and_backbones():
    assert told([*ENGLISH, *GERMAN, *RUSSIAN], "minilm-l6", "bge-small-en") == [
        (
            "15 of 25 texts look German (10) or Russian (5), but minilm-l6 and bge-small-en read English",
            "Try --backbone multilingual-e5-small, which reads them.",
        )
    ]


def test_a_language_that_no_backbone_of_the_catalogue_reads():
    assert told(YORUBA, "minilm-l6") == [
        (
            "10 of 10 texts look Yoruba, but minilm-l6 reads English",
            "No backbone of the catalogue was made to read them: try --backbone multilingual-e5-small, which reads 93 "
            "others, or name a folder or a Hugging Face id of one that was.",
        )
    ]
    ((message, advice),) = told(YORUBA, "multilingual-e5-small")
    assert advice == (
        "No backbone of the catalogue was made to read them: name a folder or a Hugging Face id of one that was."
    )
    assert message == "10 of 10 texts look Yoruba, but multilingual-e5-small reads 93 other languages"


def test_a_backbone_that_reads_some_of_them():
    ((_, advice),) = told([*YORUBA, *GERMAN], "minilm-l6")
    assert advice == "Try --backbone multilingual-e5-small, which reads all but 10 of them."


@pytest.mark.parametrize(
    ("texts", "backbones"),
    [
        (ENGLISH, ["minilm-l6"]),
        (GERMAN, ["multilingual-e5-small"]),
        (GERMAN, ["minilm-l6", "multilingual-e5-small"]),  # one of them reads it
        (GERMAN, ["toy-text"]),  # of toys and folders it is not known what they read
        (GERMAN, ["minilm-l6", "./mine"]),
        (GERMAN, []),
        ([*ENGLISH * 4, *GERMAN[:3]], ["minilm-l6"]),  # too few to matter
        ([*ENGLISH[:5], *GERMAN[:2]], ["minilm-l6"]),
        (["12345", "A12-99", "", "😀"] * 5, ["minilm-l6"]),
    ],
)
def test_where_nothing_is_said(texts, backbones):
    assert told(texts, *backbones) == []


def test_pictures_have_no_language():
    assert told([np.zeros((4, 4))] * 4, "efficientnet-lite0", modality="image") == []


def test_the_audit_asks_the_backbones_that_look():
    data = Dataset([*GERMAN, *RUSSIAN], "text")
    sight = FeatureSet({("minilm-l6", 6): np.eye(15, dtype=np.float32)}, {}, {"minilm-l6": (6,)})
    assert "foreign" in [finding.kind for finding in audit(data, sight).findings]
    assert "foreign" not in [finding.kind for finding in audit(data, None).findings]


def test_the_profile_says_that_languages_are_mixed():
    lines = summary(Dataset([*ENGLISH, *GERMAN, "12345"], "text"), audit(Dataset(ENGLISH, "text"), None))
    assert "languages, mixed: English 10, German 10, unknown 1" in lines
    lines = summary(Dataset(GERMAN, "text"), audit(Dataset(GERMAN, "text"), None))
    assert "languages: German 10" in lines


def test_an_adapted_base_reads_what_its_original_reads(tmp_path):
    file = tmp_path / "adapted.json"
    known = Record("text", "minilm-l6", "f" * 16, "blocks", 4, "InfoNCE()", 5, 100, 0, "0" * 64)
    file.write_text(known.text(), "utf-8")
    assert told([*ENGLISH, *GERMAN * 3], str(tmp_path)) == told([*ENGLISH, *GERMAN * 3], "minilm-l6")
