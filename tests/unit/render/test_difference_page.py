from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from pathlib import PurePosixPath

import numpy as np
import pytest
from compared_scans import difference, project, scan_of_crystals
from html_outline import Outline

from emdvc.compare.dataset import DatasetDifference
from emdvc.compare.numbers.values import Noise, Tolerance, ValueChange
from emdvc.compare.project import ProjectDifference
from emdvc.compare.verdict import Verdict
from emdvc.render.difference.page import LARGEST, as_html


@pytest.fixture(scope="module")
def html() -> str:
    return as_html(project())


def words(html: str) -> str:
    """Return a page's text, without its elements."""
    html = html.replace("<wbr>", "")
    return unescape(re.sub(r"\s+", " ", re.sub(r"<(style|script)>.*?</\1>|<[^>]*>", " ", html, flags=re.DOTALL)))


def test_a_page_is_whole_and_in_order(html: str) -> None:
    outline = Outline(html)
    assert outline.headings[0] == 1 and outline.headings.count(1) == 1
    assert all(b <= a + 1 for a, b in zip(outline.headings, outline.headings[1:], strict=False))
    assert len(set(outline.names)) == len(outline.names)
    targets = {link[1:] for link in outline.links if link.startswith("#")}
    assert targets <= set(outline.names) and len(targets) == 1 + 1 + 6, "content, overview, six datasets"
    assert not re.findall(r"https?://", html)
    assert len(html.encode()) < LARGEST


def test_nothing_of_the_data_becomes_markup(html: str) -> None:
    assert "<script>alert" not in html and "<script>old" not in html and "<b>clean" not in html
    assert "M. Knoll &amp; &lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "results/&lt;script&gt;old.zarr" in html and "scripts/&lt;b&gt;clean.py" in html


def test_it_tells_why_what_and_by_how_much(html: str) -> None:
    told = words(html)
    assert "6 of 9 datasets differ" in told
    assert "beam.energy 200 keV 300 keV +100 keV +50 %" in told
    assert "parameter vdet.inner 20 → 25 mrad" in told and "through clean" in told
    assert "126 of 3072 probe positions differ" in told
    # 48 by 64 positions, 0.8 nm apart: rows 10 to 18, columns 20 to 33
    assert "y 8 to 14.4 nm, x 16 to 26.4 nm" in told
    # 48 steps of 0.8 and of 0.88 nm
    assert "48 × 0.8 nm 48 × 0.88 nm 38.4 nm 42.24 nm" in told
    assert "The vendor's metadata: 12 keys differ" in told
    assert "noise-equivalent" in told and "p = 0.43" in told and "12 dead or stuck pixels left out" in told
    assert "Virtual image (sum of each probe position)" in told and "after − before" in told


def test_it_is_the_same_page_each_time(html: str) -> None:
    assert as_html(project()) == html


def test_no_difference_is_one_sentence() -> None:
    told = words(as_html(ProjectDifference("v1", None, (), 4)))
    assert "No difference in 4 datasets between v1 and the workspace." in told


def large(many: int = 6) -> ProjectDifference:
    before = scan_of_crystals((20, 20), 48)
    after = scan_of_crystals((20, 20), 48, seed=2)
    one = difference(("y", "x", "ky", "kx"), before, after)
    return ProjectDifference("a", "b", tuple(replace(one, path=PurePosixPath(f"s{n}.zarr")) for n in range(many)), many)


def test_a_page_keeps_to_its_size_and_says_what_it_left_out() -> None:
    whole = as_html(large())
    assert "What was left out" not in whole and whole.count("<img") == 6 * 7, (
        "two sliders, two differences, a plot each"
    )
    room = len(whole.encode()) - 1
    html = as_html(large(), largest=int(room * 0.92))
    assert len(html.encode()) <= room * 0.92
    assert re.search(r"half the size of the images of \d dataset", html) and html.count('type="range"') == 12
    html = as_html(large(), largest=int(room * 0.6))
    assert len(html.encode()) <= room * 0.6
    assert re.search(r"\d pictures? of s0\.zarr: [\w ,]*radial profile of 400 differing probe positions", html)
    assert html.count("<img") < 42
    Outline(html)


def test_text_beyond_the_size_is_left_out_last() -> None:
    vendor = {f"key{n}": n for n in range(250)}
    one = difference(
        ("y", "x"), np.zeros((3, 3)), np.zeros((3, 3)), sides=({}, {"vendor": vendor, "record": {"note": "x"}})
    )
    many = tuple(replace(one, path=PurePosixPath(f"s{n}.zarr"), values=()) for n in range(40))
    html = as_html(ProjectDifference("a", "b", many, 40), largest=900_000)
    assert len(html.encode()) <= 900_000
    assert re.search(r"everything but the first table for \d+ datasets", html)
    assert html.count("s39.zarr") >= 1, "the table names all"
    assert "And 50 more: emdvc diff --json lists all." in html
    targets = {link[1:] for link in Outline(html).links if link.startswith("#")}
    assert targets <= set(Outline(html).names), "no link leads to what was left out"


def test_every_verdict_and_every_figure_has_its_words() -> None:
    changes = (
        ValueChange("a", Verdict.ENCODING, chunks=3, chunks_of=9),
        ValueChange("b", Verdict.WITHIN_TOLERANCE, 4, 9, 9, tolerance=Tolerance(rtol=1e-6), largest=1e-9),
        ValueChange("c", Verdict.VALUES, 9, 9, 9, largest=float("inf"), mean=float("nan"), nan_after=2, complete=False),
        ValueChange("d", Verdict.NOISE_EQUIVALENT, 9, 9, 9, noise=Noise(0.5)),
        ValueChange("e", Verdict.STRUCTURE, arrangement="y and x exchanged"),
    )
    found = DatasetDifference(PurePosixPath("x"), values=changes, bytes_differ=True)
    renamed = DatasetDifference(PurePosixPath("new"), "renamed", before_path=PurePosixPath("old"))
    told = words(as_html(ProjectDifference("a", "b", (found, renamed), 2)))
    for expected in ("3 of 9", "relative 1e-06", "NaN only after 2", "stopped early", "p = 0.5", "y and x exchanged"):
        assert expected in told
    assert "Was old." in told and "renamed" in told
