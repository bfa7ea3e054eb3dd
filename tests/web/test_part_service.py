"""Models of defects, masks, boxes, spans and events over HTTP: values and pictures, and what is refused with why."""

from __future__ import annotations

import base64
import io
import threading

import numpy as np
import pytest
import soundfile
from PIL import Image
from starlette.testclient import TestClient

from handful import api
from handful.data import media_bytes
from handful.export.sharing import share_backbones, shared_memory
from handful.run import opened
from handful.web.admission import Admission
from handful.web.asked_items import BODIES
from handful.web.item_answers import ServedModel
from handful.web.item_service import application

KINDS = ("defects", "masks", "boxes")
PNG = {"Accept": "image/png"}


@pytest.fixture(scope="module")
def models(part_runs):
    return {kind: opened(part_runs / f"run_{kind}") for kind in KINDS}


@pytest.fixture(scope="module")
def client(models):
    with client_of(*(ServedModel(kind, model) for kind, model in models.items())) as made:
        yield made


def client_of(*served):
    return TestClient(application(served, Admission(kinds=BODIES)), base_url="http://127.0.0.1")


@pytest.fixture(scope="module")
def pictures(part_runs):
    """Kind → the bytes of a picture, and its file."""
    files = {"defects": "defects/0.png", "masks": "masks/images/0.png", "boxes": "boxes/images/0.png"}
    return {kind: (part_runs / name, (part_runs / name).read_bytes()) for kind, name in files.items()}


def asked(client, kind, content, headers=None, **fields):
    return client.post(f"/models/{kind}/predict", files=[("file", content)], data=fields, headers=headers)


def answer(client, kind, content, **fields):
    response = asked(client, kind, content, **fields)
    assert response.status_code == 200, response.text
    (row,) = response.json()["answers"]
    return row


def refusal(response, status):
    assert response.status_code == status
    return response.json()["error"]["message"]


def test_a_model_of_defects_says_what_it_scores_and_where_it_is_most_unusual(client, models, pictures):
    file, content = pictures["defects"]
    row = answer(client, "defects", content, explain="true")
    (score,) = models["defects"].scores([file])
    assert row["score"] == pytest.approx(score, abs=1e-4)
    assert row["answer"] == models["defects"].predict([file])[0]
    assert row["alarm"] == (row["score"] > row["threshold"])
    assert 1 <= len(row["parts"]) <= 5
    assert len(row["parts"][0]["place"]) == 4
    assert "id" not in row
    assert "drawn" not in row


def test_alarms_are_counted(client, pictures):
    def alarms():
        told = client.get("/metrics").text
        lines = [
            line for line in told.splitlines() if line.startswith('handful_items_total{kind="alarm",model="defects"}')
        ]
        return sum(float(line.split()[-1]) for line in lines)

    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8)).save(stream, "PNG")
    before = alarms()
    rows = [answer(client, "defects", content) for content in (pictures["defects"][1], stream.getvalue())]
    assert [row["alarm"] for row in rows] == [False, True]
    assert alarms() == before + 1


def test_a_mask_is_that_of_predict_and_can_be_learned_from_again(client, models, pictures):
    file, content = pictures["masks"]
    model = models["masks"]
    row = answer(client, "masks", content, drawn="true")
    (classes,) = model.predict([file])
    assert (row["height"], row["width"]) == classes.shape
    assert sum(row["shares"].values()) == pytest.approx(1, abs=1e-5)
    assert row["shares"][model.names[0]] == pytest.approx((classes == 0).mean(), abs=1e-6)
    with Image.open(io.BytesIO(base64.b64decode(row["drawn"]))) as mask:
        levels = np.asarray(mask.convert("RGB"))
    told = client.get("/models").json()["models"][1]["colours"]
    for number, name in enumerate(model.names):
        assert np.array_equal((levels == told[name]).all(-1), classes == number)


def test_boxes_are_those_of_predict_in_pixels_of_the_whole_picture(client, models, pictures):
    file, content = pictures["boxes"]
    row = answer(client, "boxes", content)
    assert row["answer"] == models["boxes"].predict([file])[0]
    assert row["count"] == len(row["answer"]) == sum(row["counts"].values())
    with Image.open(file) as picture:
        assert (row["width"], row["height"]) == picture.size


