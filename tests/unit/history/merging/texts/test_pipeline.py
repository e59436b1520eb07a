"""dvc.yaml, merged by stage and by key; what DVC would refuse is asked about or told."""

from __future__ import annotations

import time
from pathlib import Path, PurePosixPath

import pytest

from emdvc.history.merging.contract import ABSENT, NEITHER, Choices, Edited, Merged, Place, Side, Three
from emdvc.history.merging.texts.pipeline import merge_pipeline
from emdvc.history.project import Project

HERE = Place(Project(Path(), Path()))

BASE = """\
stages:
  # the virtual detector
  vdet:
    cmd: emdvc run virtual_detector raw/scan01.mib results/vdet.zarr
    deps: [raw/scan01.mib]
    params:
      - vdet
      - raw/scan01.mib.em.yaml: [diffraction]  # only these keys
      - .emdvc/steps.yaml: [virtual_detector]
    outs: [results/vdet.zarr]
    metrics: [{results/vdet.zarr.em.yaml: {cache: false}}]

  map:
    cmd: python map.py
    deps:
      - results/vdet.zarr
      - map.py
    outs:
      - results/map.png:
          cache: false
"""


def stage(name: str, out: str, dep: str = "raw/scan01.mib") -> str:
    return f"\n  {name}:\n    cmd: python {name}.py\n    deps: [{dep}]\n    outs: [{out}]\n"


def merged(ours: str, theirs: str, base: str | None = BASE, choices: Choices | None = None) -> Merged:
    sides = [None if side is None else side.encode() for side in (base, ours, theirs)]
    chosen = Choices() if choices is None else choices
    one = merge_pipeline(Three(PurePosixPath("dvc.yaml"), *sides), HERE, chosen)
    other = merge_pipeline(Three(PurePosixPath("dvc.yaml"), sides[0], sides[2], sides[1]), HERE, chosen)
    assert {c.key for c in one.conflicts} == {c.key for c in other.conflicts}
    assert one.notes == other.notes
    if not one.conflicts and choices is None:
        assert one.content == other.content
    return one


def text(merged: Merged) -> str:
    assert not merged.conflicts
    assert merged.content is not None
    return merged.content.decode()


def test_different_stages_are_both_kept() -> None:
    done = merged(BASE + stage("com", "results/com.zarr"), BASE + stage("bright", "results/bright.zarr"))
    assert text(done) == BASE + stage("bright", "results/bright.zarr") + stage("com", "results/com.zarr")
    assert done.notes == ()


def test_files_and_parameters_of_one_stage_are_sets() -> None:
    ours = BASE.replace("[raw/scan01.mib]", "[raw/scan01.mib, raw/dark.mib]").replace(
        "- vdet\n", "- vdet\n      - dark\n"
    )
    ours = ours.replace("cache: false\n", "cache: false\n      - results/map.csv\n")
    theirs = BASE.replace("[diffraction]", "[beam.energy, diffraction]").replace("      - map.py\n", "")
    theirs = theirs.replace("- vdet\n", "- bright\n")
    expected = (
        BASE.replace("[raw/scan01.mib]", "[raw/scan01.mib, raw/dark.mib]")
        .replace("- vdet\n", "- bright\n      - dark\n")
        .replace("[diffraction]", "[beam.energy, diffraction]")
        .replace("      - map.py\n", "")
        .replace("cache: false\n", "cache: false\n      - results/map.csv\n")
    )
    assert text(merged(ours, theirs)) == expected


def test_an_output_is_named_by_its_path() -> None:
    ours = BASE.replace("          cache: false\n", "          cache: false\n          desc: the map\n")
    theirs = BASE.replace("          cache: false\n", "          cache: false\n          push: false\n")
    expected = "          cache: false\n          desc: the map\n          push: false\n"
    assert text(merged(ours, theirs)) == BASE.replace("          cache: false\n", expected)
    ours, theirs = (BASE.replace("{cache: false}", f"{{cache: false, desc: {word}}}") for word in "ab")
    (conflict,) = merged(ours, theirs).conflicts
    assert conflict.key == 'stages.vdet.metrics."results/vdet.zarr.em.yaml".desc'
    chosen = merged(ours, theirs, choices=Choices({conflict.key: Edited("c")}))
    assert text(chosen) == BASE.replace("{cache: false}", "{cache: false, desc: c}")


def test_a_command_is_an_atom() -> None:
    ours, theirs = (BASE.replace("python map.py", f"python map.py {word}") for word in ("-a", "-b"))
    (conflict,) = merged(ours, theirs).conflicts
    assert (conflict.key, conflict.ours, conflict.theirs) == ("stages.map.cmd", "python map.py -a", "python map.py -b")
    ours = BASE.replace("cmd: python map.py", "cmd: [python map.py, python a.py]")
    theirs = BASE.replace("cmd: python map.py", "cmd: [python map.py, python b.py]")
    assert [c.key for c in merged(ours, theirs).conflicts] == ["stages.map.cmd"]


def test_a_stage_that_both_added_is_asked_about_where_it_differs() -> None:
    ours, theirs = BASE + stage("com", "a.zarr"), BASE + stage("com", "a.zarr").replace("com.py", "com.py -x")
    assert [c.key for c in merged(ours, theirs).conflicts] == ["stages.com.cmd"]


def test_a_stage_that_one_removed_and_the_other_changed() -> None:
    ours = BASE[: BASE.index("\n  map:")]
    (conflict,) = merged(ours, BASE.replace("map.py\n    deps", "map.py -v\n    deps")).conflicts
    assert (conflict.key, conflict.ours) == ("stages.map", ABSENT)


