"""Which stages would run, in which order, and why."""

from __future__ import annotations

from pathlib import Path

from emdvc.history.dvc_pipeline import StageState
from emdvc.history.project import Project
from emdvc.history.rerun import absent, would_run

LOCK = """\
stages:
  vdet:
    params:
      raw/a.em.yaml:
        diffraction: {pixel_size: {value: 0.1, unit: 1/nm, origin: file}, center: null}
        beam.energy: {value: 200, unit: keV, origin: file}
      params.yaml:
        vdet: {outer: 20px, inner: 3px}
      .emdvc/steps.yaml:
        virtual_detector: 1
"""


def _project(tmp_path: Path, size: str = "0.11", energy: str = "{value: 0.2, unit: MeV}") -> Project:
    for folder in ("raw", ".emdvc"):
        (tmp_path / folder).mkdir()
    (tmp_path / "dvc.lock").write_text(LOCK)
    (tmp_path / "raw" / "a.em.yaml").write_text(
        f"beam: {{energy: {energy}}}\n"
        f"diffraction: {{pixel_size: {{value: {size}, unit: 1/nm, origin: user}}, center: null}}\n"
    )
    (tmp_path / "params.yaml").write_text("vdet: {outer: 25px, inner: 3px}\n")
    (tmp_path / ".emdvc" / "steps.yaml").write_text("virtual_detector: 2\n")
    return Project(tmp_path, tmp_path)


def test_the_key_and_both_values_are_named(tmp_path: Path) -> None:
    state = StageState(
        "vdet",
        False,
        ("raw/a",),
        ("results/v",),
        changed_params={
            "raw/a.em.yaml": {"diffraction": "modified", "beam.energy": "modified"},
            "params.yaml": {"vdet": "modified"},
            ".emdvc/steps.yaml": {"virtual_detector": "modified"},
        },
    )
    (rerun,) = would_run(_project(tmp_path), [state])
    assert rerun.because == (
        "diffraction.pixel_size of raw/a: 0.1 -> 0.11 1/nm",
        "beam.energy of raw/a is written in another way",
        "vdet.outer: 20px -> 25px",
        "the step virtual_detector has another version: 1 -> 2",
    )
    assert [key.key for key in rerun.keys] == ["diffraction.pixel_size", "vdet.outer", "virtual_detector"]


def test_downstream_follows_in_order_whatever_the_order_of_dvc_yaml(tmp_path: Path) -> None:
    states = [
        StageState("last", False, ("results/b/part",), ("results/c",)),
        StageState("middle", False, ("results/a",), ("results/b",)),
        StageState("first", False, ("raw/a",), ("results/a",), changed_deps={"raw/a": "modified"}),
        StageState("aside", False, ("raw/b",), ("results/d",)),
        StageState("frozen", False, ("results/a",), ("results/e",), frozen=True),
        StageState("raw/a.dvc", True, (), ("raw/a",), changed_outs={"raw/a": "modified"}),
    ]
    found = would_run(_project(tmp_path), states)
    assert [rerun.stage for rerun in found] == ["first", "middle", "last"]
    assert found[0].because == ("raw/a changed",)
    assert found[2].because == ("results/b/part is recomputed",)


def test_a_result_that_was_edited_or_never_made(tmp_path: Path) -> None:
    states = [
        StageState("edited", False, (), ("results/a",), changed_outs={"results/a": "modified"}),
        StageState("new", False, (), ("results/b",), never_run=True, changed_outs={"results/b": "deleted"}),
        StageState("command", False, (), ("results/c",), changed_command=True),
        StageState("clean", False, (), ("results/d",)),
    ]
    because = {rerun.stage: rerun.because for rerun in would_run(_project(tmp_path), states)}
    assert because == {
        "edited": ("results/a changed",),
        "new": ("it never ran",),
        "command": ("its command changed",),
    }


def test_data_that_was_not_fetched_is_no_reason(tmp_path: Path) -> None:
    states = [
        StageState("raw/a.dvc", True, (), ("raw/a",), changed_outs={"raw/a": "not in cache"}),
        StageState(
            "vdet", False, ("raw/a",), ("results/a",),
            changed_deps={"raw/a": "deleted"}, changed_outs={"results/a": "not in cache"},
        ),
        StageState("next", False, ("results/a",), ("results/b",), changed_deps={"results/a": "deleted"}),
    ]  # fmt: skip
    assert would_run(_project(tmp_path), states) == []
    assert absent(states) == ["raw/a", "results/a"]