@pytest.mark.parametrize("kind", KINDS)
def test_who_asks_for_a_picture_gets_one_that_is_the_same_as_in_json(client, pictures, kind):
    content = pictures[kind][1]
    response = asked(client, kind, content, headers=PNG)
    assert response.headers["content-type"] == "image/png"
    assert response.content == base64.b64decode(answer(client, kind, content, drawn="true")["drawn"])
    with Image.open(io.BytesIO(response.content)) as drawn, Image.open(pictures[kind][0]) as picture:
        assert drawn.format == "PNG"
        assert drawn.size == picture.size


def test_boxes_are_drawn_around_things_in_the_colour_of_their_label(client, models, pictures):
    content = pictures["boxes"][1]
    row = answer(client, "boxes", content, drawn="true")
    with Image.open(io.BytesIO(base64.b64decode(row["drawn"]))) as picture:
        pixels = np.asarray(picture)
    colours = client.get("/models").json()["models"][2]["colours"]
    box = row["answer"][0]
    corner = pixels[max(0, int(box["top"])), max(0, int(box["left"]))]
    assert corner.tolist() == colours[box["label"]]


def test_a_picture_that_cannot_be_read_has_an_error_and_the_others_their_answers(client, pictures):
    files = [("file", pictures["masks"][1]), ("file", b"none")]
    rows = client.post("/models/masks/predict", files=files).json()["answers"]
    assert "answer" in rows[0]
    assert rows[1]["error"].startswith("the picture is not a picture in a known format")
    assert refusal(asked(client, "masks", b"none", headers=PNG), 422).startswith("the item cannot be read: the picture")


def test_one_picture_at_a_time_is_answered_with_a_picture(client, pictures):
    files = [("file", pictures["masks"][1])] * 2
    assert refusal(client.post("/models/masks/predict", files=files, headers=PNG), 422) == (
        "one picture at a time is answered with a picture, got 2. Ask about each by itself, or for application/json "
        "with drawn=true."
    )


def test_what_a_kind_of_model_does_not_say_is_refused(client, pictures):
    assert refusal(asked(client, "boxes", pictures["boxes"][1], explain="true"), 422) == (
        "explain is for models whose answer hangs on something that can be left out, got a model of boxes, which tells "
        "all that it sees. Leave it out."
    )
    assert refusal(asked(client, "masks", pictures["masks"][1], nearest="1"), 422) == (
        "nearest is for models that keep their training rows, got a model of masks. Leave it out."
    )


@pytest.mark.parametrize("kind", KINDS)
def test_corrections_and_versions_are_refused_with_what_to_do(client, kind, pictures):
    files = [("file", pictures[kind][1])]
    response = client.post(f"/models/{kind}/feedback", files=files, data={"label": "a"})
    assert refusal(response, 404) == (
        f"{kind} is a model of {kind}, which takes no corrections. Put what is right beside the other items, and run: "
        "handful update RUN NEW"
    )
    for response in (client.get(f"/models/{kind}/versions"), client.get(f"/models/{kind}/drift")):
        assert refusal(response, 404) == (
            f"{kind} is a model of {kind}, whose versions and drift are not followed while it is served. Run: handful "
            "versions RUN, or handful check RUN NEW"
        )


def test_one_question_to_all_of_them(client, pictures):
    told = client.post("/predict/all", files=[("file", pictures["boxes"][1])]).json()["models"]
    assert list(told) == list(KINDS)
    assert all("answer" in one["answers"][0] for one in told.values())
    files = [("file", pictures["boxes"][1])]
    refused = client.post("/predict/all", files=files, data={"explain": "true"})
    assert refusal(refused, 422).startswith("explain is for models")


def test_a_picture_alone_is_no_answer_of_several_models(client, pictures):
    refused = client.post("/predict/all", files=[("file", pictures["boxes"][1])], headers=PNG)
    assert refusal(refused, 406) == (
        "a question to all models is not answered with one picture, got Accept: image/png. Ask each at "
        "/models/NAME/predict, or all for application/json with drawn=true."
    )


def test_pictures_of_one_request_are_limited_together(client, pictures, monkeypatch):
    limit = {**media_bytes.MOST_TOGETHER, "image": (2000.0, "million pixels", 1e3)}
    monkeypatch.setattr("handful.web.asked_items.MOST_TOGETHER", limit)
    files = [("file", pictures["defects"][1])] * 2
    assert refusal(client.post("/predict", files=files), 413) == (
        "the files of one request must have at most 2 million pixels together, got more. Send fewer at a time."
    )


