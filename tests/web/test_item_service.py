"""The service of models of items: what it answers, whom it refuses, several runs at one port, the page."""

from __future__ import annotations

import io
import json
import threading

import numpy as np
import pytest
import soundfile
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from handful import api
from handful.data import media_bytes
from handful.errors import OptionError
from handful.export.sharing import share_backbones, shared_memory
from handful.features.cache import MemoryCache
from handful.web.admission import Admission
from handful.web.asked_items import BODIES, MOST_BYTES, MOST_ITEMS
from handful.web.item_answers import ServedModel
from handful.web.item_service import application

JSON = {"Content-Type": "application/json"}


def run_of(rows, labels, **options):
    backbone = options.pop("backbone", "toy-text")
    return api.tune(api.load(list(rows), labels=labels), backbone=backbone, budget=0, **options)


@pytest.fixture(scope="module")
def texts():
    rows = [(f"{word} {other} {i}", name) for name, words in
            (("ants", ("hill", "march", "leaf")), ("bees", ("hive", "buzz", "wing")))
            for i, (word, other) in enumerate([(a, b) for a in words for b in words])]  # fmt: skip
    return run_of([text for text, _ in rows], [name for _, name in rows]).bundle


def client_of(*served, seconds=60.0, **how):
    made = application(served, Admission(kinds=BODIES), seconds)
    return TestClient(made, "http://127.0.0.1", raise_server_exceptions=False, **how)


@pytest.fixture
def client(texts):
    with client_of(ServedModel("insects", texts, {0: "hill hill 0"})) as made:
        yield made


# Answers -----------------------------------------------------------------------------------------------------------


def test_texts_are_answered_as_the_model_answers_them(client, texts):
    items = ["hive buzz", "leaf march hill"]
    response = client.post("/predict", json={"items": items})
    assert response.status_code == 200
    body = response.json()
    assert [row["answer"] for row in body["answers"]] == texts.predict(items)
    wanted = texts.predict_proba(items)
    for row, shares in zip(body["answers"], wanted, strict=True):
        assert list(row["probabilities"].values()) == pytest.approx(shares, abs=1e-5)
        assert row["confidence"] == pytest.approx(shares.max(), abs=1e-5)
        assert 0 < row["rarity"] <= 1
    assert body["model"] == "insects"


def test_training_rows_and_reasons_are_told_where_they_are_asked_for(client):
    plain = client.post("/predict", json={"items": ["hill hill"]}).json()["answers"][0]
    assert not {"nearest", "parts"} & plain.keys()
    row = client.post("/predict", json={"items": ["hill hill"], "nearest": 2, "explain": True}).json()["answers"][0]
    assert [near["label"] for near in row["nearest"]] == ["ants", "ants"]
    assert {near["row"]: near["input"] for near in row["nearest"]}.get(0, "hill hill 0") == "hill hill 0"
    assert {part["part"] for part in row["parts"]} == {"hill"}


def test_what_cannot_be_read_stands_beside_what_can(client):
    rows = client.post("/predict", json={"items": ["", "hive buzz"]}).json()["answers"]
    assert rows[0] == {"error": "the text is empty"}
    assert rows[1]["answer"] == "bees"


def test_a_strange_text_is_called_so(client):
    told = client.post("/predict", json={"items": ["hill march 3"]}).json()["answers"][0]
    assert told["unlike_training"] is False


def test_several_runs_at_one_port(texts):
    other = run_of([f"{w} {i}" for w in ("up", "down") for i in range(6)], ["up"] * 6 + ["down"] * 6).bundle
    with client_of(ServedModel("insects", texts), ServedModel("ways", other)) as client:
        assert [m["name"] for m in client.get("/models").json()["models"]] == ["insects", "ways"]
        first = client.post("/predict", json={"items": ["hive"]}).json()
        second = client.post("/models/ways/predict", json={"items": ["down 7"]}).json()
        assert (first["model"], second["model"], second["answers"][0]["answer"]) == ("insects", "ways", "down")
        missing = client.post("/models/nobody/predict", json={"items": ["hive"]})
    assert missing.status_code == 404
    assert missing.json()["error"]["message"] == (
        "model must be one of insects, ways, got 'nobody'. GET /models tells about each."
    )


