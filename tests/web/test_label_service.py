"""The page to label over HTTP: what it takes, what it refuses and how, and that it goes on whatever comes."""

from __future__ import annotations

import io
import json
import sqlite3

import numpy as np
import pytest
import soundfile
from PIL import Image
from starlette.testclient import TestClient

from handful.data.label_pool import LabelPool
from handful.data.readers import load
from handful.data.sentences import bounds_of
from handful.errors import MachineError
from handful.web.admission import Admission
from handful.web.labelling.service import BODIES, application
from labelled_pools import answer, kind_of_text, labelling_of, texts


@pytest.fixture
def labelling(tmp_path):
    made = labelling_of(tmp_path)
    yield made
    made.session.store.close()


@pytest.fixture
def client(labelling):
    with TestClient(application(labelling, Admission(kinds=BODIES)), base_url="http://127.0.0.1") as opened:
        yield opened


def refused(response, status: int) -> str:
    assert response.status_code == status, response.text
    return response.json()["error"]["message"]


def asked(client, count: int = 1, person: str = "") -> list[dict]:
    return client.get("/next", params={"person": person, "count": count}).json()["items"]


def picture(level: int = 40, side: int = 8, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((side, side, 3), level, np.uint8)).save(stream, kind)
    return stream.getvalue()


# What it does --------------------------------------------------------------------------------------------------------


def test_items_are_labelled_taken_back_and_written_as_a_table(client, labelling):
    first, second = asked(client, 2)
    one, other = answer(first["item"], "ants", asked=first["how"]), answer(second["item"], None, "skip")
    told = client.post("/answers", json={"person": "Ada", "answers": [one, other]}).json()
    assert told == {"accepted": [one["id"], other["id"]], "new": [True, True]}
    assert client.post("/answers", json={"person": "Ada", "answers": [one]}).json()["new"] == [False]
    state = client.get("/state", params={"person": "Ada"}).json()
    assert (state["counts"]["labelled"], state["counts"]["skipped"], state["own"]) == (1, 1, 1)
    assert [(c["name"], c["count"]) for c in state["classes"]] == [("ants", 1), ("bees", 0), ("wasps", 0)]
    table = client.get("/labels")
    assert table.text == f"text,label\n{first['text']},ants\n"
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    for _ in range(2):  # sent twice, done once
        back = client.post("/undo", json={"id": "taking-back", "person": "Ada"}).json()
        assert back["item"]["item"] == second["item"]
    assert client.get("/state").json()["counts"]["labelled"] == 1


def test_the_table_is_written_after_answers_and_tune_reads_it(client, labelling):
    for item in asked(client, 12):
        client.post("/answers", json={"answers": [answer(item["item"], kind_of_text(item["text"]))]})
    client.__exit__(None, None, None)
    data = load(labelling.table)
    assert len(data) == 12
    assert set(data.classes) <= {"ants", "bees", "wasps"}


def test_progress_and_doubt_are_told_when_there_are_labels(client, labelling):
    for item in asked(client, 20):
        client.post("/answers", json={"answers": [answer(item["item"], kind_of_text(item["text"]), asked=item["how"])]})
    assert labelling.learning.wait(60)
    state = client.get("/state").json()
    assert state["progress"]["labels"] == 20
    assert state["progress"]["advice"]
    assert state["looked"] == 24
    doubt = client.get("/doubtful").json()
    assert len(doubt["items"]) == 10
    assert doubt["sentence"].startswith("These 10 labels fit the others least")
    assert {item["how"] for item in doubt["items"]} == {"second look"}
    assert all(item["label"] for item in doubt["items"])


def test_items_are_found_by_words_and_by_example(client, labelling):
    assert labelling.learning.wait(60)
    found = client.get("/search", params={"text": texts()[4].upper()}).json()["items"]
    assert found[0]["text"] == texts()[4]
    alike = client.get("/alike", params={"item": found[0]["item"], "count": 5}).json()["items"]
    assert len(alike) == 5
    assert found[0]["item"] not in [item["item"] for item in alike]


def test_texts_that_are_dropped_are_asked_about(client):
    dropped = {"file": ("more.txt", b"a first text\n<b>a second</b>\na first text\n")}
    assert client.post("/items", files=dropped).json() == {"new": 2, "known": 1, "failed": []}
    assert client.get("/state").json()["counts"]["items"] == 26
    assert client.get("/search", params={"text": "<b>a"}).json()["items"][0]["text"] == "<b>a second</b>"


def test_a_class_is_added_and_can_be_answered(client):
    assert client.post("/classes", json={"name": " flies "}).json() == {"name": "flies"}
    [item] = asked(client)
    assert client.post("/answers", json={"answers": [answer(item["item"], "flies")]}).status_code == 200


@pytest.fixture
def pictures(tmp_path):
    for i in range(4):
        (tmp_path / f"{i}.png").write_bytes(picture(60 * i))
    (tmp_path / "torn.png").write_bytes(picture()[:40])
    items = sorted(tmp_path.glob("*.png"))
    labelling = labelling_of(tmp_path, LabelPool("image", items, [item.name for item in items]))
    with TestClient(application(labelling, Admission(kinds=BODIES)), base_url="http://127.0.0.1") as opened:
        opened.learning = labelling.learning
        yield opened
    labelling.session.store.close()


