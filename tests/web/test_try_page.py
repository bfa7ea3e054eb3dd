"""The page to try a model, in a real browser: typed, dropped and keyed in, at the width of a phone too."""

from __future__ import annotations

import io
import shutil
import signal
import threading
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from barriers import barriers
from handful import api
from handful.run import opened
from handful.web.admission import Admission
from handful.web.asked_items import BODIES
from handful.web.improving import Improvement, Improver
from handful.web.item_answers import ServedModel
from handful.web.item_service import application
from handful.web.serving import Server, take_port
from handful.web.tokens import Token

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs the browser chromium")

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-sync",
    "--no-first-run",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)


@pytest.fixture(scope="module")
def page():
    """A page of a browser, as wide as a phone, and what went wrong in it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        opened = browser.new_page(viewport={"width": 390, "height": 844})
        opened.problems = []
        opened.on("console", lambda message: opened.problems.append(message.text))
        opened.on("pageerror", lambda error: opened.problems.append(str(error)))
        yield opened
        browser.close()


@pytest.fixture
def address(signals, tmp_path):
    """Where a model of texts and one of pictures answer; that of texts learns from corrections."""
    texts = [f"{word} {i}" for word in ("hill", "hive") for i in range(8)]
    insects = api.tune(api.load(texts, labels=["ants"] * 8 + ["bees"] * 8), backbone="toy-text", budget=0)
    rng = np.random.default_rng(0)
    pixels = [np.clip(40 + 150 * k + rng.integers(0, 40, (16, 16, 3)), 0, 255).astype(np.uint8) for k in (0, 1) * 6]
    light = api.tune(api.load(pixels, labels=["dark", "light"] * 6), backbone="toy-image", budget=0)
    insects.save(tmp_path / "insects")
    models = [ServedModel("insects", insects.bundle, dict(enumerate(texts))), ServedModel("photos", light.bundle)]
    improver = Improver(models[0], tmp_path / "insects", Improvement(learn=True))
    with serving(application(models, Admission(kinds=BODIES), improvers=[improver])) as where:
        yield where


@contextmanager
def serving(app):
    """An application at a port of its own."""
    taken = take_port("127.0.0.1", 0)
    taken.listen()
    server = Server(app)
    thread = threading.Thread(target=server.run, args=([taken],))
    thread.start()
    yield f"http://127.0.0.1:{taken.getsockname()[1]}/"
    server.handle_exit(signal.SIGTERM, None)
    thread.join()


def picture(level: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((16, 16, 3), level, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def test_a_text_is_answered_with_the_keyboard_alone_and_a_picture_by_choosing_it(page, address):
    page.goto(address)
    page.locator("#texts").wait_for()
    page.focus("#first")
    page.keyboard.type("hive <b>1</b>")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")  # say why
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator("#result").wait_for()
    assert page.inner_text("#answer") == "bees"
    assert "hive: without it" in page.inner_text("#parts")
    assert page.locator("#rows li").count() == 3
    assert page.evaluate("document.documentElement.scrollWidth") <= 390

    page.select_option("#model", "photos")
    assert page.locator("#result").is_hidden()
    page.set_input_files("#file", {"name": "a.png", "mimeType": "image/png", "buffer": picture(230)})
    page.locator("#seen img").wait_for()
    page.locator("#result").wait_for()
    assert page.inner_text("#answer") == "light"

    page.set_input_files("#file", {"name": "b.png", "mimeType": "image/png", "buffer": b"none"})
    page.get_by_text("the picture is not a picture in a known format").wait_for()
    assert page.problems == []


def test_what_models_of_parts_see_is_drawn_over_the_picture(page, part_runs, signals):
    files = {"defects": "defects/0.png", "masks": "masks/images/0.png", "boxes": "boxes/images/0.png"}
    served = [ServedModel(kind, opened(part_runs / f"run_{kind}")) for kind in files]
    with serving(application(served, Admission(kinds=BODIES))) as where:
        page.goto(where)
        page.locator("#files").wait_for()
        for kind, drawn in (("defects", "img:nth-child(2)"), ("masks", "canvas"), ("boxes", "svg rect")):
            page.select_option("#model", kind)
            assert page.locator("#correct").is_hidden()
            page.set_input_files("#file", part_runs / files[kind])
            page.locator(f".stage {drawn}").first.wait_for()
            assert page.locator("#seen img").count() == 0
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
            assert barriers(page) == []
        assert page.locator(".stage rect").count() == int(page.inner_text("#answer").split()[0])
        page.get_by_text("show the picture alone").click()
        assert page.locator(".stage svg").is_hidden()
        page.focus("#ask")
        page.keyboard.press("Enter")  # the same picture once more
        page.wait_for_function("() => document.querySelectorAll('.stage svg').length === 1")
    assert page.problems == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_answer_is_corrected_with_the_keyboard_alone_on_a_page_that_is_four_times_as_large(page, address, scheme):
    """1,280 pixels at 400 % are 320."""
    page.set_viewport_size({"width": 320, "height": 256})
    page.emulate_media(color_scheme=scheme)
    page.goto(address)
    page.locator("#texts").wait_for()
    page.focus("#first")
    page.keyboard.type("hive 1")
    page.focus("#ask")
    page.keyboard.press("Enter")
    page.locator("#correct").wait_for()
    assert "(version 1)" in page.inner_text("#sure")
    page.focus("#right")
    page.keyboard.type("wasps")
    page.keyboard.press("Enter")
    page.locator("#told.refused").wait_for()
    assert 'label must be one of "ants" and "bees", got \'wasps\'.' in page.inner_text("#told")
    page.keyboard.press("Tab")
    if not page.locator("#new").evaluate("box => box === document.activeElement"):  # the button stands between
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.focus("#send")
    page.keyboard.press("Enter")
    page.get_by_text("Learned at once: the answer is now wasps").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert page.evaluate(CONTRAST, "#told") >= 4.5
    assert page.evaluate(CONTRAST, "#send") >= 4.5
    page.get_by_text("Version 1.1 (learned: wasps").wait_for()
    assert barriers(page) == []
    with page.expect_response("**/predict"):
        page.locator("#ask").click()
    page.wait_for_function("() => document.querySelector('#sure').textContent.includes('(version 1.1)')")
    assert page.inner_text("#answer") == "wasps"
    assert [told for told in page.problems if "422" not in told] == []
    page.problems.clear()
    page.set_viewport_size({"width": 390, "height": 844})


CONTRAST = """(name) => {
  const place = document.querySelector(name), style = getComputedStyle(place);
  const numbers = (text) => text.match(/[0-9.]+/g).map(Number);
  let behind = place;
  while (behind && (numbers(getComputedStyle(behind).backgroundColor)[3] ?? 1) === 0) behind = behind.parentElement;
  const light = (color) => numbers(color).slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const [a, b] = [light(style.color), light(getComputedStyle(behind || document.body).backgroundColor)].sort();
  return (b + 0.05) / (a + 0.05);
}"""
"""How much a text stands out from what is behind it, as WCAG measures it; 4.5 can be read."""


def test_a_browser_signs_in_by_typing_the_token_or_by_the_address(page, address, tmp_path):
    texts = [f"{word} {i}" for word in ("hill", "hive") for i in range(8)]
    run = api.tune(api.load(texts, labels=["ants"] * 8 + ["bees"] * 8), backbone="toy-text", budget=0)
    app = application([ServedModel("insects", run.bundle)], Admission(kinds=BODIES, token=Token("a-token-to-be-typed")))
    with serving(app) as where:
        page.goto(where)
        page.locator("#token").wait_for()
        page.keyboard.type("a-wrong-one")
        page.keyboard.press("Enter")
        page.get_by_text("the token must be that of this server, got another. Type it again.").wait_for()
        page.fill("#token", "a-token-to-be-typed")
        page.keyboard.press("Enter")
        page.locator("#texts").wait_for()
        page.context.clear_cookies()
        page.goto(where + "?again#token=a-token-to-be-typed")
        page.locator("#texts").wait_for()
        assert "token" not in page.url
        assert page.evaluate("document.cookie") == ""
    assert [told for told in page.problems if "401" not in told] == []
    page.problems.clear()


def test_a_sound_is_recorded_with_the_keyboard_alone(page, clips, signals):
    """The browser's own tone stands in for a microphone; half a second of it is what is recorded."""
    beeps = api.tune(clips(), backbone="toy-sound", budget=0)
    with serving(application([ServedModel("beeps", beeps.bundle)], Admission(kinds=BODIES))) as where:
        page.goto(where)
        page.locator("#record").wait_for()
        page.focus("#record")
        page.keyboard.press("Enter")
        page.get_by_text("Stop").wait_for()
        page.wait_for_timeout(500)
        page.keyboard.press("Enter")
        page.locator("#result").wait_for()
        assert page.inner_text("#answer") in ("high", "low")
    page.problems.clear()
