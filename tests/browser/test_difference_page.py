"""The page of a difference as a person opens it: from a file, without a network, with mouse, keyboard or neither."""

from __future__ import annotations

import base64
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from browser_page import Browser
from compared_scans import project

from emdvc.render.difference.page import as_html

pytestmark = pytest.mark.server

#: Where the seam of the first slider lies and what of the picture after is cut off.
SLIDER = """(() => {
    const figure = document.querySelector("figure.compare");
    const range = figure.querySelector("input");
    const [before, after] = figure.querySelectorAll("img");
    const box = part => {
        const {left, top, width, height} = part.getBoundingClientRect();
        return {left, top, width, height};
    };
    return {
        value: Number(range.value), said: range.getAttribute("aria-valuetext"),
        focused: document.activeElement === range,
        before: getComputedStyle(before).clipPath, after: getComputedStyle(after).clipPath,
        boxes: [box(before), box(after), box(range)],
    };
})()"""
#: Names of what the focus stands on.
FOCUS = "document.activeElement.tagName + ' ' + (document.activeElement.getAttribute('type') || '')"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("difference") / "difference of two states.html"
    path.write_text(as_html(project()), encoding="utf-8")
    return path


def clip(left: float | None = None, right: float | None = None) -> str:
    """Return how a browser writes what is cut off at the left or the right, in percent."""
    return f"inset(0px 0px 0px {left:g}%)" if left is not None else f"inset(0px calc({right:g}%) 0px 0px)"


def cut(browser: Browser) -> dict[str, Any]:
    found: dict[str, Any] = browser.evaluate(SLIDER)
    return found


@pytest.mark.parametrize("width", [400, 1300])
@pytest.mark.parametrize("dark", [False, True])
def test_a_page_opens_without_a_network(browser: Browser, written: Path, width: int, dark: bool) -> None:
    browser.open(written, width=width, dark=dark)
    assert browser.complaints == []
    assert browser.requests == [written.as_uri()], "nothing but the page itself"
    pictures = browser.evaluate("[...document.images].map(image => [image.naturalWidth, image.alt])")
    assert len(pictures) >= 20 and all(size > 0 and len(words) > 10 for size, words in pictures)
    # a page as wide as the window, and nothing in it that reaches beyond
    beyond = browser.evaluate(
        """[...document.body.querySelectorAll("*:not(.skip, .hidden)")]
            .filter(part => part.getClientRects().length && part.getBoundingClientRect().right > innerWidth + 1)
            .map(part => part.outerHTML)"""
    )
    assert beyond == []
    assert browser.evaluate("document.documentElement.scrollWidth") == width
    ground = browser.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]")
    assert (ground < 60) == dark


def test_headings_are_in_order_and_pieces_have_names(browser: Browser, written: Path) -> None:
    browser.open(written)
    levels = browser.evaluate("[...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map(h => Number(h.tagName[1]))")
    assert levels.count(1) == 1
    assert all(next_ <= level + 1 for level, next_ in pairwise(levels))
    for landmark in ("header", "nav[aria-label]", "main", "footer"):
        assert browser.evaluate(f"document.querySelectorAll('body > {landmark}, .frame > {landmark}').length") == 1
    # as a screen reader has it: role and name of every control, computed by the browser
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    sliders = [node["name"]["value"] for node in nodes if node["role"]["value"] == "slider"]
    assert len(sliders) == browser.evaluate("document.querySelectorAll('figure.compare').length") == 5
    assert all("seam" in name and "between before and after" in name for name in sliders)
    assert len(set(sliders)) >= 3, "the name says which picture it belongs to"
    unnamed = [node for node in nodes if node["role"]["value"] in ("link", "image") and not node["name"]["value"]]
    assert unnamed == []


def test_the_seam_moves_by_the_keyboard(browser: Browser, written: Path) -> None:
    browser.open(written)
    start = cut(browser)
    assert start["value"] == 50 and start["after"] == clip(left=50)
    assert start["before"] != "none"
    seen = []
    for _ in range(40):
        browser.press("Tab", 9)
        seen.append(browser.evaluate(FOCUS))
        if cut(browser)["focused"]:
            break
    assert seen[0] == "A ", "the first is the link to the content"
    assert browser.evaluate(FOCUS) == "INPUT range", "the tab key reaches the slider"
    for _ in range(5):
        browser.press("ArrowRight", 39)
    moved = cut(browser)
    assert moved["value"] == 55 and moved["after"] == clip(left=55)
    assert moved["said"] == "55 % before, 45 % after"
    assert moved["before"] != start["before"]
    browser.press("Home", 36)
    assert cut(browser)["after"] in (clip(left=0), "inset(0px)")
    browser.press("End", 35)
    assert cut(browser)["after"] == clip(left=100)
    ring = browser.evaluate(
        "getComputedStyle(document.activeElement.closest('.stage').querySelector('.handle'), '::after').boxShadow"
    )
    assert "rgb(179, 71, 10)" in ring, "the handle shows that it has the focus"
    assert browser.complaints == []