def test_a_picture_is_shown_by_its_id_decoded_and_written_anew(pictures):
    item = next(item for item in asked(pictures, 9) if item["name"] == "1.png")
    shown = pictures.get(f"/items/{item['item']}/content")
    assert shown.headers["content-type"] == "image/jpeg"
    assert shown.headers["content-security-policy"] == "default-src 'none'"
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert Image.open(io.BytesIO(shown.content)).size == (8, 8)


WHY_LEFT_OUT = "1 item of the file cannot be read and is skipped; the first: line 2: the text is empty"


def test_what_of_a_dropped_file_is_left_out_is_told(client):
    dropped = {"file": ("more.txt", b"a first text\n   \na second\n")}
    assert client.post("/items", files=dropped).json() == {
        "new": 2, "known": 0,
        "failed": [
            {"name": "more.txt", "why": WHY_LEFT_OUT}
        ],
    }  # fmt: skip


def test_a_text_may_be_marked_all_over(tmp_path):
    text = " ".join(f"word{i}" for i in range(500))
    pool = LabelPool("text", [text], [""], {}, "texts.txt", 1)
    labelling = labelling_of(tmp_path, pool, task="tagging", classes=["a name of the usual length"])
    with TestClient(application(labelling, Admission(kinds=BODIES)), base_url="http://127.0.0.1") as client:
        label = json.dumps([[*word, "a name of the usual length"] for word in bounds_of(text).tolist()])
        item = client.get("/next").json()["items"][0]["item"]
        said = client.post("/answers", json={"answers": [answer(item, label)]}).json()
    labelling.session.store.close()
    assert said["new"] == [True]


def test_dropped_pictures_are_kept_by_content_and_what_is_none_is_told(pictures, tmp_path):
    files = [
        ("file", ("../../evil.png", picture(255))), ("file", ("again.png", picture(0))),
        ("file", ("page.html", b"<script>")), ("file", ("broken.jpg", b"none")),
    ]  # fmt: skip
    assert pictures.learning.wait(60)  # then it is known what each file of the pool holds
    told = pictures.post("/items", files=files).json()
    assert (told["new"], told["known"]) == (1, 1)
    assert [one["name"] for one in told["failed"]] == ["page.html", "broken.jpg"]
    assert sorted(path.suffix for path in (tmp_path / "labels.items").iterdir()) == [".png", ".png"]
    assert not (tmp_path.parent / "evil.png").exists()


def test_a_torn_picture_is_told_and_not_asked_again(pictures):
    torn = [item for item in asked(pictures, 9) if item["name"] == "torn.png"]
    for item in torn:
        assert "torn.png" in refused(pictures.get(f"/items/{item['item']}/content"), 422)
    assert "torn.png" not in [item["name"] for item in asked(pictures, 9)]


def test_a_sound_is_played_as_a_wave_file(tmp_path):
    soundfile.write(tmp_path / "a.flac", np.sin(np.arange(8000) / 10), 8000)
    labelling = labelling_of(tmp_path, LabelPool("sound", [tmp_path / "a.flac"], ["a.flac"]))
    with TestClient(application(labelling, Admission(kinds=BODIES)), base_url="http://127.0.0.1") as client:
        [item] = asked(client)
        shown = client.get(f"/items/{item['item']}/content")
    assert shown.headers["content-type"] == "audio/wav"
    samples, rate = soundfile.read(io.BytesIO(shown.content))
    assert (rate, round(len(samples) / rate, 1)) == (22050, 1.0)
    labelling.session.store.close()


# What it refuses -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/answers", "/undo", "/classes", "/items", "/model"])
def test_a_page_of_another_origin_may_send_nothing(client, labelling, path):
    for origin in ("https://evil.example", "null", "http://127.0.0.1:9999"):
        headers = {"origin": origin, "content-type": "multipart/form-data; boundary=x"}
        assert "Origin must be" in refused(client.post(path, headers=headers, content=b"--x--"), 403)
    assert labelling.session.store.log() == []


def test_another_name_of_the_host_is_refused(client):
    assert "Host must be" in refused(client.get("/state", headers={"host": "evil.example"}), 403)


def test_a_plain_form_of_another_page_is_refused(client):
    response = client.post("/answers", content=b"{}", headers={"content-type": "text/plain"})
    assert "Content-Type must be application/json or multipart/form-data" in refused(response, 415)