def test_two_runs_of_the_same_name_are_refused(texts):
    with pytest.raises(OptionError, match="each run must have a name of its own, got 'a' twice"):
        application([ServedModel("a", texts), ServedModel("a", texts)])


def test_runs_on_the_same_backbone_hold_it_once(tmp_path, texts):
    from handful.export.bundle import Bundle

    texts.save(tmp_path / "one")
    first, second = Bundle.load(tmp_path / "one"), Bundle.load(tmp_path / "one")
    share_backbones([first, second])
    (name,) = first.view.backbones
    assert first.backbone(name) is second.backbone(name)
    assert shared_memory([first, second]) == [f"2 runs read {name} in memory once: 0 MB in place of 0"]
    assert shared_memory([first]) == []


def test_requests_that_come_together_go_through_together(texts):
    served = ServedModel("insects", texts)
    inside, go_on = threading.Event(), threading.Event()
    plain = served.batcher._answer

    def slow(items):
        inside.set()
        assert go_on.wait(60)
        return plain(items)

    served.batcher._answer = slow
    with client_of(served) as client:
        found = []
        threads = [
            threading.Thread(target=lambda i=i: found.append(client.post("/predict", json={"items": [f"hive {i}"]})))
            for i in range(6)
        ]
        threads[0].start()
        assert inside.wait(60)
        for thread in threads[1:]:
            thread.start()
        while served.batcher._jobs.qsize() < 5:
            pass
        go_on.set()
        for thread in threads:
            thread.join()
    assert [response.status_code for response in found] == [200] * 6
    assert served.batcher.batches == 2


# Pictures and sounds -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seen():
    rng = np.random.default_rng(0)
    pixels = [np.clip(40 + 150 * k + rng.integers(0, 40, (16, 16, 3)), 0, 255).astype(np.uint8) for k in (0, 1) * 8]
    return run_of(pixels, ["dark", "light"] * 8, backbone="toy-image").bundle


