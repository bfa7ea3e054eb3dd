"""The page of a model answers in a browser, without a server, what the model answers."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from exportable import clips, image, model, pictures, speech, text, tokenizer
from handful.errors import MachineError, OptionError
from handful.export.onnx import web_runtime
from handful.export.onnx.exporting import ExportOptions, KnownRows, export_onnx
from handful.export.onnx.web import word_pieces, write_page

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
# Milliseconds; a second is enough, but not on a busy machine.
PATIENCE = 240_000
WORDS = ["The parcel, is LATE!", "Café  refund's 你好 card", "", "unknownunknown hello", "a " * 60]


@pytest.fixture(scope="module")
def runtime():
    try:
        return web_runtime.runtime_files(None)
    except MachineError as error:
        pytest.skip(f"no runtime for pages here: {error}")


@pytest.fixture(scope="module")
def driver():
    """What starts browsers; there may be one at a time."""
    if CHROMIUM is None:
        pytest.skip("no browser is installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def browser(driver):
    started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
    yield started
    started.close()


@pytest.fixture(scope="module")
def devices(driver):
    """A browser with a camera and a microphone that show and play what it makes up, and that asks nobody."""
    fake = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *fake])
    yield started
    started.close()


def opened(browser, folder, made, runtime):
    """The page of a model, ready to answer, in a browser without a network."""
    export_onnx(made, folder / "onnx", KnownRows(), ExportOptions())
    write_page(folder / "onnx", folder / "page", runtime)
    page = browser.new_context(offline=True).new_page()
    page.set_default_timeout(PATIENCE)
    page.goto((folder / "page" / "index.html").as_uri(), wait_until="commit")
    page.wait_for_selector("#answer")
    page.wait_for_function("() => document.getElementById('answer').textContent !== 'loading'")
    assert page.text_content("#answer") == "ready"
    return page


DROP = """async ([name, content]) => {
  const moved = new DataTransfer();
  moved.items.add(new File([bytes(content)], name));
  document.getElementById('drop').dispatchEvent(new DragEvent('drop', { dataTransfer: moved, bubbles: true }));
}"""
READ = "([name, content]) => answerFile(new File([bytes(content)], name))"


def content(file: Path):
    return [file.name, base64.b64encode(file.read_bytes()).decode()]


@pytest.mark.slow
def test_a_dropped_picture_is_answered_without_a_server(browser, runtime, tmp_path):
    made = model([image()], 8)
    page = opened(browser, tmp_path, made, runtime)
    for i, pixels in enumerate(pictures()):
        file = tmp_path / f"{i}.png"
        Image.fromarray(pixels).save(file)
        said = page.evaluate(READ, content(file))
        np.testing.assert_allclose(said["outputs"], made.predict_proba([file])[0], atol=2e-3)
    page.evaluate("document.getElementById('answer').textContent = ''")
    page.evaluate(DROP, content(tmp_path / "2.png"))
    page.wait_for_function("() => document.getElementById('answer').textContent !== ''")
    assert page.text_content("#answer") == made.predict([tmp_path / "2.png"])[0]
    (tmp_path / "x.png").write_text("no picture")
    page.evaluate(READ, content(tmp_path / "x.png"))
    assert page.text_content("#answer").startswith("x.png cannot be read (")


@pytest.mark.slow
def test_a_sound_is_heard_in_the_page(browser, runtime, tmp_path):
    made = model([speech()], 6)
    page = opened(browser, tmp_path, made, runtime)
    samples, rate = clips()[2]
    soundfile.write(tmp_path / "a.wav", samples, rate)
    said = page.evaluate(READ, content(tmp_path / "a.wav"))
    np.testing.assert_allclose(said["outputs"], made.predict_proba([tmp_path / "a.wav"])[0], atol=2e-3)


@pytest.mark.slow
def test_what_a_camera_sees_is_answered_as_long_as_it_looks(devices, runtime, tmp_path):
    made = model([image()], 8)
    page = opened(devices, tmp_path, made, runtime)
    page.evaluate("document.getElementById('answer').textContent = ''")
    page.click("text=Use the camera")
    page.wait_for_function("document.querySelectorAll('#numbers tr').length > 0")
    assert page.text_content("#answer") in made.labels
    # Another answer comes of itself, and none once another file takes the place of the camera.
    page.evaluate("document.getElementById('answer').textContent = ''")
    page.wait_for_function("document.getElementById('answer').textContent !== ''")
    file = tmp_path / "a.png"
    Image.fromarray(pictures()[1]).save(file)
    page.evaluate(READ, content(file))
    assert page.query_selector("video") is None


@pytest.mark.slow
def test_what_a_microphone_hears_is_answered(devices, runtime, tmp_path):
    made = model([speech()], 6)
    page = opened(devices, tmp_path, made, runtime)
    page.click("text=Use the microphone")
    page.wait_for_function("document.querySelectorAll('#numbers tr').length > 0")
    assert page.text_content("#answer") in made.labels


@pytest.mark.slow
def test_texts_are_split_as_the_tokenizer_splits_them(browser, runtime, tmp_path):
    made = model([text()], 2)
    page = opened(browser, tmp_path, made, runtime)
    backbone = made.backbone("tiny-text")
    for words in WORDS:
        assert page.evaluate("(text) => idsOf(text, ABOUT.inputs[0])", words) == backbone.tokenise([words])[0]
        said = page.evaluate("(text) => answer(textFeed([text]))", words)
        np.testing.assert_allclose(said["outputs"], made.answer([words])[0][0], atol=1e-4)


def test_a_tokenizer_that_no_page_has_is_refused_by_name():
    other = json.loads(tokenizer().to_str())
    other["model"] = {"type": "Unigram"}
    with pytest.raises(OptionError) as error:
        word_pieces("tokenizer.json", json.dumps(other))
    assert str(error.value) == (
        "--format web takes texts whose tokenizer is that of BERT (minilm-l6, bge-small-en), got Unigram in "
        "tokenizer.json. Use --format onnx."
    )


def test_a_folder_that_lacks_the_runtime_is_refused(tmp_path):
    with pytest.raises(OptionError) as error:
        web_runtime.runtime_files(str(tmp_path))
    assert str(error.value) == (
        "--runtime must be the folder dist of onnxruntime-web, got one without ort.wasm.min.js, "
        "ort-wasm-simd-threaded.mjs, ort-wasm-simd-threaded.wasm. Name it, or leave it out."
    )


def test_another_package_than_the_known_one_is_refused():
    with pytest.raises(MachineError) as error:
        web_runtime.unpacked(b"something else")
    assert str(error.value).startswith("npm must give onnxruntime-web 1.30.0 with the hash that handful knows, got")


def test_without_npm_the_folder_can_be_named(tmp_path, monkeypatch):
    monkeypatch.setattr(web_runtime.shutil, "which", lambda name: None)
    monkeypatch.setattr(web_runtime, "cache_folder", lambda: tmp_path)
    with pytest.raises(MachineError) as error:
        web_runtime.runtime_files(None)
    assert str(error.value) == (
        "--format web needs onnxruntime-web 1.30.0, which npm fetches, but there is no npm. Install it, or name the "
        "folder dist of the package with --runtime."
    )
