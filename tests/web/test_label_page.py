"""The loop in a real browser, by keyboard: labels, a kill, a model that answers, is corrected, and taken back."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from barriers import barriers
from handful.answer_store import AnswerStore
from handful.data.readers import load
from handful.data.spans import labels_in_spans
from label_servers import Server
from labelled_pools import kind_of_text, texts

CHROMIUM = shutil.which("chromium")
pytestmark = [pytest.mark.skipif(CHROMIUM is None, reason="needs the browser chromium"), pytest.mark.slow]

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run")
KEYS = {"ants": "1", "bees": "2", "wasps": "3"}
PATIENCE = 120_000


@pytest.fixture(scope="module")
def page():
    """A page of a browser, and what went wrong in it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        opened = browser.new_page(viewport={"width": 1280, "height": 900})
        opened.set_default_timeout(PATIENCE)
        opened.problems = []
        opened.on("pageerror", lambda error: opened.problems.append(str(error)))
        yield opened
        browser.close()


def label(page, count: int, key=lambda page: KEYS[kind_of_text(page.inner_text("#seen p"))]) -> None:
    """Label what is shown, by its key."""
    for _ in range(count):
        shown = page.evaluate("current.item")
        page.keyboard.press(key(page))
        page.wait_for_function("old => current && current.item !== old", arg=shown)


def saved(page, count: int) -> None:
    page.wait_for_function("n => state && state.counts.labelled === n && !waiting", arg=count)


