"""Conflicts for a reader: what was taken with units, what is still open, what to type next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

from emdvc.history.git import Commit
from emdvc.history.merging.asking.asked import ConflictFile, Question, SideFile
from emdvc.history.merging.asking.resolving import Resolved, Taken
from emdvc.history.merging.contract import Region, Side
from emdvc.history.project import Project
from emdvc.render import conflict

PROJECT = Project(Path("/here/project"), Path("/here"))
PATH = PurePosixPath("project/raw/scan.em.yaml")
LAST = Commit("1" * 40, "1111111", "Correct the energy", "Bob", "2026-11-20T10:00:00+01:00")
KEPT = ConflictFile(
    PATH,
    {Side.BASE: SideFile(), Side.OURS: SideFile(name="main"), Side.THEIRS: SideFile(name="tilt", last=LAST)},
    (
        Question("beam.energy", "both sides changed it", "200 kV", "300 kV", "200 keV", chosen=Side.THEIRS),
        Question("beam.current", "both sides changed it", "1 nA", "2 nA", "not there"),
    ),
)


def test_what_was_taken_and_what_is_open() -> None:
    taken = Taken(PATH, "beam.energy", "theirs", "200 keV", "200 kV")
    other = replace(KEPT, path=PurePosixPath("project/params.yaml"))
    lines = conflict.resolved(Resolved((taken,), (), (KEPT, other), repro=("vdet",)), PROJECT)
    assert lines == [
        "beam.energy: 200 keV (theirs), was 200 kV",
        "to be computed again: dvc repro vdet",
        "still open: raw/scan.em.yaml",
        "                base  ours  theirs",
        "  beam.current  1 nA  2 nA  not there",
        "  emdvc merge --resolve raw/scan.em.yaml ours|theirs",
        "also still open: params.yaml (1)",
    ]


def test_nothing_left_names_the_next_command() -> None:
    done = Resolved((), (PATH,), (), next="emdvc merge --continue")
    assert conflict.resolved(done, PROJECT) == ["settled: raw/scan.em.yaml", "next: emdvc merge --continue"]


def test_many_conflicts_are_counted() -> None:
    many = tuple(Question(f"key{number}", "why", "1", "2", "3") for number in range(20))
    assert conflict.table(many)[-1] == "  and 8 more"
    assert conflict.table(many[:1])[-1].split() == ["key0", "1", "2", "3"]


def test_a_question_says_who_and_why() -> None:
    lines = conflict.question(KEPT, KEPT.open[0], PROJECT)
    assert lines[1:4] == ["raw/scan.em.yaml: beam.current", "  both sides changed it", "  base    1 nA"]
    assert lines[5].split("  ")[-1] == "tilt, Bob, 2026-11-20: Correct the energy"


def test_plain_values() -> None:
    region = Region("labels", ((0, 2), (3, 4)))
    kept = replace(KEPT, questions=(replace(KEPT.questions[0], region=region),))
    assert conflict.as_dict(Resolved((), (), (kept,)))["open"] == [
        {
            "path": str(PATH),
            "sides": {"ours": "main", "theirs": "tilt, Bob, 2026-11-20: Correct the energy"},
            "conflicts": [
                {
                    "key": "beam.energy",
                    "why": "both sides changed it",
                    "base": "200 kV",
                    "ours": "300 kV",
                    "theirs": "200 keV",
                    "region": "labels[0:2, 3:4]",
                    "chosen": "theirs",
                }
            ],
        }
    ]
