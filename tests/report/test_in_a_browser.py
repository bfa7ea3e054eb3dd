"""The page in a browser: links open what they point into, pictures enlarge, rows are filtered, nothing is too wide."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from handful.data.occlusion import Part
from handful.explanation import Carried, Explanation
from handful.report import render

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="no Chromium is on the path")]


@pytest.fixture(scope="module")
def place(tmp_path_factory, make_run) -> str:
    """A page of pictures, some of them answered wrongly, with marks."""
    folder = tmp_path_factory.mktemp("page")
    files = []
    for i in range(16):
        files.append(folder / f"{i}.png")
        Image.fromarray(np.full((8, 8, 3), i * 15, np.uint8)).save(files[-1])
    run = make_run(files, ["a", "b"] * 8, "image", skill=0.5)
    parts = (Carried(Part("", (0.0, 0.0), (0.5, 0.5)), 0.3), Carried(Part("", (0.5, 0.5), (1.0, 1.0)), -0.2))
    for answer in run.held_out:
        run.explained[answer.row] = Explanation(answer.predicted, 0.7, parts)
    (folder / "report.html").write_text(render(run, folder), encoding="utf-8")
    return (folder / "report.html").as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with sync_playwright() as player:
        opened = player.chromium.launch(executable_path=BROWSER)
        yield opened
        opened.close()


@pytest.fixture
def page(browser, place) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    shown, wrong = context.new_page(), []
    shown.on("pageerror", lambda error: wrong.append(str(error)))
    shown.goto(place)
    yield shown
    context.close()
    assert wrong == []


def test_a_link_into_the_details_opens_them(page, place):
    assert not page.evaluate("document.getElementById('choice').open")
    page.evaluate("location.hash = 'choice'")
    page.wait_for_function("() => document.getElementById('choice').open")


def test_a_picture_enlarges_by_keyboard_and_its_marks_are_looked_through(page):
    first, second = (page.locator(".enlarge").nth(i) for i in (0, 1))
    first.focus()
    page.keyboard.press("Enter")
    dialog = page.locator("#enlarged")
    assert dialog.locator(".fields g").count() == 2
    dialog.get_by_text("Next mark").click()
    assert dialog.locator(".fields g.now").count() == 1
    dialog.get_by_text("Hide marks").click()
    assert not dialog.locator(".fields").is_visible()
    page.keyboard.press("ArrowRight")
    name = second.get_attribute("aria-label").removeprefix("Enlarge ")
    assert dialog.get_attribute("aria-label") == name
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == f"Enlarge {name}"


def test_rows_are_filtered_by_what_is_typed(page):
    names = page.locator(".case .place").all_text_contents()
    page.fill("#filter", names[0])
    assert page.locator(".case:visible").count() >= 1
    assert page.inner_text("#found").endswith(f"of {len(names)} rows")
    page.fill("#filter", "nothing is called so")
    assert page.locator(".case:visible").count() == 0


def test_nothing_is_wider_than_a_small_screen_nor_than_a_large_one_at_four_times_its_size(page):
    page.set_viewport_size({"width": 320, "height": 256})
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_print_shows_what_is_folded_and_folds_it_again(page):
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("document.querySelectorAll('details:not([open])').length") == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.querySelectorAll('details[open]').length") == 0
