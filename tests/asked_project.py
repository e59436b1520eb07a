"""A git repository in which two branches changed the same things: what tests of conflicts begin with."""

from __future__ import annotations

from pathlib import Path

from own_machine import own_machine
from two_lines import Clone

from emdvc.history.project import Project

SIDECAR = """\
beam:
  current: {{value: {current}, unit: nA, origin: file}}
  energy: {energy}
schema_version: 1
source: {{}}
"""
BASE, OURS, THEIRS = (
    "{value: 200, unit: kV, origin: file}",
    "{value: 300, unit: kV, origin: file}",
    "{value: 200, unit: keV, origin: file}",
)
NOTES = "one\ntwo\nthree\nfour\nfive\nsix\nseven\n"


def two_branches(folder: Path) -> Clone:
    """Return a repository on ``main``, where ``tilt`` changed a sidecar, parameters, texts and a file that is gone."""
    (folder / ".dvc").mkdir(parents=True)
    here = Clone(folder)
    here.git("init", "-q", "-b", "main")
    here.write(".dvc/.gitignore", "/config.local\n/tmp\n/cache\n")
    here.write(".dvc/config", "")
    here.write("scan.em.yaml", SIDECAR.format(current=1, energy=BASE))
    here.write("params.yaml", "vdet:\n  inner: 10 mrad\n  outer: 20 mrad\n")
    here.write("notes.txt", NOTES)
    (folder / "pic.bin").write_bytes(b"a\0b")
    here.commit("Begin", gone_txt="gone\n")
    here.git("branch", "tilt")
    (folder / "pic.bin").write_bytes(b"a\0cc")
    here.write("scan.em.yaml", SIDECAR.format(current=2, energy=OURS))
    here.write("params.yaml", "vdet:\n  inner: 12 mrad\n  outer: 20 mrad\n")
    here.write("notes.txt", NOTES.replace("two", "TWO").replace("six", "SIX"))
    here.commit("Mine", gone_txt=None)
    here.git("switch", "-q", "tilt")
    (folder / "pic.bin").write_bytes(b"a\0ddd")
    here.write("scan.em.yaml", SIDECAR.format(current=3, energy=THEIRS))
    here.write("params.yaml", "vdet:\n  inner: 14 mrad\n  outer: 25 mrad\n")
    here.write("notes.txt", NOTES.replace("two", "Zwei").replace("four", "vier").replace("six", "sechs"))
    here.commit("Theirs", gone_txt="changed\n")
    here.git("switch", "-q", "main")
    return here


def in_conflict(place: Path) -> Clone:
    """Return the repository in the middle of a merge that no driver saw; made once for several tests, to be copied."""
    with own_machine(place / "machine"):
        here = two_branches(place / "project")
        here.git("merge", "-q", "tilt", status=1)
    return here


def merging(made: Clone, folder: Path) -> tuple[Clone, Project]:
    """Return a copy of it."""
    return made.copy(folder), Project(folder, folder)
