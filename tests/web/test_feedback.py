"""Corrections over HTTP: stored before anything else, learned from where asked, refused with what would be right."""

from __future__ import annotations

import csv
import io
import json
import shutil
import threading

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from handful import api
from handful.errors import OptionError
from handful.export.bundle import Bundle
from handful.web import corrector
from handful.web.admission import Admission
from handful.web.asked_items import BODIES
from handful.web.improving import Improvement, Improver
from handful.web.item_answers import Answering, ServedModel
from handful.web.item_service import application

JSON = {"Content-Type": "application/json"}
WORDS = (("ants", ("hill", "march", "leaf")), ("bees", ("hive", "buzz", "wing")))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A run of texts about ants and bees."""
    rows = [
        (f"{a} {b} {i}", name) for name, words in WORDS for i, (a, b) in enumerate((a, b) for a in words for b in words)
    ]
    run = api.tune(
        api.load([text for text, _ in rows], labels=[name for _, name in rows]), backbone="toy-text", budget=0
    )
    folder = tmp_path_factory.mktemp("runs") / "insects"
    run.save(folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "insects")


def client_of(folder, learn=False, retrain=False):
    served = ServedModel(folder.name, Bundle.load(folder))
    improver = Improver(served, folder, Improvement(learn, retrain))
    made = application([served], Admission(kinds=BODIES), improvers=[improver])
    made.state.improver = improver
    return TestClient(made, "http://127.0.0.1", raise_server_exceptions=False)


@pytest.fixture
def client(folder):
    with client_of(folder) as made:
        yield made


@pytest.fixture
def learner(folder):
    with client_of(folder, learn=True) as made:
        yield made


def said(response):
    return response.json()["error"]["message"]


def asked(client, text):
    return client.post("/predict", json={"items": [text]}).json()["answers"][0]


def corrections(folder):
    with (folder / "corrections" / "corrections.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# Stored ------------------------------------------------------------------------------------------------------------


def test_a_correction_is_stored_with_what_had_been_answered_and_the_model_stays(client, folder):
    before = asked(client, "hive hill")
    response = client.post("/feedback", json={"item": "hive hill", "label": "ants", "answer_id": before["id"]})
    assert response.status_code == 200
    body = response.json()
    assert (body["stored"], body["learned"], body["corrections"], body["version"]) == (True, False, 1, "1")
    assert body["answered"] == {
        "answer": before["answer"], "confidence": before["confidence"], "version": "1",
    }  # fmt: skip
    assert corrections(folder) == [{"text": "hive hill", "label": "ants"}]
    assert asked(client, "hive hill")["probabilities"] == before["probabilities"]
    (kept,) = client.app.state.improver.corrector.store.log()
    assert (kept.label, kept.asked, kept.guess, kept.model) == ("ants", "correction", before["answer"], "1")


def test_the_last_correction_of_an_item_counts_and_tune_reads_the_table(client, folder):
    for item, label in (("march", "ants"), ("wing", "bees")):
        client.post("/feedback", json={"item": item, "label": label})
    for label in ("ants", "bees"):
        assert client.post("/feedback", json={"item": "hive, hill", "label": label}).json()["corrections"] == 3
    assert [(row["text"], row["label"]) for row in corrections(folder)] == [
        ("march", "ants"), ("wing", "bees"), ("hive, hill", "bees"),
    ]  # fmt: skip
    assert api.load(folder / "corrections" / "corrections.csv").labels == ("ants", "bees", "bees")


def test_a_run_saved_again_keeps_its_corrections(client, folder, saved):
    client.post("/feedback", json={"item": "hive hill", "label": "ants"})
    Bundle.load(saved).save(folder / "model")
    assert corrections(folder) == [{"text": "hive hill", "label": "ants"}]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    rng = np.random.default_rng(0)
    pixels = [np.clip(40 + 150 * k + rng.integers(0, 40, (16, 16, 3)), 0, 255).astype(np.uint8) for k in (0, 1) * 8]
    folder = tmp_path_factory.mktemp("runs") / "photos"
    api.tune(api.load(pixels, labels=["dark", "light"] * 8), backbone="toy-image", budget=0).save(folder)
    return folder


def png(level):
    stream = io.BytesIO()
    Image.fromarray(np.full((16, 16, 3), level, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def test_a_picture_lies_under_the_hash_of_its_content_whatever_it_was_called(photos):
    with client_of(photos, learn=True) as client:
        sent = client.post("/feedback", files={"file": ("../../evil.sh", png(230))}, data={"label": "light"})
        assert sent.status_code == 200, sent.text
        none = client.post("/feedback", files={"file": b"no picture"}, data={"label": "dark"})
        two = client.post("/feedback", files=[("file", png(1)), ("file", png(2))], data={"label": "dark"})
        text = client.post("/feedback", json={"item": "a", "label": "dark"})
    place = photos / "corrections"
    (kept,) = (place / "corrections.items").iterdir()
    assert kept.suffix == ".png"
    assert len(kept.stem) == 64
    assert kept.read_bytes() == png(230)
    assert corrections(photos) == [{"file": f"corrections.items/{kept.name}", "label": "light"}]
    assert none.status_code == two.status_code == 422
    assert said(none).startswith("file cannot be read: the picture is not a picture in a known format.")
    assert said(two) == "a correction is of one file, got 2. Send one in the field file."
    assert text.status_code == 415
    assert said(text) == (
        "a correction to this model is sent as multipart/form-data, got 'application/json'. Send the fields file "
        "and label."
    )
    with client_of(photos, learn=True) as again:  # what was learned from a file is learned again
        assert again.app.state.improver.served.now.version == "1.1"


# Refused -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ("{", 400, "the body must be JSON, but it cannot be read"),
        ("[]", 422, "the body is not as it must be: Input should be a valid dictionary"),
        ('{"item": "a"}', 422, "label is not as it must be: Field required. Correct it."),
        ('{"label": "ants"}', 422, "item is not as it must be: Field required. Correct it."),
        ('{"item": "a", "label": "ants", "lable": 1}', 422, "lable is not as it must be: Extra inputs"),
        ('{"item": ["a", "b"], "label": "ants"}', 422, "item must be one text, got two."),
        ('{"item": " ", "label": "ants"}', 422, "item cannot be read: the text is empty. Send another."),
        ('{"item": "a", "label": ""}', 422, "label must be most probable class, but it is empty. Correct it."),
        ('{"item": "a", "label": ["ants"]}', 422, "label must be one class, got a list. Send one."),
        ('{"item": "a", "label": "antz"}', 422, 'label must be one of "ants" and "bees", got \'antz\'. Did'),
        ('{"item": "a", "label": "ants", "answer_id": "x"}', 422, "answer_id must be that of one of the last 10,000"),
    ],
)  # fmt: skip
def test_bodies_that_are_no_corrections(client, folder, body, status, message):
    response = client.post("/feedback", content=body, headers=JSON)
    assert (response.status_code, said(response)[: len(message)]) == (status, message)
    assert not (folder / "corrections").exists()


def test_a_text_that_is_too_long_and_a_body_that_is(client):
    assert client.post("/feedback", json={"item": "a" * 20_001, "label": "ants"}).status_code == 422
    big = client.post("/feedback", content=b" " * ((64 << 20) + 1), headers=JSON)
    assert big.status_code == 413


def test_a_model_that_was_not_loaded_from_a_folder_takes_none(saved):
    made = application([ServedModel("insects", Bundle.load(saved))], Admission(kinds=BODIES))
    with TestClient(made, "http://127.0.0.1") as client:
        response = client.post("/feedback", json={"item": "a", "label": "ants"})
    assert response.status_code == 404
    assert said(response) == "insects takes no corrections, since it was not loaded from a folder. Serve a run."


def test_a_disk_that_cannot_be_written_is_said_and_answers_go_on(client, folder):
    (folder / "corrections").write_bytes(b"no folder")  # as root, permissions stop nobody
    response = client.post("/feedback", json={"item": "hive", "label": "bees"})
    assert response.status_code == 507
    assert said(response) == (
        "this cannot be stored: the disk is full or cannot be written; the log of the server says more. Nothing was "
        "changed. Ask again later."
    )
    assert str(folder) not in response.text
    assert asked(client, "hive buzz")["answer"] == "bees"
    (folder / "corrections").unlink()
    assert client.post("/feedback", json={"item": "hive", "label": "bees"}).status_code == 200


def test_a_damaged_store_is_said_and_answers_go_on(client, folder):
    (folder / "corrections").mkdir()
    (folder / "corrections" / "corrections.sqlite").write_bytes(b"no store" * 1000)
    response = client.post("/feedback", json={"item": "hive", "label": "bees"})
    assert response.status_code == 503
    assert said(response).startswith("what is kept of corrections and versions cannot be read; the log of the server")
    assert asked(client, "hive buzz")["answer"] == "bees"


def test_more_corrections_than_are_kept(client, monkeypatch):
    monkeypatch.setattr(corrector, "MOST_KEPT", 1)
    assert client.post("/feedback", json={"item": "hive", "label": "bees"}).status_code == 200
    response = client.post("/feedback", json={"item": "buzz", "label": "bees"})
    assert response.status_code == 507
    assert said(response) == (
        "at most 1 corrections are kept of one run, and as many are. Tune again with them: `handful update` reads "
        "their table."
    )


def test_a_folder_that_disappears_is_said_and_answers_go_on(client, folder):
    shutil.rmtree(folder)
    assert asked(client, "hive buzz")["answer"] == "bees"
    assert client.get("/versions").status_code == 503
    assert client.get("/health").status_code == 200


# Learned -----------------------------------------------------------------------------------------------------------


def test_a_correction_is_learned_at_once_and_again_after_a_restart(learner, folder):
    text = "sting sting sting"
    assert asked(learner, text)["answer"] != "wasps"
    first = learner.post("/feedback", json={"item": text, "label": "wasps", "new_class": True}).json()
    assert (first["learned"], first["version"]) == (True, "1.1")
    second = learner.post("/feedback", json={"item": "sting sting 1", "label": "wasps"}).json()
    assert second["version"] == "1.2"
    answered = asked(learner, text)
    assert (answered["answer"], set(answered["probabilities"])) == ("wasps", {"ants", "bees", "wasps"})
    assert asked(learner, "hill march leaf")["answer"] == "ants"
    assert learner.get("/models").json()["models"][0]["labels"] == ["ants", "bees", "wasps"]
    row = learner.post("/predict", json={"items": [text], "explain": True, "nearest": 1}).json()["answers"][0]
    assert row["parts"][0]["part"] == "sting"
    with client_of(folder, learn=True) as again:
        later = again.post("/predict", json={"items": [text]}).json()
    assert later["version"] == "1.2"
    assert later["answers"][0]["probabilities"] == pytest.approx(answered["probabilities"], abs=1e-4)


def test_every_version_is_kept_and_can_be_brought_back(learner):
    text = "sting sting sting"
    plain = asked(learner, text)["probabilities"]
    learner.post("/feedback", json={"item": text, "label": "wasps", "new_class": True})
    once = asked(learner, text)["probabilities"]
    learner.post("/feedback", json={"item": text, "label": "bees"})
    back = learner.post("/rollback", json={"version": "1.1"})
    assert back.json() == {"model": "insects", "version": "1.3"}
    assert asked(learner, text)["probabilities"] == pytest.approx(once, abs=1e-6)
    assert learner.post("/rollback", json={"version": "1"}).json()["version"] == "1.4"
    assert asked(learner, text)["probabilities"] == plain
    told = learner.get("/versions").json()
    assert [(one["version"], one["reason"], one["corrections"]) for one in told["versions"]] == [
        ("1", "as shipped", 0), ("1.1", "learned: wasps", 1), ("1.2", "learned: bees", 1),
        ("1.3", "rolled back to 1.1", 1), ("1.4", "rolled back to 1", 0),
    ]  # fmt: skip
    assert told["now"] == "1.4"
    assert [one["version"] for one in told["versions"] if one["answers_now"]] == ["1.4"]
    # what was rolled back is not learned again with the next correction
    learner.post("/feedback", json={"item": "leaf leaf", "label": "ants"})
    assert "wasps" not in asked(learner, text)["probabilities"]


@pytest.mark.parametrize("version", ["1.9", "2", "0", "x", "1.x", "-1", "1.1.1", "²"])
def test_versions_that_are_not_there(learner, version):
    learner.post("/feedback", json={"item": "hive hill", "label": "ants"})
    response = learner.post("/rollback", json={"version": version})
    assert response.status_code == 422, response.text
    assert said(response).startswith("version must be ")
    assert learner.get("/versions").json()["now"] == "1.1"


def test_a_model_that_does_not_learn_has_nothing_to_roll_back(client):
    response = client.post("/rollback", json={"version": "1"})
    assert response.status_code == 422
    assert said(response) == (
        "this model answers as version 1 was shipped, since it is served without --learn: no correction can be taken "
        "back."
    )


def test_poison_is_stored_and_held_back(learner, folder):
    texts = [f"{a} {b} {i}" for i, (a, b) in enumerate((a, b) for a in WORDS[0][1] for b in WORDS[0][1])]
    outcomes = [learner.post("/feedback", json={"item": text, "label": "bees"}).json() for text in texts]
    held = [one for one in outcomes if not one["learned"]]
    assert held
    assert held[0]["why"].startswith("it would make the answers to rows that are known worse, by ")
    assert outcomes[-1]["corrections"] == len(texts)
    assert len(corrections(folder)) == len(texts) - len(held)
    assert sum(asked(learner, text)["answer"] == "ants" for text in texts) > len(texts) / 3


# Swapped -----------------------------------------------------------------------------------------------------------


def test_no_request_is_lost_while_models_are_swapped_and_each_is_answered_by_one(saved):
    """Two models that answer differently take turns under six askers; who answered is told, and told truly."""
    first = Bundle.load(saved)
    second = Bundle.load(saved)
    second.coef, second.intercept = -second.coef, -second.intercept
    items = ["hive buzz 0", "hill leaf 0"] * 4
    right = {"1": first.predict(items), "2": second.predict(items)}
    assert right["1"] != right["2"]
    served = ServedModel("insects", first)
    found, stop = [], threading.Event()

    def swap():
        while not stop.is_set():
            served.swap(Answering(second, {}, "2"))
            served.swap(Answering(first, {}, "1"))

    with TestClient(application([served], Admission(kinds=BODIES)), "http://127.0.0.1") as client:

        def ask():
            for _ in range(20):
                found.append(client.post("/predict", json={"items": items}))

        threads = [threading.Thread(target=ask) for _ in range(6)]
        swapper = threading.Thread(target=swap)
        swapper.start()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stop.set()
        swapper.join()
    assert len(found) == 120
    for response in found:
        body = response.json()
        assert response.status_code == 200
        assert [row["answer"] for row in body["answers"]] == right[body["version"]]


def test_a_model_of_other_items_is_not_swapped_in(saved, photos):
    from handful.errors import BundleError

    served = ServedModel("insects", Bundle.load(saved))
    with pytest.raises(BundleError) as error:
        served.swap(Answering(Bundle.load(photos)))
    assert str(error.value) == (
        "the new model of insects must answer text items as the old one does, got one of image. Start a server for it."
    )


# Drift -------------------------------------------------------------------------------------------------------------


def test_drift_is_told_with_what_to_do(client):
    quiet = client.get("/drift").json()
    assert (quiet["drifted"], quiet["warning"], quiet["proposal"], quiet["waiting"]) == (False, None, None, 0)
    improver = client.app.state.improver
    for start in (0, 100):
        texts = [f"zzz qqq {'x' * (i % 30)} number {i}" for i in range(start, start + 100)]
        client.post("/predict", json={"items": texts})
    for thread in [one for one in threading.enumerate() if one.name == "drift"]:
        thread.join()
    told = client.get("/drift").json()
    assert improver.watch.windows == told["windows"] == 2
    assert told["drifted"]
    assert told["warning"].startswith("what insects is asked differs from its training rows beyond chance (drift); ")
    assert told["proposal"] == (
        "label some of what is asked now, or correct answers, and tune again: handful update insects "
        "insects/corrections"
    )
    assert 'handful_drifted{model="insects"} 1.0' in client.get("/metrics").text


def test_enough_corrections_are_told_to_be_worth_a_training(client):
    for i in range(10):
        client.post("/feedback", json={"item": f"hive number {i}", "label": "ants"})
    assert client.get("/drift").json()["proposal"] == (
        "10 corrections are worth tuning again: handful update insects insects/corrections"
    )
    assert 'handful_corrections{model="insects"} 10.0' in client.get("/metrics").text


def test_a_model_alone_cannot_be_tuned_again(saved):
    served = ServedModel("model", Bundle.load(saved))
    with pytest.raises(OptionError) as error:
        Improver(served, saved / "model", Improvement(retrain=True))
    assert str(error.value) == (
        f"--retrain needs a run folder, which says what it was tuned on, got {saved / 'model'}. Name the run."
    )


def test_the_description_names_what_there_is(client):
    described = client.get("/openapi.json").json()
    assert {"/feedback", "/versions", "/drift", "/rollback", "/models/insects/feedback"} <= described["paths"].keys()
    references = {part.split('"')[0] for part in json.dumps(described).split("#/components/schemas/")[1:]}
    assert references <= described["components"]["schemas"].keys()