DIGITS = ("zero", "one", "two")


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Forty pictures of zeros, ones and twos, written by hand, and one of a three; name of a file → digit."""
    every = load_digits()
    folder = tmp_path_factory.mktemp("digits")
    (folder / "photos").mkdir()
    chosen = np.flatnonzero(every.target < 3)[:40]
    of_file = {}
    for at in chosen:
        of_file[f"{at}.png"] = DIGITS[every.target[at]]
        Image.fromarray((every.images[at] * 15).astype(np.uint8)).save(folder / "photos" / f"{at}.png")
    three = int(np.flatnonzero(every.target == 3)[0])
    Image.fromarray((every.images[three] * 15).astype(np.uint8)).save(folder / "three.png")
    return folder, of_file


def test_thirty_pictures_by_keyboard_a_kill_a_model_that_answers_is_corrected_and_taken_back(page, digits, signals):
    folder, of_file = digits

    def key(page):
        return str(1 + DIGITS.index(of_file[page.inner_text("#what").rpartition("/")[2]]))

    server = Server(folder / "photos", cwd=folder, backbone="toy-image")
    try:
        page.goto(server.address)
        page.locator("#name").wait_for()
        for count, name in enumerate(DIGITS, 1):  # nothing is known yet: the page asks for two classes
            if count > 2:
                page.keyboard.press("n")
            page.keyboard.type(name)
            page.keyboard.press("Enter")
            page.wait_for_function(
                "n => state.classes.length === n && document.querySelector('#new-class').hidden === (n > 1)", arg=count
            )
        label(page, 12, key)
        page.keyboard.press("z")  # the last one again
        page.get_by_text("Taken back.").wait_for()
        label(page, 1, key)
        page.keyboard.press("s")
        saved(page, 12)
        port = server.address.rpartition(":")[2]
        server.end(signal.SIGKILL)
        page.keyboard.press(key(page))  # nobody is there to take it
        page.get_by_text("Your answer is sent again").wait_for()
        server = Server(folder / "photos", cwd=folder, port=port, backbone="toy-image")  # the same command again
        saved(page, 13)
        label(page, 17, key)
        saved(page, 30)
        assert page.locator("#advice").inner_text()
        page.select_option("#budget", "0")
        page.click("#make")
        page.locator("#try").wait_for(timeout=3 * PATIENCE)
        assert "Right on about" in page.inner_text("#verdict")
        page.goto(page.get_attribute("#try", "href"))
        name, digit = next(iter(of_file.items()))
        assert answered(page, folder / "photos" / name) == digit
        assert server.end(signal.SIGINT) == 130
        server = Server.of_run("runs/photos", "--learn", cwd=folder)
        page.goto(server.address)
        correct_and_go_back(page, folder / "three.png")
        assert page.problems == []
    finally:
        server.process.kill()
        server.process.communicate()
    with AnswerStore(folder / "photos-labels.sqlite") as store:
        items = store.items()
        assert len(store.labels()) == 30
        assert all(label == of_file[Path(items[item].file).name] for item, label in store.labels().items())


def answered(page, file) -> str:
    """What the page to try a model says of a picture."""
    page.set_input_files("#file", [])
    with page.expect_response("**/predict"):
        page.set_input_files("#file", str(file))
    page.locator("#correct").wait_for()
    page.wait_for_function("() => document.querySelector('#state').textContent === ''")
    return page.inner_text("#answer")


def correct_and_go_back(page, three) -> None:
    """Teach the model a class that it did not know, by keyboard; then let its first version answer again."""
    before = answered(page, three)
    assert before in DIGITS
    page.focus("#right")
    page.keyboard.type("three")
    page.keyboard.press("Enter")
    page.get_by_text("got 'three'.").wait_for()
    page.focus("#new")
    page.keyboard.press("Space")
    page.focus("#send")
    page.keyboard.press("Enter")
    page.get_by_text("Learned at once: the answer is now three").wait_for()
    assert answered(page, three) == "three"
    page.get_by_label("Go back to version 1", exact=True).focus()
    page.keyboard.press("Enter")
    page.get_by_text("Version 1 answers again, as version 1.2.").wait_for()
    assert answered(page, three) == before
    assert page.locator("#lines li").count() == 3


def test_several_at_once_a_second_look_and_a_search(page, tmp_path, signals):
    pool = tmp_path / "texts.txt"
    pool.write_text("\n".join(texts(24)))
    server = Server(pool, "--classes", "ants,bees,wasps", cwd=tmp_path)
    try:
        page.goto(server.address)
        page.locator("#seen p").wait_for()
        label(page, 6)
        page.wait_for_function("() => state && state.fit > 0 && state.looked === 24")
        page.keyboard.press("m")
        page.locator("#tiles li").nth(3).wait_for()
        boxes = page.locator("#tiles input")
        for i in range(2, boxes.count()):
            boxes.nth(i).uncheck()
        page.keyboard.press("1")
        saved(page, 8)
        page.keyboard.press("/")
        page.keyboard.type("jam")
        page.keyboard.press("Enter")
        page.locator("#tiles .words").first.wait_for()
        assert "jam" in page.locator("#tiles .words").first.inner_text()
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
        page.keyboard.press("d")
        page.get_by_text("fit the others least").wait_for()
        assert page.problems == []
    finally:
        server.process.kill()
        server.process.communicate()


def test_texts_are_marked_by_keyboard_and_by_mouse(page, tmp_path, signals):
    names = ("Anna Maria", "Bert", "Cleo")
    pool = tmp_path / "texts.txt"
    pool.write_text("\n".join(f"🙂 yesterday {names[i % 3]} went home {i} times" for i in range(9)))
    server = Server(pool, "--task", "tagging", "--classes", "person,thing", cwd=tmp_path)
    try:
        page.goto(server.address)
        for i in range(6):
            page.locator("#words").wait_for()
            shown = page.evaluate("current.item")
            name = next(name for name in names if name in page.evaluate("current.text"))
            while page.evaluate("spans.marks.length"):  # what the model marked, whatever it is
                page.evaluate("chooseWords(spans.marks[0].first, spans.marks[0].first)")
                page.keyboard.press("Backspace")
            page.evaluate("spans.on = false")
            if i % 2:
                for word in range(2, 3 + name.count(" ")):
                    page.locator(f"#word-{word}").click()
            else:
                for key in ("Home", "ArrowRight", "ArrowRight", *["Shift+ArrowRight"] * name.count(" ")):
                    page.keyboard.press(key)
            page.keyboard.press("1")
            assert page.inner_text("#words .mark").split("person")[0].strip() == name
            if not i:
                assert barriers(page) == []
            page.keyboard.press("Enter")
            page.wait_for_function("old => current && current.item !== old", arg=shown)
        saved(page, 6)
        page.keyboard.press("z")  # the last one again, as it was marked
        page.wait_for_function("old => current.item === old", arg=shown)
        assert page.inner_text("#words .mark").split("person")[0].strip() == name
        page.keyboard.press("Enter")
        saved(page, 6)
        page.keyboard.press("d")
        page.get_by_role("button", name="Mark it").first.click()
        page.get_by_text("You said:").wait_for()
        assert page.locator("#words .mark").count() == 1
        assert page.problems == []
        assert server.end(signal.SIGINT) == 130
    finally:
        server.process.kill()
        server.process.communicate()
    data = load(tmp_path / "texts-labels.jsonl")
    marks = zip(data.items, map(labels_in_spans, data.labels), strict=True)
    assert [[text[a:b] for a, b, _ in own] for text, own in marks] == [
        [name for name in names if name in text] for text in data.items
    ]
    assert len(data) == 6


@pytest.mark.parametrize(("width", "height"), [(390, 844), (320, 256)])
def test_it_fits_a_phone_and_a_screen_enlarged_four_times(page, tmp_path, signals, width, height):
    pool = tmp_path / "texts.txt"
    pool.write_text("\n".join([*texts(6), "x" * 300]))
    server = Server(pool, "--classes", f"ants,{'w' * 90}", cwd=tmp_path)
    try:
        page.set_viewport_size({"width": width, "height": height})
        page.goto(server.address)
        page.locator("#classes button").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        unnamed = page.evaluate(
            "[...document.querySelectorAll('button, input, a')].filter(e => e.checkVisibility()"
            " && !(e.innerText || '').trim() && !e.labels?.length && !e.getAttribute('aria-label'))"
            ".map(e => e.outerHTML)"
        )
        assert unnamed == []
        small = page.evaluate(
            "[...document.querySelectorAll('button')].filter(e => e.checkVisibility() && e.offsetHeight < 44)"
            ".map(e => e.innerText)"
        )
        assert small == []
    finally:
        page.set_viewport_size({"width": 1280, "height": 900})
        server.process.kill()
        server.process.communicate()


def test_axe_finds_no_barrier_on_any_screen_in_light_and_dark(page, tmp_path, signals):
    """1,280 pixels at 400 % are 320."""
    pool = tmp_path / "texts.txt"
    pool.write_text("\n".join(texts(50)))
    server = Server(pool, "--classes", "ants,bees,wasps", cwd=tmp_path)
    try:
        page.goto(server.address)
        page.locator("#seen p").wait_for()
        label(page, 40)  # there is a score, a curve and a guess
        saved(page, 40)
        page.wait_for_function("() => state.progress && state.progress.estimate && state.looked === 50")
        for width, height in ((1280, 900), (390, 844), (320, 256)):
            for scheme in ("light", "dark"):
                page.set_viewport_size({"width": width, "height": height})
                page.emulate_media(color_scheme=scheme)
                assert barriers(page) == [], (width, scheme)
                page.keyboard.press("m")
                page.locator("#tiles input").first.wait_for()
                assert page.locator("#tiles input").first.evaluate("box => box === document.activeElement")
                page.keyboard.press("n")
                assert barriers(page) == [], (width, scheme, "several at once, and a new class")
                page.keyboard.press("Escape")
                page.keyboard.press("Escape")
                page.locator("#new-class").wait_for(state="hidden")
        assert page.problems == []
    finally:
        page.set_viewport_size({"width": 1280, "height": 900})
        page.emulate_media(color_scheme="light")
        server.process.kill()
        server.process.communicate()


def test_pictures_are_dropped_on_the_page(page, tmp_path, signals):
    for i in range(3):
        folder = tmp_path / "photos"
        folder.mkdir(exist_ok=True)
        Image.fromarray(np.full((16, 16, 3), 80 * i, np.uint8)).save(folder / f"{i}.png")
    Image.fromarray(np.full((16, 16, 3), 250, np.uint8)).save(tmp_path / "more.png")
    server = Server(folder, "--classes", "dark,light", cwd=tmp_path, backbone="toy-image")
    try:
        page.goto(server.address)
        page.locator("#seen img").wait_for()
        page.set_input_files("#file", str(tmp_path / "more.png"))
        page.get_by_text("1 new items.").wait_for()
        page.wait_for_function("() => state.counts.items === 4")
        assert page.evaluate("document.querySelector('#seen img').naturalWidth") == 16
    finally:
        server.process.kill()
        server.process.communicate()


def test_who_is_faster_than_the_server_is_shown_what_is_left(page, tmp_path, signals):
    pool = tmp_path / "texts.txt"
    pool.write_text("\n".join(texts(20)))
    server = Server(pool, "--classes", "ants,bees,wasps", cwd=tmp_path)
    try:
        page.goto(server.address)
        page.locator("#seen p").wait_for()
        page.wait_for_function("() => queue.length === AHEAD - 1")
        held, free = [], []

        def hold(route):
            route.continue_() if free else held.append(route)

        page.route("**/answers", hold)  # the first answer is on its way all the time
        page.route("**/next*", hold)  # and no other item comes meanwhile, as it may where the model has learned
        shown = page.evaluate("[current, ...queue].map((item) => item.item)")
        for _ in shown:
            page.keyboard.press("1")
        page.wait_for_function("() => !current && !queue.length")
        free.append(True)
        for route in held:
            route.continue_()
        page.wait_for_function("known => current && !known.includes(current.item)", arg=shown)
        saved(page, len(shown))
    finally:
        page.unroute("**/answers")
        page.unroute("**/next*")
        server.process.kill()
        server.process.communicate()