def test_everything_else_merges_by_key() -> None:
    base = "vars:\n  - a.yaml\n"
    base += "plots:\n  - p.csv:\n      x: t\n  - q.csv\nparams: [a.yaml]\nstages: {}\nartifacts:\n  m: {path: m.zarr}\n"
    ours = base.replace("- q.csv", "- q.csv\n  - r.csv").replace("[a.yaml]", "[a.yaml, b.yaml]")
    theirs = base.replace("x: t", "x: t\n      y: v").replace("m.zarr}", "m.zarr, type: model}")
    assert text(merged(ours, theirs, base)) == (
        ours.replace("x: t", "x: t\n      y: v").replace("m.zarr}", "m.zarr, type: model}")
    )


def test_stages_of_a_template_merge_like_others() -> None:
    base = "stages:\n  s:\n    foreach: [a, b]\n    do:\n      cmd: run ${item}\n      outs: ['${item}.zarr']\n"
    ours, theirs = base.replace("b]", "b, c]"), base.replace("run $", "run -v $")
    assert text(merged(ours, theirs, base)) == base.replace("b]", "b, c]").replace("run $", "run -v $")


# --- what DVC would refuse --------------------------------------------------------------------------------------------


def test_two_new_stages_that_write_one_file_are_asked_about() -> None:
    ours, theirs = BASE + stage("mine", "results/com.zarr"), BASE + stage("yours", "results/com.zarr")
    done = merged(ours, theirs)
    (conflict,) = done.conflicts
    assert conflict.key == 'stages.mine.outs."results/com.zarr"'
    assert (conflict.base, conflict.ours, conflict.theirs) == (ABSENT, "written by mine", "written by yours")
    assert "mine and yours would both write results/com.zarr" in conflict.why
    assert text(merged(ours, theirs, choices=Choices({conflict.key: Side.OURS}))) == ours
    assert text(merged(ours, theirs, choices=Choices({conflict.key: Side.THEIRS}))) == theirs
    assert text(merged(ours, theirs, choices=Choices({conflict.key: Side.BASE}))).strip() == BASE.strip()
    assert b"neither-" in (merged(ours, theirs, choices=Choices(rest=NEITHER)).content or b"")


def test_an_old_stage_that_now_writes_what_a_new_one_writes() -> None:
    ours = BASE.replace("outs: [results/vdet.zarr]", "desc: more\n    outs: [results/vdet.zarr, results/com.zarr]")
    theirs = BASE + stage("com", "com.zarr").replace("    cmd", "    wdir: results\n    cmd")
    (conflict,) = merged(ours, theirs).conflicts
    assert conflict.key == 'stages.com.outs."com.zarr"'
    assert text(merged(ours, theirs, choices=Choices(rest=Side.OURS))) == ours
    assert text(merged(ours, theirs, choices=Choices(rest=Side.THEIRS))) == theirs.replace(
        "    outs: [results/vdet.zarr]", "    desc: more\n    outs: [results/vdet.zarr]"
    )


def test_a_folder_and_a_file_in_it_have_one_writer() -> None:
    done = merged(BASE + stage("mine", "maps"), BASE + stage("yours", "maps/com.zarr"))
    assert [c.key for c in done.conflicts] == ["stages.mine.outs.maps"]


def test_the_same_new_stage_on_both_sides_is_no_second_writer() -> None:
    both = BASE + stage("com", "results/com.zarr")
    assert merged(both + stage("a", "a.zarr"), both + stage("b", "b.zarr")).conflicts == ()


def test_stages_that_come_to_wait_for_each_other_are_told() -> None:
    base = BASE + stage("a", "a.zarr") + stage("b", "b.zarr")
    ours = BASE + stage("a", "a.zarr", "b.zarr") + stage("b", "b.zarr")
    theirs = BASE + stage("a", "a.zarr") + stage("b", "b.zarr", "a.zarr")
    done = merged(ours, theirs, base)
    assert done.conflicts == ()
    assert done.notes == ("stages a, b now wait for each other: dvc refuses such a pipeline",)


def test_an_input_that_no_stage_writes_any_more_is_told() -> None:
    base = BASE + stage("a", "a.zarr")
    done = merged(base + stage("b", "b.zarr", "a.zarr"), BASE, base)
    assert done.notes == ("stage b depends on a.zarr, which no stage writes any more",)


def test_three_hundred_stages_merge_in_half_a_second() -> None:
    base = "stages:\n" + "".join(
        f"  s{n:03}:\n    cmd: emdvc run virtual_detector raw/s{n}.mib results/s{n}.zarr\n    deps: [raw/s{n}.mib]\n"
        f"    params:\n      - vdet\n      - raw/s{n}.mib.em.yaml: [diffraction]\n    outs: [results/s{n}.zarr]\n"
        f"    metrics: [{{results/s{n}.zarr.em.yaml: {{cache: false}}}}]\n"
        for n in range(300)
    )
    ours = base.replace("raw/s7.mib results", "raw/s7.mib --fast results") + stage("mine", "mine.zarr")
    theirs = base.replace("raw/s9.mib results", "raw/s9.mib --fast results") + stage("yours", "yours.zarr")
    sides = (PurePosixPath("dvc.yaml"), base.encode(), ours.encode(), theirs.encode())
    seconds = []
    for _ in range(3):
        began = time.process_time()
        done = merge_pipeline(Three(*sides), HERE, Choices())
        seconds.append(time.process_time() - began)
        assert text(done).count("--fast") == 2
    assert min(seconds) < 0.5


@pytest.mark.parametrize("base", ["stages:\n", "stages: {}\n", None])
def test_the_first_stages_of_a_project(base: str | None) -> None:
    ours, theirs = ("stages:" + stage(name, f"{name}.zarr") for name in "ba")
    expected = "stages:" + stage("a", "a.zarr") + stage("b", "b.zarr").removeprefix("\n")
    assert text(merged(ours, theirs, base)) == expected
