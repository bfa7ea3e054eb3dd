"""Code that lies beside a model never runs, whichever file asks for it, and nobody is asked whether it may."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from huggingface_hub import constants
from test_vision import SQUARE, saved
from tiny_text import add_sentence_transformers, bert, write_model

from handful.backbones import catalog, hub, language_folders
from handful.backbones.chat import Chat
from handful.backbones.digests import content_digest
from handful.backbones.toy_language import ToyLanguage, _tokenizer
from handful.data.conversations import Message
from handful.errors import BundleError, DataError, HandfulError, WeightsError
from handful.export.bundle import Bundle
from handful.export.language_model import LanguageModel
from handful.export.record import digest
from handful.features.view import View
from handful.tasks.classification import CLASSIFICATION

NEEDS_CODE = "it needs Python code of its own, which is never run"

# What a hostile file would do: leave a mark.
MODULE = """
from pathlib import Path
Path({mark!r}).touch()
import transformers
class Config(transformers.BertConfig):
    model_type = "evil"
class Model(transformers.BertModel):
    config_class = Config
class Tokenizer(transformers.PreTrainedTokenizerFast): ...
class Processor(transformers.ViTImageProcessor): ...
def generate(*args, **named): ...
"""

CLASSES = {
    "AutoConfig": "evil.Config", "AutoModel": "evil.Model", "AutoModelForCausalLM": "evil.Model",
    "AutoTokenizer": ["evil.Tokenizer", "evil.Tokenizer"], "AutoImageProcessor": "evil.Processor",
    "AutoProcessor": "evil.Processor",
}  # fmt: skip


@pytest.fixture(autouse=True)
def nobody_is_asked(monkeypatch):
    """Neither the user at the keyboard nor anybody on the network."""
    monkeypatch.setattr("builtins.input", lambda *asked: pytest.fail("it asks whether code may run"))
    monkeypatch.setattr(socket.socket, "connect", lambda *asked: pytest.fail("it asks somebody on the network"))


@pytest.fixture
def mark(tmp_path) -> Path:
    return tmp_path / "the code ran"


def armed(folder: Path, mark: Path, *files: str, **changed: object) -> Path:
    """A model with Python files beside it, and settings that ask for them."""
    for name in ("evil.py", "custom_generate/generate.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(MODULE.format(mark=str(mark)))
    for name in files:
        settings = json.loads((folder / name).read_text()) if (folder / name).exists() else {}
        (folder / name).write_text(json.dumps({**settings, "auto_map": CLASSES, **changed}))
    return folder


def refusal(folder: Path, modality: str) -> str:
    with pytest.raises(WeightsError) as error:
        catalog.load(str(folder), modality)
    return str(error.value)


def language_folder(folder: Path) -> Path:
    toy = ToyLanguage()
    transformers.LlamaForCausalLM(toy.config).save_pretrained(folder)
    _tokenizer(None).save_pretrained(folder)
    return folder


MADE = {
    "text": lambda folder: write_model(bert(), folder),
    "image": lambda folder: (saved(folder, "vit"), SQUARE.save_pretrained(folder)) and folder,
    "language": language_folder,
}
BESIDE = {"text": "tokenizer_config.json", "image": "preprocessor_config.json", "language": "tokenizer_config.json"}


@pytest.mark.parametrize("modality", MADE)
def test_a_model_of_a_kind_that_only_its_own_code_knows_is_refused(tmp_path, mark, modality):
    folder = armed(MADE[modality](tmp_path / "model"), mark, "config.json", model_type="evil", architectures=["Model"])
    assert NEEDS_CODE in refusal(folder, modality)
    assert "trust_remote_code" not in refusal(folder, modality)
    assert not mark.exists()


@pytest.mark.parametrize("modality", MADE)
def test_a_model_of_a_known_kind_is_loaded_without_the_code_that_lies_beside_it(tmp_path, mark, modality):
    folder = armed(MADE[modality](tmp_path / "model"), mark, "config.json", BESIDE[modality])
    assert catalog.load(str(folder), modality).modality == modality
    assert not mark.exists()


@pytest.mark.parametrize("modality", MADE)
def test_a_tokenizer_or_processor_that_only_its_own_code_knows_is_refused_or_done_without(tmp_path, mark, modality):
    kinds = {"tokenizer_class": "Evil", "image_processor_type": "Evil", "processor_class": "Evil"}
    folder = armed(MADE[modality](tmp_path / "model"), mark, BESIDE[modality], **kinds)
    try:
        catalog.load(str(folder), modality)
    except WeightsError as error:
        assert "trust_remote_code" not in str(error)
    assert not mark.exists()


def test_code_in_a_sub_folder_and_in_the_modules_of_sentence_transformers_is_not_run(tmp_path, mark):
    folder = write_model(bert(), tmp_path / "model")
    add_sentence_transformers(folder, {"pooling_mode": "cls"}, 7)
    modules = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(
        json.dumps([*modules, {"idx": 2, "name": "2", "path": "", "type": "evil.Code"}])
    )
    assert catalog.load(str(armed(folder, mark, "config.json")), "text").blocks
    assert not mark.exists()


@pytest.mark.parametrize("part", ["../elsewhere", "/elsewhere", "a/../../elsewhere", "..\\elsewhere", "C:elsewhere"])
def test_modules_may_not_lie_outside_the_folder(tmp_path, part):
    write_model(bert(), tmp_path / "elsewhere")
    folder = write_model(bert(), tmp_path / "model")
    modules = [{"idx": 0, "name": "0", "path": part, "type": "sentence_transformers.models.Transformer"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    assert f"its modules.json names a folder outside of it ({part})" in refusal(folder, "text")


@pytest.mark.parametrize("modality", MADE)
def test_weights_that_are_a_pickle_are_not_read(tmp_path, mark, modality):
    class Evil:
        def __reduce__(self):
            return Path.touch, (mark,)

    folder = MADE[modality](tmp_path / "model")
    (folder / "model.safetensors").unlink()
    torch.save({"weight": Evil()}, folder / "pytorch_model.bin")
    assert "no file named model.safetensors" in refusal(folder, modality)
    assert not mark.exists()


@pytest.mark.parametrize("modality", MADE)
@pytest.mark.parametrize("where", [{}, {"text_config": None}])
def test_compiled_code_from_a_hub_is_not_fetched(tmp_path, modality, where):
    folder = MADE[modality](tmp_path / "model")
    settings = json.loads((folder / "config.json").read_text())
    asked = {"_attn_implementation": "evil/kernel"}
    (folder / "config.json").write_text(json.dumps({**settings, **({"text_config": asked} if where else asked)}))
    said = "its config.json asks for code from a hub (_attn_implementation 'evil/kernel'), which is never run"
    assert said in refusal(folder, modality)


def test_a_name_of_attention_that_transformers_brings_itself_is_fine(tmp_path):
    folder = MADE["text"](tmp_path / "model")
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "_attn_implementation": "eager", "note": "a/b"}))
    assert catalog.load(str(folder), "text").blocks


@pytest.mark.parametrize("modality", MADE)
@pytest.mark.parametrize("whole", [True, False])
def test_an_adapter_does_not_bring_another_model_in(tmp_path, modality, whole):
    folder = MADE[modality](tmp_path / "model")
    (folder / "adapter_config.json").write_text(
        json.dumps({"base_model_name_or_path": "evil/model", "peft_type": "LORA"})
    )
    if not whole:
        (folder / "config.json").unlink()
    assert "it holds an adapter (adapter_config.json), which may name any other model to be loaded" in refusal(
        folder, modality
    )


@pytest.mark.parametrize("modality", MADE)
@pytest.mark.parametrize(
    "change",
    [
        {"num_attention_heads": 0}, {"hidden_size": -1}, {"hidden_size": "wide"}, {"num_hidden_layers": 10**9},
        {"vocab_size": None}, {"model_type": 3}, {"model_type": "nothing-known"},
        {"quantization_config": {"quant_method": "x"}}, {"dtype": "torch.evil"}, {"architectures": 3},
        {"_attn_implementation": "nothing-known"}, {"rope_parameters": 3}, {"text_config": {"n_layers": 10**9}},
    ],
)  # fmt: skip
def test_settings_that_no_model_has_end_in_one_sentence_or_in_a_model(tmp_path, modality, change):
    folder = MADE[modality](tmp_path / "model")
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, **change}))
    try:
        catalog.load(str(folder), modality)
    except WeightsError as error:
        assert str(folder) in str(error)


@pytest.mark.parametrize("content", ["", "{", "[]", "3", '"a"', "[" * 100_000, '{"a": ' * 500 + "1" + "}" * 500])
@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json", "modules.json"])
def test_files_that_hold_something_else_end_in_one_sentence_or_in_a_model(tmp_path, name, content):
    folder = write_model(bert(), tmp_path / "model")
    (folder / name).write_text(content)
    try:
        catalog.load(str(folder), "text")
    except WeightsError as error:
        assert str(folder) in str(error)


# Chat templates ------------------------------------------------------------------------------------------------------


def harm(mark: Path) -> list[str]:
    """What is known to lead out of a template that is not run in a sandbox."""
    deed = f"__import__('pathlib').Path({str(mark)!r}).touch()"
    return [
        "{{ cycler.__init__.__globals__.os.system('touch \"" + str(mark) + "\"') }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.__class__.__base__.__subclasses__() }}",
        '{% set x = namespace.__init__.__globals__ %}{{ x.__builtins__.eval("' + deed + '") }}',
        "{{ lipsum.__globals__['os'].popen('touch \"" + str(mark) + "\"').read() }}",
        "{{ raise_exception.__globals__['__builtins__']['eval'](\"" + deed + '") }}',
        "{{ strftime_now.__globals__ }}",
        "{{ messages.append(1) }}",
        "{% include '/etc/passwd' %}",
        "{% for i in range(10 ** 9) %}x{% endfor %}",
        "{{ 1 / 0 }}",
        "{{ messages[99]['content'] + 1 }}",
        "{{ messages | batch(0) | list }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{{ '%s %s' % 1 }}",
        "{{",
    ]


@pytest.mark.parametrize("number", range(16))
def test_a_hostile_chat_template_does_no_harm_and_is_refused_in_one_sentence(mark, number):
    template = harm(mark)[number]
    try:
        chat = Chat(_tokenizer(template))
        written = chat.prompt([Message("user", "a")])
    except DataError as error:
        assert str(error).startswith(
            "a conversation must be one that the chat template of the model can write, got user"
        )
        assert "\n" not in str(error)
    else:
        assert "subprocess" not in written and "root:" not in written
    assert not mark.exists()


# Folders and hubs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("modality", MADE)
def test_a_folder_asks_no_hub_for_what_is_not_in_it(tmp_path, modality):
    folder = MADE[modality](tmp_path / "model")
    for name in ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json", "generation_config.json"):
        (folder / name).unlink(missing_ok=True)
    try:
        catalog.load(str(folder), modality)
    except WeightsError as error:
        assert str(folder) in str(error)


def test_what_was_never_fetched_is_not_there():
    assert hub.fetched("no-such/model-of-handful") is None


# Bundles -------------------------------------------------------------------------------------------------------------


def bundle(name: str, folder: Path, *, merge: bool) -> Path:
    """A saved model that reads the encoder in a folder, under a name of our choice, or carries it along."""
    found = catalog.load(str(folder), "text")
    seen = found.encode(["a", "is my parcel"], [3])[3]
    Bundle(
        CLASSIFICATION, "text", ("ants", "bees"), View(((name, 3),)), {name: found.fingerprint}, "ridge",
        np.ones((seen.shape[1], 2), np.float32), np.zeros(2, np.float32), witness=seen,
    ).save(folder.parent / "saved", merge=merge)  # fmt: skip
    return folder.parent / "saved"


def signed_again(saved: Path) -> Path:
    """Whatever lies in the carried folder now is what the record says."""
    record = json.loads((saved / "bundle.json").read_text())
    files = [file for file in (saved / "backbones/0").rglob("*") if file.is_file()]
    (name,) = record["carried"]
    record["carried"] = {name: {file.relative_to(saved).as_posix(): content_digest(file) for file in files}}
    del record["sha256"]
    record["sha256"] = digest(record)
    (saved / "bundle.json").write_text(json.dumps(record))
    return saved


def test_a_bundle_that_carries_code_is_refused(tmp_path, mark):
    folder = MADE["text"](tmp_path / "model")
    saved_bundle = bundle(str(folder), folder, merge=True)
    armed(saved_bundle / "backbones/0", mark, "config.json", "tokenizer_config.json")
    with pytest.raises(BundleError, match="must carry settings, vocabularies and .safetensors files .* got .*evil.py"):
        Bundle.load(signed_again(saved_bundle)).predict(["is my parcel"])
    assert not mark.exists()


def test_a_bundle_whose_settings_name_code_is_used_without_it(tmp_path, mark):
    folder = MADE["text"](tmp_path / "model")
    saved_bundle = bundle(str(folder), folder, merge=True)
    armed(saved_bundle / "backbones/0", mark, "config.json", "tokenizer_config.json")
    for code in (saved_bundle / "backbones/0").rglob("*.py"):
        code.unlink()
    with pytest.raises(BundleError, match="must be the one that the model was made with"):  # other settings
        Bundle.load(signed_again(saved_bundle)).predict(["is my parcel"])
    assert not mark.exists()


def test_a_bundle_that_needs_its_own_code_is_refused(tmp_path, mark):
    folder = MADE["text"](tmp_path / "model")
    saved_bundle = bundle(str(folder), folder, merge=True)
    armed(saved_bundle / "backbones/0", mark, "config.json", model_type="evil", architectures=["Model"])
    for code in (saved_bundle / "backbones/0").rglob("*.py"):
        code.unlink()
    with pytest.raises(HandfulError, match=NEEDS_CODE):
        Bundle.load(signed_again(saved_bundle)).predict(["is my parcel"])
    assert not mark.exists()


def test_a_bundle_asks_no_hub_and_says_how_to_get_what_it_names(tmp_path):
    saved_bundle = bundle("no-such/model-of-handful", MADE["text"](tmp_path / "model"), merge=False)
    with pytest.raises(BundleError) as error:
        Bundle.load(saved_bundle).predict(["a"])
    assert str(error.value) == (
        "backbone 'no-such/model-of-handful' must have been fetched before, since a saved model asks no hub on its "
        "own. If you trust it, get it with `hf download no-such/model-of-handful`."
    )
    speaker = LanguageModel("base", "no-such/model-of-handful", "0" * 16)
    with pytest.raises(BundleError, match="a saved model asks no hub on its own"):
        speaker.predict(["a"])


def test_a_bundle_uses_what_was_fetched_from_a_hub_before(tmp_path, monkeypatch):
    folder = tmp_path / "cache/models--owner--model/snapshots" / ("0" * 40)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    (folder.parents[1] / "refs").mkdir(parents=True)
    (folder.parents[1] / "refs/main").write_text("0" * 40)
    MADE["text"](folder)
    assert len(Bundle.load(bundle("owner/model", folder, merge=False)).predict(["a"])) == 1


@pytest.mark.parametrize("name", ["//evil/share/model", "\\\\evil\\share\\model", "/\\evil/share"])
def test_a_bundle_asks_no_other_machine_for_a_folder(tmp_path, name, monkeypatch):
    saved_bundle = bundle(name, MADE["text"](tmp_path / "model"), merge=False)
    monkeypatch.setattr(Path, "is_dir", lambda place: pytest.fail(f"it asks for {place}"))
    with pytest.raises(BundleError, match="it lies on another machine, and a saved model asks none on its own"):
        Bundle.load(saved_bundle).predict(["a"])


@pytest.mark.parametrize(
    "name", ["~nobody-of-this-name/model", "a" * 1000, "a/" * 100, "..", "/", "owner/../model", "%"]
)
def test_a_name_that_is_no_path_is_one_sentence(tmp_path, name):
    saved_bundle = bundle(name, MADE["text"](tmp_path / "model"), merge=False)
    with pytest.raises(HandfulError) as error:
        Bundle.load(saved_bundle).predict(["a"])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"GGUF", b"GGUF" + bytes(40), b"GGUF\x03" + b"\xff" * 64, b"nonsense" * 9])
def test_a_gguf_file_that_is_none_is_one_sentence_and_code_beside_it_is_not_run(tmp_path, mark, content):
    (tmp_path / "wheel").mkdir()
    file = armed(tmp_path / "wheel", mark, "config.json", "tokenizer_config.json", model_type="evil") / "model.gguf"
    file.write_bytes(content)
    with pytest.raises(WeightsError):
        language_folders.convert("smollm2-135m", {"model.gguf": file}, tmp_path / "made")
    assert not mark.exists()