@pytest.mark.parametrize("width", [400, 1300])
def test_the_seam_follows_the_mouse(browser: Browser, written: Path, width: int) -> None:
    browser.open(written, width=width)
    browser.evaluate("document.querySelector('figure.compare').scrollIntoView({block: 'center', behavior: 'instant'})")
    boxes = cut(browser)["boxes"]
    assert boxes[0] == pytest.approx(boxes[1]), "both pictures lie on each other"
    assert boxes[2] == pytest.approx(boxes[0], abs=1.5), "and the range on both: the seam is where the pointer is"
    left, top, wide, high = (boxes[0][key] for key in ("left", "top", "width", "height"))
    middle = top + high / 2
    browser.drag((left + 0.5 * wide, middle), (left + 0.25 * wide, middle))
    dragged = cut(browser)
    assert dragged["value"] == pytest.approx(25, abs=1) and dragged["after"] == clip(left=dragged["value"])
    browser.drag((left + 0.8 * wide, middle), (left + 0.8 * wide, middle))
    clicked = cut(browser)
    assert clicked["value"] == pytest.approx(80, abs=1) and clicked["after"] == clip(left=clicked["value"])


#: Mean difference of what a screenshot shows at a slider from each of its two pictures.
LIKENESS = """(async () => {
    const shot = new Image();
    shot.src = "data:image/png;base64,%s";
    await shot.decode();
    const pixels = (image, left, top, width, height) => {
        const canvas = Object.assign(document.createElement("canvas"), {width, height});
        const context = canvas.getContext("2d");
        context.drawImage(image, -left, -top);
        return context.getImageData(0, 0, width, height).data;
    };
    const pictures = [...document.querySelector("figure.compare").querySelectorAll("img")];
    const {left, top} = pictures[0].getBoundingClientRect();
    const [width, height] = [pictures[0].naturalWidth, pictures[0].naturalHeight];
    const seen = pixels(shot, Math.round(left), Math.round(top), width, height);
    return pictures.map(picture => {
        const drawn = pixels(picture, 0, 0, width, height);
        return drawn.reduce((total, value, place) => total + Math.abs(value - seen[place]), 0) / drawn.length;
    });
})()"""


@pytest.mark.parametrize(("key", "code", "shown"), [("End", 35, 0), ("Home", 36, 1)])
def test_what_is_seen_is_the_picture_on_that_side(
    browser: Browser, written: Path, tmp_path: Path, key: str, code: int, shown: int
) -> None:
    browser.open(written)
    browser.evaluate("document.querySelector('figure.compare').scrollIntoView({block: 'center', behavior: 'instant'})")
    browser.evaluate("document.querySelector('figure.compare input').focus({preventScroll: true})")
    browser.press(key, code)
    browser.screenshot(tmp_path / "shot.png", whole=False)
    apart = browser.evaluate(LIKENESS % base64.b64encode((tmp_path / "shot.png").read_bytes()).decode())
    assert apart[shown] < apart[1 - shown] / 2, apart


def test_without_scripts_both_pictures_stand_side_by_side(browser: Browser, written: Path) -> None:
    browser.open(written, script=False)
    found = cut(browser)
    assert found["before"] == found["after"] == "none"
    before, after, _ = found["boxes"]
    assert after["left"] >= before["left"] + before["width"] or after["top"] >= before["top"] + before["height"]
    assert browser.evaluate("getComputedStyle(document.querySelector('figure.compare input')).display") == "none" or (
        browser.evaluate("document.querySelector('figure.compare input').getClientRects().length") == 0
    )


def test_what_is_folded_opens_and_is_there_on_paper(browser: Browser, written: Path) -> None:
    browser.open(written)
    assert browser.evaluate("document.querySelectorAll('details[open]').length") == 0
    browser.evaluate("document.querySelector('details summary').focus()")
    browser.press("Enter", 13, "\r")
    assert browser.evaluate("document.querySelectorAll('details[open]').length") == 1
    browser.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert browser.evaluate("document.querySelectorAll('details:not([open])').length") == 0
    browser.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert browser.evaluate("document.querySelectorAll('details[open]').length") == 1
    pdf = browser.call("Page.printToPDF", printBackground=True)["data"]
    assert len(pdf) > 10_000 and browser.complaints == []


def test_a_link_leads_to_its_dataset(browser: Browser, written: Path) -> None:
    browser.open(written)
    browser.evaluate(
        "[...document.querySelectorAll('table a')].find(a => a.textContent === 'results/vdet.zarr').click()"
    )
    browser.wait_for("document.querySelector(':target') !== null")
    assert browser.evaluate("document.querySelector(':target').textContent") == "results/vdet.zarr"


def test_motion_is_left_out_for_who_does_not_want_it(browser: Browser, written: Path) -> None:
    browser.open(written)
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    assert browser.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "no-preference"}])
    assert browser.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "smooth"
