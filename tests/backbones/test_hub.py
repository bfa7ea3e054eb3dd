"""The hub without a network: one question, one sentence, and what was fetched before still loads."""

import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from huggingface_hub import constants
from numpy.testing import assert_array_equal
from test_vision import SQUARE, photographs, saved
from tiny_text import TEXTS, add_sentence_transformers, bert, write_model

from handful.backbones import catalog
from handful.backbones.hub import located
from handful.errors import WeightsError


@pytest.fixture
def fetched(tmp_path, monkeypatch):
    """Where a file of owner/model lies once it was fetched, and no hub to fetch another from."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # the discard port: nobody listens
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("it waits to try again"))
    refs = tmp_path / "models--owner--model" / "refs"
    refs.mkdir(parents=True)
    (refs / "main").write_text("0" * 40)
    return refs.parent / "snapshots" / ("0" * 40)


@pytest.mark.parametrize(
    ("modality", "kind"), [("text", "a text encoder"), ("image", "a vision model with its image processor")]
)
def test_a_name_that_cannot_be_looked_up_fails_at_once_and_in_one_sentence(fetched, modality, kind, capfd):
    with pytest.raises(WeightsError) as caught:
        catalog.load("no-such/model", modality)
    assert str(caught.value) == (
        f"backbone 'no-such/model' must be {kind} that transformers can load, from a folder or by its Hugging Face id, "
        "got: no such folder, no answer from http://127.0.0.1:9, and nothing fetched from it before. "
        "Check the name and the network, or choose a name from `handful models list`."
    )
    assert capfd.readouterr().err == ""


def test_a_text_encoder_that_was_fetched_before_loads_without_a_network(fetched, tmp_path):
    for folder in (fetched, tmp_path / "model"):
        add_sentence_transformers(write_model(bert(), folder), {"pooling_mode": "cls"}, 7)
    found, same = (catalog.load(name, "text") for name in ("owner/model", str(tmp_path / "model")))
    assert found.fingerprint == same.fingerprint
    assert_array_equal(found.encode(TEXTS, [3])[3], same.encode(TEXTS, [3])[3])


def test_a_vision_model_that_was_fetched_before_loads_without_a_network(fetched):
    saved(fetched, "vit")
    SQUARE.save_pretrained(fetched)
    assert len(catalog.load("owner/model", "image").prepare(photographs())) == 3


@pytest.mark.parametrize("status", [200, 404, 503])
def test_a_hub_that_answers_is_asked_for_the_model(status, monkeypatch):
    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self):  # noqa: N802
            self.send_response(status)
            self.end_headers()

        def log_message(self, *told):
            pass

    server = HTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    assert located("owner/model") == "owner/model"
    thread.join()
    server.server_close()


def test_a_folder_and_the_offline_switch_ask_nobody(fetched, monkeypatch, tmp_path):
    monkeypatch.setattr("handful.backbones.hub.urlopen", lambda *asked, **options: pytest.fail("it asks"))
    assert located(str(tmp_path)) == str(tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(OSError, match="nothing fetched from it before"):
        located("owner/model")