def png(level, side=16):
    stream = io.BytesIO()
    Image.fromarray(np.full((side, side, 3), level, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def test_pictures_come_as_a_form_or_as_themselves(seen):
    with client_of(ServedModel("light", seen)) as client:
        form = client.post("/predict", files=[("file", ("a.png", png(230))), ("file", ("../../b", png(30)))])
        alone = client.post("/predict?nearest=1", content=png(230), headers={"Content-Type": "image/png"})
    assert [row["answer"] for row in form.json()["answers"]] == ["light", "dark"]
    assert alone.json()["answers"][0]["answer"] == "light"
    assert len(alone.json()["answers"][0]["nearest"]) == 1


def test_a_file_that_is_no_picture_is_told_beside_those_that_are(seen):
    with client_of(ServedModel("light", seen)) as client:
        rows = client.post("/predict", files=[("file", b"no picture"), ("file", png(230)), ("file", b"")]).json()
    assert rows["answers"][0]["error"].startswith("the picture is not a picture in a known format.")
    assert rows["answers"][1]["answer"] == "light"
    assert rows["answers"][2]["error"] == "the file is empty (0 bytes). Send it again."


def test_a_picture_of_more_pixels_than_is_decoded(seen, monkeypatch):
    monkeypatch.setattr(media_bytes, "MOST_PIXELS", 100)
    with client_of(ServedModel("light", seen)) as client:
        row = client.post("/predict", files=[("file", png(230))]).json()["answers"][0]
    assert "got 16 x 16 pixels" in row["error"]


def test_sounds(clips):
    run = api.tune(clips(), backbone="toy-sound", budget=0)
    stream = io.BytesIO()
    soundfile.write(stream, 0.3 * np.sin(2 * np.pi * 1200 * np.arange(2000) / 16000), 16000, format="WAV")
    with client_of(ServedModel("beeps", run.bundle)) as client:
        row = client.post("/predict", files=[("file", stream.getvalue())]).json()["answers"][0]
        bad = client.post("/predict", files=[("file", b"RIFF no sound")]).json()["answers"][0]
    assert row["answer"] == "high"
    assert bad["error"].startswith("the file cannot be decoded as a sound (")


def test_a_sound_that_lasts_too_long(monkeypatch):
    monkeypatch.setattr(media_bytes, "MOST_SECONDS", 0.5)
    stream = io.BytesIO()
    soundfile.write(stream, np.zeros(16000), 16000, format="WAV")
    with pytest.raises(Exception, match=r"the sound must last at most 0\.5 seconds, got 1\. Cut it\."):
        media_bytes.item_of_bytes(stream.getvalue(), "sound")


# Whom it refuses ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ("{", 400, "the body must be JSON, but it cannot be read"),
        ("[" * 100_000, 400, "the body must be JSON, but it cannot be read"),
        ("3", 422, "the body is not as it must be: Input should be a valid dictionary"),
        ("{}", 422, "items is not as it must be: Field required. Correct it."),
        ('{"items": []}', 422, "items is not as it must be: List should have at least 1 item"),
        ('{"items": [3]}', 422, "items.0 is not as it must be: Input should be a valid string. Correct it."),
        ('{"items": ["a"], "itmes": 1}', 422, "itmes is not as it must be: Extra inputs are not permitted."),
        ('{"items": ["a"], "nearest": 99}', 422, "nearest is not as it must be: Input should be less than or equal"),
        ('{"items": [["a", "b"]]}', 422, "items.0 must be one text, got two. Send what the model learned from."),
        ('{"items": ["a", "b"], "explain": true}', 422, "explain is for one item at a time, got 2."),
    ],
)
def test_bodies_that_are_none(client, body, status, message):
    response = client.post("/predict", content=body, headers=JSON)
    assert (response.status_code, response.json()["error"]["message"][: len(message)]) == (status, message)


def test_too_many_items_and_too_large_a_body(client):
    many = client.post("/predict", json={"items": ["a"] * (MOST_ITEMS + 1)})
    assert many.status_code == 422
    large = client.post("/predict", content=b" " * (MOST_BYTES + 1), headers=JSON)
    assert large.status_code == 413
    assert large.json()["error"]["message"] == (
        "the body must have at most 67,108,864 bytes, got more. Send fewer texts at a time."
    )


def test_texts_for_a_model_of_pictures_and_pictures_for_one_of_texts(client, seen):
    text = client.post("/predict", files=[("file", png(3))])
    assert text.status_code == 415
    assert text.json()["error"]["message"].startswith(
        "this model answers texts, which are sent as application/json, got"
    )
    with client_of(ServedModel("light", seen)) as pictures:
        picture = pictures.post("/predict", json={"items": ["a"]})
        none = pictures.post("/predict", data={"nearest": "1"}, files=[("nearest", (None, "2"))])
    assert picture.status_code == 415
    assert picture.json()["error"]["message"].startswith(
        "this model answers pictures, which are sent as multipart/form-data"
    )
    assert (
        none.json()["error"]["message"]
        == "there must be at least one file, got none. Send files in fields called file."
    )


def test_a_page_of_another_place_is_not_answered(client):
    response = client.post("/predict", json={"items": ["a"]}, headers={"Origin": "https://elsewhere.example"})
    assert response.status_code == 403
    response = client.post("/predict", json={"items": ["a"]}, headers={"Host": "elsewhere.example"})
    assert response.status_code == 403


def test_an_answer_that_takes_too_long(texts):
    served, go_on = ServedModel("insects", texts), threading.Event()
    plain = served.batcher._answer
    served.batcher._answer = lambda items: plain(items) if go_on.wait(60) else []
    with client_of(served, seconds=0.01) as client:
        response = client.post("/predict", json={"items": ["hive"]})
        go_on.set()
    assert response.status_code == 503
    assert response.json()["error"]["message"] == "an answer must be found within 0.01 seconds. Send fewer items."


