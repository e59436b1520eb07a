"""A report keeps within its limits, says what it left out, and takes any name for a name."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emdvc.compare.dataset import DatasetDifference
from emdvc.compare.project import ProjectDifference
from emdvc.compare.record import KeyChange
from emdvc.compare.report.state import DatasetState, Report, Verification
from emdvc.history.git import Commit
from emdvc.history.pipeline_at import StageAt
from emdvc.history.project import Project
from emdvc.history.recorded import Recorded
from emdvc.history.run_records import RunRecord
from emdvc.model.axis import Axis, Role
from emdvc.model.quantity import Quantity
from emdvc.model.sidecar import Sidecar, VariableInfo
from emdvc.render import png
from emdvc.render.report import as_json as report_json
from emdvc.render.report import facts as report_facts
from emdvc.render.report.markdown import LIMIT, MARK, as_markdown, picture_url
from emdvc.render.report.page import as_html

P = PurePosixPath
COMMIT = Commit("c" * 40, "ccccccc", "first", "Ernst Ruska", "2026-02-03T04:05:06+01:00")
RUN = RunRecord(
    P("results/a.zarr"), {"image": "d"}, "virtual_image", 1, "Max Knoll", "2026-02-03T03:00:00+00:00", 203.0,
    {"emdvc": "0.1", "numpy": "2.1"}, "Linux x86_64", "Some processor",
)  # fmt: skip


def dataset(name: str, *, runs: tuple[RunRecord, ...] = (), kind: str = "raw") -> DatasetState:
    sidecar = Sidecar(
        record={"operator": name, "beam": {"energy": {"value": 200.0, "unit": "keV", "origin": "file"}}},
        axes={dim: Axis(dim, 4, Role.SCAN, scale=Quantity(0.5, "nm")) for dim in ("y", "x")},
        variables={"image": VariableInfo(("y", "x"), (4, 4), "uint16", "d", "counts")},
        main="image",
        provenance={"step": "virtual_image", "version": 1} if kind == "result" else {},
    )
    record = Recorded(P(name), "0" * 32, 1234, None, P("dvc.lock"))
    stage = "s" if kind == "result" else None
    return DatasetState(P(name), sidecar, frozenset({"operator", "beam.energy"}), record, stage, runs, COMMIT)


def report(*datasets: DatasetState, title: str = "project") -> Report:
    outs = tuple(one.path for one in datasets if one.kind == "result")
    stage = StageAt("s", "virtual_image", "", (P("raw/a.mib"),), outs)
    return Report(
        Project(Path("/p"), Path("/p")), title, COMMIT, "main", None, datasets, (stage,), (("s.outer", "3px"),)
    )


class Tags(HTMLParser):
    """Collects what a page consists of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.links += [value[1:] for name, value in attrs if name == "href" and value and value.startswith("#")]

    def handle_data(self, data: str) -> None:
        self.words += data


def test_every_link_of_the_page_has_its_target() -> None:
    found = Tags(as_html(report(dataset("raw/a.mib"), dataset("results/a.zarr", kind="result")), draw=lambda _: None))
    assert len(set(found.ids)) == len(found.ids)
    assert set(found.links) <= set(found.ids)
    assert found.tags.count("h1") == 1 and found.tags.count("svg") == 1


@settings(deadline=None, max_examples=40)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1, max_size=30))
def test_any_name_is_only_a_name(name: str) -> None:
    plain = Tags(as_html(report(dataset("raw/b/c/d"), title="t"), draw=lambda _: None))
    nasty = report(dataset(f"raw/{name}</td><script>x</script>"), title=name)
    found = Tags(as_html(nasty, draw=lambda _: None))
    assert found.tags == plain.tags
    text = as_markdown(nasty)
    assert "<script" not in text
    assert text.startswith(f"{MARK}\n")
    lines = text.splitlines()
    for start, line in enumerate(lines):
        if line.startswith("| ---"):  # every row of a table has as many cells as its head
            cells = line.count("|")
            rows = [row for row in lines[start:] if row.startswith("|")]
            first = next(index for index, row in enumerate([*lines[start:], ""]) if not row.startswith("|"))
            assert all(row.count("|") == cells for row in rows[:first])


def test_two_hundred_datasets_fit_a_comment() -> None:
    many = [dataset(f"raw/scan-{number:04}-{'x' * 60}.mib") for number in range(100)]
    many += [dataset(f"results/scan-{number:04}-{'y' * 60}.zarr", kind="result") for number in range(100)]
    changes = tuple(KeyChange(f"notes{n}", "a" * 60, "b" * 60) for n in range(20))
    differences = tuple(DatasetDifference(one.path, record=changes) for one in many)
    whole = replace(report(*many), before=COMMIT, difference=ProjectDifference("A", "B", differences, 200))
    text = as_markdown(whole)
    assert LIMIT * 0.6 < len(text.encode()) <= LIMIT
    end = text.splitlines()[-1]
    assert end.startswith("Left out") and "details of" in end and "emdvc report --html" in end
    for heading in ("### 200 datasets", "### Datasets", "### Who ran what", "### Parameters"):
        assert heading in text
    # a part is whole or not there: what is opened is closed
    assert text.count("<details>") == text.count("</details>")


