"""A difference as Markdown, read back by markdown-it, a parser that knows nothing of emdvc."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import PurePosixPath

import numpy as np
import pytest
from difference_strategies import NASTY, differences
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from emdvc.compare.causes.cause import Cause, CauseKind
from emdvc.compare.dataset import DatasetDifference
from emdvc.compare.numbers.values import Seen, ValueChange
from emdvc.compare.project import ProjectDifference
from emdvc.compare.record import KeyChange
from emdvc.compare.verdict import Verdict
from emdvc.model.quantity import Quantity
from emdvc.render import markdown_text
from emdvc.render.difference.markdown import as_markdown

#: All that the page may consist of: another tag would be one that came out of the data.
TAGS = {
    *("h3", "p", "ul", "li", "hr", "code", "pre", "details", "summary"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
LEFT_OUT = re.compile(r"^Left out, .*: (.*)\. All of it: ", re.MULTILINE)


@dataclass
class Page(HTMLParser):
    """What a browser sees: balance of tags, text outside of code, rows of tables."""

    opened: list[str] = field(default_factory=list)
    prose: str = ""
    names: list[str] = field(default_factory=list)
    tables: list[list[list[str]]] = field(default_factory=list)
    details: int = 0

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS, f"<{tag}> came out of the data"
        assert all(name == "class" and value == "language-text" for name, value in attrs)
        self.opened.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        self.details += tag == "details"

    def handle_endtag(self, tag: str) -> None:
        assert self.opened.pop() == tag, "tags are balanced"

    def handle_data(self, data: str) -> None:
        if "td" in self.opened:
            self.tables[-1][-1][-1] += data
        if "code" not in self.opened:
            self.prose += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError("a comment came out of the data")


def page(markdown: str) -> Page:
    found = Page()
    found.feed(MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown))
    found.close()
    assert not found.opened
    return found


def counted(markdown: str, word: str) -> int:
    """Return how many datasets, details or keys the last lines say were left out."""
    said = LEFT_OUT.search(markdown)
    number = re.search(rf"(?:^|, ){word}", said[1]) if said else None
    return int(number[1]) if number else 0


@given(differences(most=6), st.one_of(st.integers(0, 4000), st.just(65_536)))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_any_difference_fits_and_is_whole(difference: ProjectDifference, limit: int) -> None:
    markdown = as_markdown(difference, limit=limit)
    assert len(markdown) <= len(markdown.encode()) <= limit
    if limit < 1200:
        return  # of too short a comment only the length is promised
    assert markdown.count("<details>") == markdown.count("</details>")
    found = page(markdown)
    # a person, an issue or a merge request is called from text only, never from code
    assert not re.search(r"[@#]|[!%&$~]\w", found.prose)
    if not difference:
        assert "No difference" in found.prose and not found.tables
        return
    overview, *keys = found.tables or [[]]
    assert all(len(row) == 3 for row in overview) and all(len(row) == 4 for table in keys for row in table)
    listed = [row[0] for row in overview[1:]]
    assert len(listed) + counted(markdown, r"(\d+) datasets?") == len(difference.datasets)
    assert found.details <= len(listed)
    names = {markdown_text.one_line(str(dataset.path)).strip() for dataset in difference.datasets}
    assert {" ".join(name.split()) for name in listed} <= {" ".join(_arrowed(name).split()) for name in names}


def _arrowed(name: str) -> str:
    return name.replace(" -> ", " → ")


@given(differences(most=4))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_nothing_is_left_out_where_there_is_room(difference: ProjectDifference) -> None:
    whole = as_markdown(difference, limit=10**9)
    assert "Left out" not in whole
    assert as_markdown(difference, limit=len(whole.encode())) == whole
    shorter = as_markdown(difference, limit=len(whole.encode()) - 1)
    assert len(shorter.encode()) < len(whole.encode())


@given(st.one_of(st.sampled_from(NASTY), st.text()))
@example("a ` b `` c")
@example("\\")
@example("a\\|b")
def test_text_from_data_comes_back_as_it_is(words: str) -> None:
    expected = " ".join(_arrowed(markdown_text.one_line(words)).split()) or "(empty)"
    for safe in (markdown_text.code(words), markdown_text.said(words)):
        (table,) = page("\n".join([*markdown_text.table(["one", "two"]), markdown_text.row([safe, "end"])])).tables
        assert [" ".join(cell.split()) for cell in table[1]] == [expected, "end"]
        listed = page(f"- {safe}")
        assert not listed.tables and not re.search(r"[@#]|[!%&$~]\w", listed.prose)


def long_difference(keys: int, datasets: int = 3) -> ProjectDifference:
    changes = tuple(KeyChange(f"stage.axis_{n:05d}", Quantity(n, "um"), Quantity(n + 1, "um")) for n in range(keys))
    found = tuple(DatasetDifference(PurePosixPath(f"raw/scan{n:05d}.mib"), record=changes) for n in range(datasets))
    return ProjectDifference("HEAD~1", "HEAD", found, datasets)


def test_what_was_left_out_is_counted() -> None:
    markdown = as_markdown(long_difference(700))
    assert len(markdown.encode()) <= 65_536
    shown = len(re.findall(r"^\| `stage\.axis_", markdown, re.MULTILINE))
    # the first dataset is told whole, the second in part, the third is only named
    assert 700 < shown < 1400
    assert counted(markdown, r"(\d+) keys") == 2100 - shown
    assert counted(markdown, r"details of (\d+) dataset") == 1 and counted(markdown, r"(\d+) datasets?") == 0
    assert f"\nand {1400 - shown} more\n" in markdown
    assert markdown.rstrip().endswith("All of it: `emdvc diff HEAD~1 HEAD`")
    assert len(markdown.encode()) > 65_000, "the room is used"


def test_more_datasets_than_there_is_room_for() -> None:
    markdown = as_markdown(long_difference(1, 2000), command="emdvc diff --repo lab HEAD")
    listed = len(re.findall(r"^\| `raw/scan", markdown, re.MULTILINE))
    assert listed > 500 and counted(markdown, r"(\d+) datasets?") == 2000 - listed
    assert "<details>" not in markdown and counted(markdown, r"(\d+) keys") == 2000
    assert markdown.rstrip().endswith("All of it: `emdvc diff --repo lab HEAD`")


def test_letters_of_several_bytes_count_as_bytes() -> None:
    change = KeyChange("operator", "Å" * 60, "ø" * 60)
    datasets = tuple(DatasetDifference(PurePosixPath(f"raw/{'å' * 50}{n}"), record=(change,)) for n in range(300))
    markdown = as_markdown(ProjectDifference("HEAD", None, datasets, 300))
    assert len(markdown.encode()) <= 65_536 and len(markdown) < 50_000


def test_a_comment_of_a_real_change() -> None:
    changed = np.zeros((8, 8), np.bool_)
    changed[2, 3] = changed[4, 4] = True
    numbers = ValueChange(
        "data", Verdict.VALUES, differing=9, total=16384, positions=2, scan=(("y", 8), ("x", 8)),
        box=(("y", 2, 4), ("x", 3, 4)), largest=7, mean=-0.5, rms=2.1, sum_ratio=1.25, unit="counts",
        seen=Seen(changed=changed),
    )  # fmt: skip
    causes = (Cause(CauseKind.PARAMETER, "params.yaml", "bright_field.outer", "20 px", "22 px"),)
    datasets = (
        DatasetDifference(PurePosixPath("raw/a.zarr"), record=(KeyChange("operator", "Ruska", "@knoll"),)),
        DatasetDifference(PurePosixPath("results/b.zarr"), kind="result", values=(numbers,), causes=causes),
    )
    markdown = as_markdown(ProjectDifference("main", None, datasets, 12))
    assert markdown == (
        "### 2 of 12 datasets differ\n\n"
        "Between `main` and the workspace: 1 values, 1 metadata.\n\n"
        "| dataset | verdict | what differs |\n"
        "| --- | --- | --- |\n"
        "| `results/b.zarr` | values | 2 of 64 probe positions differ, in y 2:5, x 3:5 |\n"
        "| `raw/a.zarr` | metadata | `operator Ruska → @knoll` |\n\n"
        "<details>\n<summary><code>results/b.zarr</code>: values</summary>\n\n"
        "Because:\n\n- parameter bright_field.outer 20 px → 22 px\n\n"
        "What differs:\n\n"
        "- data: 2 of 64 probe positions differ, in y 2:5, x 3:5\n"
        "- data: largest 7, mean -0.5, RMS 2.1 counts; their sum x 1.25\n\n"
        "```text\n........\n........\n...#....\n........\n....#...\n........\n........\n........\n"
        "(y down, x across; # differs)\n```\n\n</details>\n\n"
        "<details>\n<summary><code>raw/a.zarr</code>: metadata</summary>\n\n"
        "| key | before | after | change |\n| --- | --- | --- | --- |\n"
        "| `operator` | `Ruska` | `@knoll` |  |\n\n</details>\n"
    )


@pytest.mark.parametrize("limit", [0, 1, 30, 60, 200, 400])
def test_however_short_the_comment(limit: int) -> None:
    markdown = as_markdown(long_difference(5), limit=limit)
    assert len(markdown.encode()) <= limit
    if limit >= 30:
        assert "3 datasets differ" in markdown


def test_no_difference() -> None:
    assert as_markdown(ProjectDifference("a", "b", (), 4)) == (
        "### No difference\n\nno difference in 4 datasets between a and b\n"
    )
