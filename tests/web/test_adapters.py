"""Several language models on one base: each answers by its name, request by request, and the base is held once."""

from __future__ import annotations

import pytest
import torch
from starlette.testclient import TestClient

from handful.backbones import catalog
from handful.errors import BundleError
from handful.export.adapters import ready_together
from handful.export.kept_parts import Moved
from handful.export.language_model import LanguageModel
from handful.training.apply_delta import arrays_of
from handful.training.body import Body
from handful.training.tuners import tuner
from handful.web.completions import application

CHAT = "/v1/chat/completions"


def adapted(kind, seed):
    """A model whose upper block learned something of its own."""
    base = catalog.load("toy-language", "language")
    first = len(base.blocks) - 1
    body = Body(base, first)
    tuner(kind).prepare(body)
    draws = torch.Generator().manual_seed(seed)
    for weight in body.parameters():
        if weight.requires_grad:
            weight.data += 3 * torch.randn(weight.shape, generator=draws)
    moved = Moved(tuner(kind).name, first, arrays_of(tuner(kind).delta(body)))
    return LanguageModel(f"{kind} {seed}", "toy-language", base.fingerprint, moved, longest=12)


@pytest.fixture
def models():
    base = LanguageModel("base", "toy-language", catalog.load("toy-language", "language").fingerprint, longest=12)
    made = {"plain": base, "one": adapted("bias", 1), "two": adapted("bias", 2)}
    for model in made.values():
        model.ready().chat.stops = frozenset()
    return made


def asked(name, **more):
    return {"messages": [{"role": "user", "content": "hello"}], "temperature": 1, "seed": 3, "model": name, **more}


def test_each_request_is_answered_by_the_model_that_it_names(models):
    alone = {name: model.predict(["hello"], temperature=1, seed=3)[0] for name, model in models.items()}
    assert len(set(alone.values())) == 3
    ready_together(list(models.values()))
    for model in models.values():
        model.backbone.chat.stops = frozenset()
    app = application(models["plain"], "plain", more={name: models[name] for name in ("one", "two")})
    with TestClient(app, "http://127.0.0.1") as client:
        for name in ("one", "two", "plain", "two", "one"):
            found = client.post(CHAT, json=asked(name)).json()
            assert found["model"] == name
            assert found["choices"][0]["message"]["content"].strip() == alone[name]
            assert name in client.post(CHAT, json=asked(name, stream=True)).text
        assert client.post(CHAT, json=asked(None)).json()["model"] == "plain"
        assert [one["id"] for one in client.get("/v1/models").json()["data"]] == ["plain", "one", "two"]
        assert client.get("/v1/models/two").json()["id"] == "two"
        assert client.get("/health").json()["models"] == ["plain", "one", "two"]
        refused = client.post(CHAT, json=asked("three"))
        assert refused.status_code == 404
        assert refused.json()["error"]["message"] == (
            "model must be 'plain' or 'one' or 'two', got \"three\". Change it or leave it out."
        )


def test_what_did_not_move_is_in_memory_once(models):
    saved = ready_together(list(models.values()))
    base, one, two = (model.backbone for model in models.values())
    size = sum(w.numel() * w.element_size() for block in base.blocks for w in block.parameters())
    assert 1.5 * size < saved < 2 * size, "of two more models, all but their biases"
    places = [{w.data_ptr() for w in one.blocks[-1].parameters()} for one in (base, one, two)]
    assert places[0] & places[1] & places[2]
    assert one.blocks[0] is base.blocks[0]


def test_another_base_than_the_one_of_its_making_is_refused(models):
    models["one"].fingerprint = "other"
    with pytest.raises(BundleError, match="must be the one that the model was made with"):
        ready_together(list(models.values()))
