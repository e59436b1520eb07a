"""emdvc's own comparison gives the states that DVC gives: the same projects, in many states, asked of both."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from emdvc.history import dvc_pipeline
from emdvc.history.ask_dvc import AskDvcError
from emdvc.history.dvc_pipeline import StageState
from emdvc.history.initialise import initialise
from emdvc.history.project import Project
from emdvc.history.workspace import project_state
from emdvc.history.workspace.git_state import GitState
from emdvc.history.workspace.parsed_texts import ParsedTexts

PIPELINE = """\
stages:
  sum:
    cmd: python twice.py raw/scan.zarr/c/0 sum.txt
    deps: [raw/scan.zarr, twice.py]
    params: [sum, {side.yaml: [beam.energy, operator]}, {whole.yaml: null}, {more.json: [a.b]}]
    outs: [sum.txt]
    metrics: [{counts.json: {cache: false}}]
  store:
    wdir: sub
    cmd: python ../twice.py ../sum.txt store/x
    deps: [../sum.txt, ../raw/scan.zarr/c]
    outs: [{store: {desc: a folder}}]
  kept:
    cmd: python twice.py sum.txt kept.txt
    deps: [sum.txt]
    outs: [kept.txt]
    frozen: true
  always:
    cmd: python twice.py sum.txt again.txt
    outs: [again.txt]
    always_changed: true
  last:
    cmd:
      - python twice.py sub/store/x last.txt
      - python twice.py last.txt plot.csv
    deps: [sub/store]
    outs: [{last.txt: {push: false}}]
    plots: [{plot.csv: {cache: false, x: a}}]
"""
COPY = """\
import pathlib, sys
target = pathlib.Path(sys.argv[2])
target.parent.mkdir(exist_ok=True)
target.write_bytes(pathlib.Path(sys.argv[1]).read_bytes() + sys.argv[2].encode())
pathlib.Path("counts.json").write_text('{"n": 1}')
"""


def dvc(root: Path, *arguments: str) -> None:
    line = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(line, cwd=root, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def own(project: Project) -> tuple[list[StageState], project_state.Shared]:
    """Return what emdvc says by itself; asking DVC is a failure."""
    with GitState(project) as asked:
        found = project_state.look(project, asked, ParsedTexts(project))
    assert found.asked_dvc is None
    return found.states, found.shared()


def same(project: Project, overlooked: frozenset[str] = frozenset()) -> list[StageState]:
    """Compare both answers, the first of emdvc and the second, which comes out of its index; return the states.

    Of a directory whose list is nowhere DVC does not say that it is lost; `overlooked` names those.
    """
    theirs = sorted(dvc_pipeline.states(project), key=lambda state: state.name)
    answers = [own(project), own(project)]
    expected = project_state.shared_by_dvc(project)  # last: DVC fetches lists that the cache lacks
    for states, shared in answers:
        assert sorted(states, key=lambda state: state.name) == theirs
        assert (set(shared.lacking), set(shared.lost)) == (set(expected.lacking), {*expected.lost, *overlooked})
        assert (shared.remote, shared.url, shared.problem) == (expected.remote, expected.url, expected.problem)
    return answers[0][0]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a project with a directory and a file as raw data, and a pipeline that ran."""
    found = initialise(tmp_path / "project", f"lab={tmp_path / 'storage'}").project
    root = found.root
    (root / "raw" / "scan.zarr" / "c").mkdir(parents=True)
    for name in ("zarr.json", "c/0", "c/1", "c/é 2"):
        (root / "raw" / "scan.zarr" / name).write_bytes(name.encode())
    (root / "raw" / "one.bin").write_bytes(b"counts")
    (root / "sub").mkdir()
    (root / "twice.py").write_text(COPY)
    (root / "dvc.yaml").write_text(PIPELINE.replace("    frozen: true\n", ""))  # DVC runs no frozen stage
    (root / "params.yaml").write_text("sum: {inner: 3, limits: [1, 2.5]}\nother: 1\n")
    (root / "side.yaml").write_text("beam: {energy: 200, spread: 1}\noperator: Ruska\n")
    (root / "whole.yaml").write_text("a: 1\nb: {c: 2}\n")
    (root / "more.json").write_text('{"a": {"b": 1.0}}')
    dvc(root, "add", "raw/scan.zarr", "raw/one.bin")
    dvc(root, "repro", "-q")
    (root / "dvc.yaml").write_text(PIPELINE)
    dvc(root, "push", "-q")
    return found


