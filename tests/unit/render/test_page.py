from __future__ import annotations

import re
from importlib.resources import files

import numpy as np
import pytest
from html_outline import Outline

from emdvc.compare.verdict import Verdict
from emdvc.render import page, png


def test_what_comes_from_data_is_never_markup() -> None:
    evil = "<script>alert('1')</script>\" onload=\"x"
    parts = page.joined(
        page.section(evil, page.table([[evil, evil]], [evil, evil], caption=evil), name="a", beside=evil),
        page.facts([(evil, evil)]),
        page.badge(evil),
        page.disclosure(evil, page.escaped(evil)),
        page.figure(png.encode(np.zeros((2, 3), np.uint8)), evil, evil),
        evil,
    )
    text = page.document(evil, parts, lead=evil, contents=[(evil, evil)], footer=evil)
    outline = Outline(text)
    assert outline.tags.count("script") == 1, "the page's own"
    assert 'onload="x' not in text and "&lt;script&gt;" in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x00b\x1b[31mc", "a\ufffdb\ufffd[31mc"),
        ("tab\tline\n", "tab\tline\n"),
        ("exe\u202egnp", "exe\ufffdgnp"),
        ("half \ud800 pair", "half \ufffd pair"),
        ("Å µ – ✓ 中 🔬", "Å µ – ✓ 中 🔬"),
        (12.5, "12.5"),
    ],
)
def test_characters_that_a_page_cannot_hold_are_marked(text: object, shown: str) -> None:
    found = page.escaped(text)
    assert found == shown
    found.encode("utf-8")


def test_a_path_may_break_behind_a_slash() -> None:
    assert page.breakable("raw/a_b.zarr/") == "raw/<wbr>a_<wbr>b.<wbr>zarr/"
    assert page.breakable("<b>/c") == "&lt;b&gt;/<wbr>c"


def test_markup_is_not_escaped_twice() -> None:
    assert page.escaped(page.escaped("a < b")) == "a &lt; b"
    assert page.joined("a & b", page.Html("<b>c</b>"), "") == "a &amp; b\n<b>c</b>"


def test_a_page_loads_nothing_and_runs_its_own_script_only() -> None:
    text = page.document("Title", "<p>text</p>", script="\nconst more = 1;")
    assert "default-src 'none'" in text and re.search(r"script-src 'sha256-[\w+/=]{44}'", text)
    assert page.document("Title", "") != page.document("Title", "", script="1"), "the policy follows the script"
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)|url\(|@import|https?:", text)
    assert '<html lang="en">' in text and 'name="viewport"' in text and '<a class="skip" href="#main">' in text
    assert Outline(text).headings == [1]


def test_a_picture_says_its_size_and_what_it_shows() -> None:
    found = page.picture(png.encode(np.zeros((20, 30), np.uint8)), 'a "map"')
    assert 'width="30" height="20"' in found and 'alt="a &quot;map&quot;"' in found
    with pytest.raises(ValueError, match="PNG"):
        page.picture(b"GIF89a", "")


def test_a_slider_is_two_pictures_until_its_script_runs() -> None:
    a, b = (png.encode(np.full((4, 4), level, np.uint8)) for level in (0, 9))
    found = page.slider(a, b, ("first", "second"), "caption", names=("v1", "v2"))
    assert Outline(found).tags.count("img") == 2
    assert 'type="range"' in found and " disabled" in found, "it does nothing yet, so it takes no focus"
    assert found.index(">v1<") < found.index(">v2<")


def test_names_of_targets_are_unique_and_plain() -> None:
    names = [page.anchor(text) for text in ("raw/a.zarr", "raw/a-zarr", "Å", "", "<b>", "x" * 500)]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9-]{1,70}", name) for name in names)


def test_a_badge_says_its_word() -> None:
    for verdict in Verdict:
        assert f">{verdict}</span>" in page.badge(verdict)
    looks = {verdict: re.findall("badge ([a-z]+)", page.badge(verdict))[0] for verdict in Verdict}
    assert looks[Verdict.VALUES] != looks[Verdict.CALIBRATION] != looks[Verdict.STRUCTURE]


def _luminance(colour: str) -> float:
    """Return relative luminance as WCAG 2.2 defines it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_the_contrast_that_wcag_asks_for(scheme: str) -> None:
    css = files("emdvc.render").joinpath("page.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", blocks[0]))
    if scheme == "dark":
        colours |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", blocks[1]))
    assert abs(_contrast("#000000", "#ffffff") - 21) < 1e-9
    pairs = [(text, ground) for text in ("ink", "soft", "accent") for ground in ("ground", "paper", "wash")]
    words = ("structure", "values", "calibration", "metadata", "good", "quiet")
    pairs += [(word, f"{word}-wash") for word in words] + [("plate-ink", "plate")]
    for text, ground in pairs:
        assert _contrast(colours[text], colours[ground]) >= 4.5, f"{text} on {ground}"
    # WCAG 2.2, 1.4.11: what shows the focus
    for ground in ("ground", "paper"):
        assert _contrast(colours["focus"], colours[ground]) >= 3