def test_a_failure_is_the_servers_and_the_next_request_is_answered(texts):
    served = ServedModel("insects", texts)
    plain, calls = served.batcher._answer, []

    def once(items):
        calls.append(items)
        if len(calls) == 1:
            raise RuntimeError("out of memory")
        return plain(items)

    served.batcher._answer = once
    with client_of(served) as client:
        first = client.post("/predict", json={"items": ["hive"]})
        second = client.post("/predict", json={"items": ["hive"]})
    assert (first.status_code, first.json()["error"]["type"]) == (500, "server_error")
    assert second.status_code == 200


# What it says about itself -----------------------------------------------------------------------------------------


def test_figures_for_prometheus(client):
    client.post("/predict", json={"items": ["hive", ""]})
    client.post("/predict", content="{", headers=JSON)
    found = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
    }
    assert found["handful_requests_total", "200", "insects"] == 1
    assert found["handful_requests_total", "400", "insects"] == 1
    assert found["handful_items_total", "answered", "insects"] == 1
    assert found["handful_items_total", "insects", "unreadable"] == 1
    assert found["handful_request_seconds_count", "insects"] == 2


def test_health_models_and_description(client, texts):
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/ready").json() == {"status": "ready", "models": ["insects"]}
    (about,) = client.get("/models").json()["models"]
    assert (about["task"], about["modality"], about["labels"]) == ("classification", "text", ["ants", "bees"])
    described = client.get("/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    assert {"/predict", "/models/insects/predict", "/health", "/ready", "/metrics"} <= described["paths"].keys()
    assert described["components"]["schemas"]["Question"]["properties"]["items"]["maxItems"] == MOST_ITEMS
    references = {part.split('"')[0] for part in json.dumps(described).split("#/components/schemas/")[1:]}
    assert references <= described["components"]["schemas"].keys()


def test_a_page_that_is_not_there(client):
    response = client.get("/nothing")
    assert response.status_code == 404
    assert response.json()["error"]["message"].startswith(
        "GET /nothing is not possible (Not Found). There are POST /predict"
    )


def test_the_page_loads_nothing_from_elsewhere(client):
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for name in ("try.js", "try_versions.js", "try.css"):
        assert f"/static/{name}" in page.text
        assert client.get(f"/static/{name}").status_code == 200
    assert client.get("/static/report.css").status_code == 404
    assert "http://" not in page.text
    assert "https://" not in page.text


def test_one_question_to_all_models_that_read_the_same(texts):
    other = run_of([f"{w} {i}" for w in ("up", "down") for i in range(6)], ["up"] * 6 + ["down"] * 6).bundle
    with client_of(ServedModel("insects", texts), ServedModel("ways", other)) as client:
        told = client.post("/predict/all", json={"items": ["down hive", ""]}).json()
        apart = client.post("/models/ways/predict", json={"items": ["down hive"]}).json()
        assert "/predict/all" in client.get("/openapi.json").json()["paths"]
    assert list(told["models"]) == ["insects", "ways"]
    plain = [{k: v for k, v in body["answers"][0].items() if k != "id"} for body in (told["models"]["ways"], apart)]
    assert plain[0] == plain[1]
    assert [told["models"][name]["answers"][1] for name in told["models"]] == [{"error": "the text is empty"}] * 2


def test_models_that_share_what_they_see_answer_as_without(texts):
    seen = MemoryCache(2)
    items = ["hive buzz", "leaf march hill", "hill hive"]
    with client_of(ServedModel("insects", texts, seen=seen), ServedModel("again", texts, seen=seen)) as client:
        told = client.post("/predict/all", json={"items": items}).json()["models"]
    for body in told.values():
        assert [row["answer"] for row in body["answers"]] == texts.predict(items)