def write(root: Path, path: str, content: str) -> None:
    file = root / path
    if file.exists():
        file.chmod(0o644)
    file.write_text(content)


def replace(root: Path, path: str, old: str, new: str) -> None:
    text = (root / path).read_text()
    assert old in text
    write(root, path, text.replace(old, new))


def objects(folder: Path, text: bytes) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file() and file.read_bytes() == text]


def lists(folder: Path) -> list[Path]:
    return list(folder.rglob("*.dir"))


def drop(files: list[Path]) -> None:
    assert files
    for file in files:
        file.chmod(0o644)
        file.unlink()


#: What is done to the project, and what then must differ: a part of the answer, so that the test sees it at all.
CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a chunk is written over": (lambda root: write(root, "raw/scan.zarr/c/1", "x"), "modified"),
    "a chunk is gone": (lambda root: (root / "raw/scan.zarr/c/1").unlink(), "modified"),
    "a chunk is new": (lambda root: write(root, "raw/scan.zarr/c/9", "x"), "modified"),
    "a chunk that is half written": (lambda root: write(root, "raw/scan.zarr/c/9.partial", "x"), "again.txt"),
    "raw data is gone": (lambda root: shutil.rmtree(root / "raw/scan.zarr"), "deleted"),
    "raw data is empty": (
        lambda root: (shutil.rmtree(root / "raw/scan.zarr"), (root / "raw/scan.zarr").mkdir()),
        "modified",
    ),
    "a directory became a file": (
        lambda root: (shutil.rmtree(root / "sub/store"), write(root, "sub/store", "x")),
        "sub/store",
    ),
    "a file became a directory": (
        lambda root: ((root / "raw/one.bin").unlink(), (root / "raw/one.bin").mkdir()),
        "one.bin",
    ),
    "a parameter": (lambda root: replace(root, "params.yaml", "inner: 3", "inner: 4"), "'sum': 'modified'"),
    "a parameter of nobody": (lambda root: replace(root, "params.yaml", "other: 1", "other: 2"), "again.txt"),
    "a parameter is gone": (lambda root: write(root, "params.yaml", "other: 1\n"), "'sum': 'deleted'"),
    "the same number": (lambda root: replace(root, "side.yaml", "200", "200.0"), "again.txt"),
    "a key of a sidecar": (lambda root: replace(root, "side.yaml", "200", "80"), "beam.energy"),
    "a new key": (
        lambda root: replace(root, "dvc.yaml", "operator]", "operator, beam.spread]"),
        "'beam.spread': 'new'",
    ),
    "a file of parameters is gone": (lambda root: (root / "side.yaml").unlink(), "deleted"),
    "a whole file": (lambda root: write(root, "whole.yaml", "a: 1\nd: 5\n"), "'d': 'new'"),
    "a date": (lambda root: write(root, "whole.yaml", "a: 1\nb: 2026-01-02\n"), "'b': 'modified'"),
    "parameters in JSON": (lambda root: write(root, "more.json", '{"a": {"b": 2}}'), "a.b"),
    "a command": (lambda root: replace(root, "dvc.yaml", "c/0 sum", "c/1 sum"), "changed_command=True"),
    "a line of a command": (
        lambda root: replace(root, "dvc.yaml", "last.txt plot.csv", "./last.txt plot.csv"),
        "changed_command=True",
    ),
    "a script": (lambda root: write(root, "twice.py", COPY + "\n"), "twice.py"),
    "a new dependency": (
        lambda root: replace(
            root, "dvc.yaml", "deps: [sum.txt]\n    outs: [kept", "deps: [sum.txt, twice.py]\n    outs: [kept"
        ),
        "kept",
    ),
    "an output is edited": (lambda root: write(root, "sum.txt", "x"), "sum.txt"),
    "an output in a folder": (lambda root: write(root, "sub/store/x", "x"), "sub/store"),
    "a metric is edited": (lambda root: write(root, "counts.json", "{}"), "counts.json"),
    "a metric is gone": (lambda root: (root / "counts.json").unlink(), "counts.json"),
    "a frozen stage": (lambda root: (write(root, "sum.txt", "x"), write(root, "kept.txt", "x")), "kept.txt"),
    "an object is gone": (lambda root: drop(objects(root / ".dvc/cache", b"c/1")), "not in cache"),
    "a list is gone": (lambda root: drop(lists(root / ".dvc/cache")), "not in cache"),
    "the cache is gone": (lambda root: shutil.rmtree(root / ".dvc/cache"), "not in cache"),
    "an object that anybody may write": (
        lambda root: [file.chmod(0o644) for file in objects(root / ".dvc/cache", b"c/1")],
        "again.txt",
    ),
    "an object that somebody wrote to": (
        lambda root: [write(file.parent, file.name, "x") for file in objects(root / ".dvc/cache", b"c/1")],
        "not in cache",
    ),
    "a stage that never ran": (
        lambda root: write(
            root,
            "dvc.yaml",
            PIPELINE
            + "  new:\n    cmd: python twice.py sum.txt new.txt\n"
            + "    deps: [sum.txt]\n    params: [sum]\n    outs: [new.txt]\n",
        ),
        "never_run=True",
    ),
    "nothing ever ran": (lambda root: (root / "dvc.lock").unlink(), "never_run=True"),
    "no pipeline": (lambda root: (root / "dvc.yaml").unlink(), "one.bin"),
    "a remote lacks it": (lambda root: drop(objects(root.parent / "storage", b"counts")), "again.txt"),
    "a remote lacks a directory": (lambda root: drop(lists(root.parent / "storage")), "again.txt"),
    "a remote is gone": (lambda root: shutil.rmtree(root.parent / "storage"), "again.txt"),
    "neither here nor there": (
        lambda root: (shutil.rmtree(root.parent / "storage"), shutil.rmtree(root / ".dvc/cache")),
        "not in cache",
    ),
    "a chunk neither here nor there": (
        lambda root: (
            drop(lists(root.parent / "storage")),
            drop(objects(root.parent / "storage", b"c/1")),
            drop(objects(root / ".dvc/cache", b"c/1")),
        ),
        "not in cache",
    ),
}
OVERLOOKED = {"neither here nor there": frozenset({"raw/scan.zarr", "sub/store"})}