GOOD = "0" * 64
BAD_BODIES = [
    ("/answers", b"", 400, "the body must be JSON"),
    ("/answers", b"[" * 100_000, 400, "the body must be JSON"),
    ("/answers", b"\xff\xfe", 400, "the body must be JSON"),
    ("/answers", b"[]", 422, "the body is not as it must be"),
    ("/answers", json.dumps({"answers": []}).encode(), 422, "answers is not as it must be"),
    ("/answers", json.dumps({"answers": [answer(GOOD, "ants")] * 201}).encode(), 422, "answers is not as it must be"),
    ("/answers", json.dumps({"answers": [answer("../../etc/passwd", "ants")]}).encode(), 422, "answers.0.item"),
    ("/answers", json.dumps({"answers": [answer(GOOD, 1)]}).encode(), 422, "answers.0.label"),
    ("/answers", json.dumps({"answers": [answer(GOOD, "ants", "erase")]}).encode(), 422, "answers.0.act"),
    ("/answers", json.dumps({"answers": [answer(GOOD, "ants")], "more": 1}).encode(), 422, "more is not as it must be"),
    ("/answers", json.dumps({"answers": [answer(GOOD, "ants")]}).encode(), 404, "item must be one that this page"),
    ("/answers", json.dumps({"person": "(the pool)", "answers": [answer(GOOD, "a")]}).encode(), 422, "person must be"),
    ("/answers", json.dumps({"person": "a\x1b[2J", "answers": [answer(GOOD, "a")]}).encode(), 422, "person must be"),
    ("/answers", b" " * ((1 << 20) + 1), 413, "the body must have at most 1,048,576 bytes"),
    ("/undo", b'{"id": "x"}', 422, "id is not as it must be"),
    ("/classes", b'{"name": ""}', 422, "a class must have 1 to 100 characters"),
    ("/model", b'{"budget": "1min; rm"}', 422, "budget is not as it must be"),
    ("/model", b"{}", 409, "there must be at least 4 labels, got 0. Go on labelling."),
]


@pytest.mark.parametrize(("path", "body", "status", "text"), BAD_BODIES)
def test_what_is_no_body_is_refused_and_nothing_is_kept(client, labelling, path, body, status, text):
    response = client.post(path, content=body, headers={"content-type": "application/json"})
    assert text in refused(response, status)
    assert labelling.session.store.log() == []
    assert client.get("/health").json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/next?count=1000", 422, "count is not as it must be"),
        ("/next?file=/etc/passwd", 422, "file is not as it must be"),
        ("/search?text=", 422, "text must have a word to look for"),
        ("/search?text=" + "a" * 1001, 422, "text is not as it must be"),
        ("/alike", 422, "item must be that of one item"),
        ("/alike?item=../x", 422, "item is not as it must be"),
        (f"/items/{GOOD}/content", 404, "item must be one that this page showed"),
        ("/items/..%2f..%2fetc%2fpasswd/content", 404, ""),
        ("/static/..%2flabels.sqlite", 404, ""),
        ("/static/label.html", 404, "there is no such file here"),
        ("/report", 404, "there is no report yet"),
        ("/nothing", 404, "There are GET /state"),
    ],
)
def test_what_cannot_be_asked_is_refused(client, path, status, text):
    assert text in refused(client.get(path), status)


def test_a_form_that_is_none_is_refused(client):
    broken = {"content-type": "multipart/form-data; boundary=x"}
    assert refused(client.post("/items", content=b"nothing", headers=broken), 400)
    assert refused(client.post("/items", content=b"x", headers={"content-type": "multipart/form-data"}), 400)
    many = [("file", (f"{i}.txt", b"a")) for i in range(101)]
    assert "Too many files" in refused(client.post("/items", files=many), 400)


def test_a_full_disk_is_told_and_the_server_goes_on(client, labelling, monkeypatch):
    [item] = asked(client)
    store = labelling.session.store
    monkeypatch.setattr(store, "add", lambda *given: (_ for _ in ()).throw(MachineError("the disk is full. Free it.")))
    response = client.post("/answers", json={"answers": [answer(item["item"], "ants")]})
    assert refused(response, 507) == "the disk is full. Free it."
    monkeypatch.undo()
    assert client.post("/answers", json={"answers": [answer(item["item"], "ants")]}).status_code == 200


def test_a_store_that_is_locked_is_told_and_the_server_goes_on(tmp_path, client, labelling):
    [item] = asked(client)
    labelling.session.store._connection.execute("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(labelling.session.store.file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    body = {"answers": [answer(item["item"], "ants")]}
    assert "another program is writing to it" in refused(client.post("/answers", json=body), 507)
    other.execute("ROLLBACK")
    other.close()
    assert client.post("/answers", json=body).json()["new"] == [True]


def test_what_takes_too_long_is_given_up(labelling, monkeypatch):
    import threading

    go_on = threading.Event()
    monkeypatch.setattr(labelling.session, "next", lambda *given: go_on.wait(30) and [])
    with TestClient(application(labelling, seconds=0.05), base_url="http://127.0.0.1") as client:
        assert "within 0.05 seconds" in refused(client.get("/next"), 503)
        go_on.set()


def test_the_page_loads_nothing_from_elsewhere_and_holds_no_code_of_its_own(client):
    page = client.get("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http://" not in page.text and "https://" not in page.text
    assert " onclick" not in page.text and "<style" not in page.text and " style=" not in page.text
    for name in ("label.js", "label_views.js", "label.css", "try.css"):
        found = client.get(f"/static/{name}")
        assert found.status_code == 200
        assert "innerHTML" not in found.text