def test_sounds_of_one_request_are_limited_together(clips, monkeypatch):
    monkeypatch.setattr("handful.web.asked_items.MOST_TOGETHER", {"sound": (1.0, "minutes", 1.0)})
    sound = io.BytesIO()
    soundfile.write(sound, np.zeros(12000, np.float32), 16000, "PCM_16", format="WAV")
    beeps = api.tune(clips(), backbone="toy-sound", budget=0).bundle
    with client_of(ServedModel("beeps", beeps)) as client:
        response = client.post("/predict", files=[("file", sound.getvalue())] * 2)
    assert refusal(response, 413).startswith("the files of one request must have at most 1 minutes together, got more.")


def test_a_request_that_took_too_long_leaves_one_item_behind_at_most(models, pictures):
    served, order = ServedModel("boxes", models["boxes"]), []
    plain, go_on = served.batcher._answer, threading.Event()

    def slow(items):
        order.append(len(items))
        assert go_on.wait(60)
        return plain(items)

    served.batcher._answer = slow
    app = application([served], Admission(kinds=BODIES), seconds=0.2)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        late = client.post("/predict", files=[("file", pictures["boxes"][1])] * 3)
        go_on.set()
    assert refusal(late, 503) == "an answer must be found within 0.2 seconds. Send fewer items."
    assert order == [1]


def test_a_classifier_draws_nothing(part_runs):
    rng = np.random.default_rng(0)
    pixels = [np.clip(40 + 150 * k + rng.integers(0, 40, (16, 16, 3)), 0, 255).astype(np.uint8) for k in (0, 1) * 6]
    light = api.tune(api.load(pixels, labels=["dark", "light"] * 6), backbone="toy-image", budget=0).bundle
    stream = io.BytesIO()
    Image.fromarray(pixels[0]).save(stream, "PNG")
    with client_of(ServedModel("light", light)) as client:
        assert refusal(client.post("/predict", files=[("file", stream.getvalue())], headers=PNG), 406) == (
            "light answers with values and draws nothing, got Accept: image/png. Ask for application/json."
        )
        response = client.post("/predict", files=[("file", stream.getvalue())], data={"drawn": "true"})
        assert refusal(response, 422) == (
            "drawn is for models of defects, masks or boxes in pictures, got a model of classification of images. "
            "Leave it out."
        )


def test_spans_are_answered_and_take_no_corrections(tmp_path):
    rows = [f"{name} lives in {place}" for name in ("Ada", "Bob", "Cid") for place in ("Rome", "Oslo", "Kiel", "Bern")]
    spans = [[{"start": len(row) - 4, "end": len(row), "label": "place"}] for row in rows]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(f"{json_line(row, own)}\n" for row, own in zip(rows, spans, strict=True)))
    model = api.tune(file, backbone="toy-text", budget=0).bundle
    with client_of(ServedModel("places", model)) as client:
        (row,) = client.post("/predict", json={"items": [rows[0]]}).json()["answers"]
        assert {"start", "end", "label", "confidence"} <= row["answer"][0].keys()
        assert refusal(client.post("/predict", json={"items": ["a"], "explain": True}), 422).startswith(
            "explain is for models whose answer hangs on something that can be left out, got a model of tagging"
        )
        said = refusal(client.post("/feedback", json={"item": rows[0], "label": "place"}), 404)
    assert said.startswith("places is a model of tagging, which takes no corrections. Put what is right beside")


def json_line(text, spans):
    import json

    return json.dumps({"text": text, "spans": spans})


def test_backbones_that_models_of_parts_read_are_in_memory_once(part_runs):
    models = [opened(part_runs / f"run_{kind}") for kind in KINDS]
    share_backbones(models)
    reading = [model for model in models if model.backbone_name]
    assert len({id(model.loaded) for model in reading}) == 1
    assert shared_memory(models) == [f"{len(reading)} runs read toy-image in memory once: 0 MB in place of 0"]


def test_the_description_says_what_each_kind_takes_and_gives(client):
    paths = client.get("/openapi.json").json()["paths"]
    forms = {
        kind: paths[f"/models/{kind}/predict"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
        for kind in KINDS
    }
    assert set(forms["defects"]["properties"]) == {"file", "explain", "drawn"}
    assert set(forms["boxes"]["properties"]) == {"file", "drawn"}
    assert "image/png" in paths["/models/masks/predict"]["post"]["responses"]["200"]["content"]
    assert "/models/masks/feedback" not in paths