@pytest.mark.slow
def test_the_states_are_those_of_dvc(project: Project) -> None:
    home = project.root.parent
    assert [state.name for state in same(project) if state.dirty] == ["always"]
    for number, (what, (change, seen)) in enumerate(CHANGES.items()):
        work = home / str(number)
        shutil.copytree(project.root, work / "project")
        shutil.copytree(home / "storage", work / "storage")
        copy = Project(work / "project", work / "project")
        (copy.dvc_dir / "config.local").write_text(f"['remote \"lab\"']\nurl = {work / 'storage'}\n")
        own(copy)  # so that the index knows the state before
        change(copy.root)
        print(what)
        assert seen in str(same(copy, OVERLOOKED.get(what, frozenset()))), what
        shutil.rmtree(work)


#: What is left to DVC, and the reason that is given.
LEFT: dict[str, tuple[Callable[[Path], object], str]] = {
    "a template": (lambda root: replace(root, "dvc.yaml", "c/0 sum", "${sum.inner} sum"), "template"),
    "stages of a list": (
        lambda root: write(root, "dvc.yaml", "stages:\n  a:\n    foreach: [x]\n    do: {cmd: 'true'}\n"),
        "says more",
    ),
    "variables": (lambda root: write(root, "dvc.yaml", "vars: [{a: 1}]\n" + PIPELINE), "says more"),
    "a pipeline in a folder": (lambda root: write(root, "sub/dvc.yaml", "stages: {a: {cmd: 'true'}}\n"), "in a folder"),
    "an import": (
        lambda root: write(root, "raw/one.bin.dvc", "deps: [{path: /data/x}]\nouts: [{path: one.bin}]\n"),
        "says more",
    ),
    "a place outside": (lambda root: replace(root, "dvc.yaml", "deps: [sum.txt]", "deps: [/etc/hosts]"), "the place"),
    "a remote place": (lambda root: replace(root, "dvc.yaml", "deps: [sum.txt]", "deps: ['s3://b/x']"), "the place"),
    "data of DVC 2": (lambda root: replace(root, "raw/one.bin.dvc", "  hash: md5\n", ""), "DVC 2"),
    "no YAML": (lambda root: write(root, "dvc.yaml", "stages: ["), "damaged"),
    "two stages write one file": (lambda root: replace(root, "dvc.yaml", "[again.txt]", "[sum.txt]"), "two outputs"),
    "patterns in a folder": (lambda root: write(root, "raw/.dvcignore", "c\n"), "folder"),
    "parameters of another kind": (
        lambda root: (write(root, "p.toml", "a = 1\n"), replace(root, "dvc.yaml", "whole.yaml: null", "p.toml: [a]")),
        "p.toml",
    ),
    "a wildcard key": (lambda root: replace(root, "dvc.yaml", "operator]", "'beam.*']"), "the key"),
    "a DVC at work": (
        lambda root: write(
            root, ".dvc/tmp/rwlock", json.dumps({"write": {str(root / "x"): {"pid": os.getpid(), "cmd": "dvc"}}})
        ),
        "at work",
    ),
}