@settings(deadline=None, max_examples=15)
@given(st.integers(2000, 70_000), st.integers(0, 60))
def test_no_limit_is_exceeded(limit: int, count: int) -> None:
    text = as_markdown(report(*(dataset(f"raw/µ-{number}.mib") for number in range(count))), limit=limit)
    assert len(text.encode()) <= limit
    left = re.search(r"the details of (\d+) dataset", text)
    shown = text.count("<summary>")
    assert shown + (int(left[1]) if left else 0) == count
    assert ("Nothing was left out." in text) == ("Left out" not in text)


def test_a_page_stays_within_its_limit_and_counts_what_it_left_out() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (150, 150), dtype=np.uint8)
    picture = png.encode(noise, np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1))
    many = report(*(dataset(f"raw/scan{number}.mib") for number in range(30)))
    whole = as_html(many, draw=lambda _: picture)
    assert whole.count("<img") == 30 and "Left out" not in whole
    limit = len(whole.encode()) // 2
    half = as_html(many, draw=lambda _: picture, limit=limit)
    assert len(half.encode()) <= limit + 2000  # the last section is written in any case
    shown = half.count("<img")
    assert 5 < shown < 30
    assert "Left out, to keep this file below 10 MB" in half
    few = as_html(many, draw=lambda _: picture, limit=80_000)
    assert len(few.encode()) <= 82_000 and "details of" in few


def test_who_ran_what_and_what_is_not_known() -> None:
    rows = list(
        report_facts.run_rows(
            report(
                dataset("raw/a.mib"),
                dataset("results/a.zarr", kind="result", runs=(RUN, RUN)),
                dataset("results/b.zarr", kind="result"),
            )
        )
    )
    assert rows == [
        (
            "results/a.zarr",
            "virtual_image 1",
            "Max Knoll, 2026-02-03 03:00 UTC, in 3 min 23 s; 1 earlier run gave the same numbers",
            "emdvc 0.1, NumPy 2.1",
            "Linux x86_64, Some processor",
        ),
        (
            "results/b.zarr",
            "virtual_image 1",
            "not recorded; committed by Ernst Ruska, 2026-02-03 04:05 +01:00, ccccccc",
            "",
            "",
        ),
    ]


def test_a_verification_holds_for_what_is_still_the_same() -> None:
    same = dataset("results/a.zarr", kind="result")
    other = dataset("results/b.zarr", kind="result")
    found = Verification(
        "stages", True, "2026-02-04T00:00:00+00:00", "Knoll", "0.1", {"s": "bit-identical"}, "d" * 40, 2,
        frozenset({same.path}),
    )  # fmt: skip
    whole = replace(report(same, other), verified=(found,))
    assert report_facts.stage_verdict(whole, same) == "bit-identical"
    assert report_facts.stage_verdict(whole, other) == ""
    said = report_facts.verification(found)
    assert "2 commits before this one, at ddddddd" in said and "all was as recorded" in said
    html = as_html(whole, draw=lambda _: None)
    assert said.replace("'", "&#x27;") in html
    assert report_json.as_dict(whole)["verified"][0]["commits_since"] == 2


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.0312, "0.031 s"), (9.94, "9.9 s"), (9.97, "10 s"), (59.4, "59 s"), (61, "1 min 1 s"), (7500, "2 h 5 min")],
)
def test_durations(seconds: float, said: str) -> None:
    assert report_facts.duration(seconds) == said


def test_pictures_are_linked_on_a_forge_only() -> None:
    one = replace(dataset("results/a b.zarr", kind="result"), picture=P("results/a b.png"))
    whole = report(one)
    assert picture_url(whole, one, {}) == ""
    github = {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "lab/gold", "GITHUB_SERVER_URL": "https://git.example"}
    assert picture_url(whole, one, github) == f"https://git.example/lab/gold/raw/{'c' * 40}/results/a%20b.png"
    gitlab = {"GITLAB_CI": "true", "CI_PROJECT_URL": "https://gitlab.example/lab/gold"}
    assert picture_url(whole, one, gitlab) == f"https://gitlab.example/lab/gold/-/raw/{'c' * 40}/results/a%20b.png"
    # what DVC keeps, the forge has not
    assert picture_url(replace(whole, pictures={one.picture: "0"}), one, gitlab) == ""  # type: ignore[dict-item]
