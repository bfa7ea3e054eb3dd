import numpy as np
import pytest

from handful import api
from handful.backbones import catalog, weights
from handful.errors import BundleError, OptionError
from handful.export.bundle import Bundle

TEXTS = [f"{word} {filler}" for word in ("refund the money", "parcel is late") for filler in "abcdefg"]
LABELS = ["refund"] * 7 + ["delivery"] * 7


@pytest.fixture(scope="module")
def merged(tmp_path_factory):
    """A tuned model on real weights, exported with its backbone."""
    folder = tmp_path_factory.mktemp("merged") / "model"
    run = api.tune(api.load(TEXTS, labels=LABELS), backbone="minilm-l6", budget=0)
    run.model.save(folder, merge=True)
    return run.model, folder


@pytest.mark.integration
def test_a_merged_model_needs_no_weights_of_this_machine(merged, monkeypatch):
    model, folder = merged

    def gone(*args, **options):
        raise AssertionError("the weights of this machine were asked for")

    monkeypatch.setattr(weights, "weights_folder", gone)
    copy = Bundle.load(folder)
    np.testing.assert_array_equal(copy.predict_proba(TEXTS), model.predict_proba(TEXTS))


@pytest.mark.integration
def test_a_changed_backbone_is_found_out(merged):
    _, folder = merged
    file = folder / "backbones" / "0" / "text.json"
    before = file.read_text("utf-8")
    file.write_text(before + " ", "utf-8")
    try:
        with pytest.raises(BundleError) as error:
            Bundle.load(folder).predict(TEXTS)
    finally:
        file.write_text(before, "utf-8")
    assert str(error.value) == (f"{file} is missing or was changed after it was written. Restore it or export again.")


def test_a_backbone_without_files_cannot_be_carried():
    with pytest.raises(OptionError) as error:
        catalog.files_of("owner/model", "text")
    assert str(error.value) == (
        "backbone 'owner/model' must be one of the catalogue or a folder to be carried along, got another. "
        "Save the model into a folder, and tune with that as --backbone."
    )