@pytest.mark.parametrize("what", LEFT)
def test_what_is_out_of_the_ordinary_is_left_to_dvc(tmp_path: Path, what: str) -> None:
    found = initialise(tmp_path / "project").project
    (found.dvc_dir / "tmp").mkdir(exist_ok=True)
    (found.root / "dvc.yaml").write_text(PIPELINE)
    (found.root / "side.yaml").write_text("beam: {energy: 200}\n")
    lock = {"schema": "2.0", "stages": {"sum": {"cmd": "x", "params": {"side.yaml": {"operator": 1}, "p.toml": {}}}}}
    (found.root / "dvc.lock").write_text(json.dumps(lock))
    pointer = "outs:\n- md5: 0123456789abcdef0123456789abcdef\n  size: 1\n  hash: md5\n  path: one.bin\n"
    (found.root / "raw" / "one.bin.dvc").write_text(pointer)
    (found.root / "sub").mkdir()
    change, reason = LEFT[what]
    change(found.root)
    with GitState(found) as asked, pytest.raises(AskDvcError, match=reason):
        project_state.own(found, asked, ParsedTexts(found))


def test_a_project_that_is_left_to_dvc_has_its_states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = initialise(tmp_path / "project").project
    text = "stages:\n  a:\n    foreach: [x, y]\n    do:\n      cmd: touch ${item}\n      outs: ['${item}']\n"
    (found.root / "dvc.yaml").write_text(text)
    with GitState(found) as asked:
        answer = project_state.look(found, asked, ParsedTexts(found))
    assert answer.asked_dvc is not None
    assert [(state.name, state.never_run) for state in answer.states] == [("a@x", True), ("a@y", True)]
