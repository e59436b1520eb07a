"""Conflicts answered by command, by an editor, by git's mergetool, in a merge and in a rebase: real git, real DVC."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from asked_project import OURS, SIDECAR, THEIRS, merging
from asked_project import in_conflict as made_in_conflict
from command_line import Emdvc
from two_lines import Clone

POINTER, LABELS = "labels.zarr.dvc", "labels.zarr.em.yaml"
REGION = "labels[34:40, 36:42]"
posix = pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal, and git a shell script")


def labels(folder: Path) -> Any:
    return zarr.open_group(folder / "labels.zarr", mode="r+")["labels"]


@pytest.fixture(scope="module")
def annotated(tmp_path_factory: pytest.TempPathFactory, machine: pytest.MonkeyPatch) -> Clone:
    """Return a project in which two people annotated one array, on ``main`` and on ``bob``."""
    folder = tmp_path_factory.mktemp("annotated") / "project"
    here = Clone(folder)
    Emdvc(folder.parent)("init", folder)
    group = zarr.open_group(folder / "labels.zarr", mode="w", zarr_format=3)
    array = group.create_array("labels", shape=(64, 64), chunks=(16, 16), dtype="uint8", dimension_names=["y", "x"])
    array[30:50, 30:55] = 2
    here.emdvc("add", "labels.zarr", "--mergeable", "labels")
    here.commit("Begin")
    here.git("branch", "bob")
    for branch, boxes, message in (
        ("main", ((np.s_[6:12, 35:45], 4), (np.s_[32:40, 32:42], 1)), "Grain 1 is larger"),
        ("bob", ((np.s_[34:44, 36:46], 3), (np.s_[52:58, 14:18], 5)), "Grain 3 reaches further"),
    ):
        if branch == "bob":
            here.git("switch", "-q", "bob")
            here.dvc("checkout", "-q")
        for box, value in boxes:
            labels(folder)[box] = value
        here.emdvc("save", "--no-push", "-m", message)
    here.git("switch", "-q", "main")
    here.dvc("checkout", "-q")
    return here


@pytest.fixture
def merge(annotated: Clone, tmp_path: Path) -> Clone:
    """Return the project with the merge of both, in conflict."""
    here = annotated.copy(tmp_path / "project")
    here.git("merge", "bob", status=1)
    return here


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    return made_in_conflict(tmp_path_factory.mktemp("asked"))


def test_a_region_is_shown_and_answered_in_parts(merge: Clone) -> None:
    said = (merge.folder / f"{POINTER}.conflict.yaml").read_text(encoding="utf-8")
    assert f"# {REGION}: both changed" in said
    assert (merge.folder / f"{POINTER}.conflict.png").read_bytes().startswith(b"\x89PNG")
    assert "conflict  labels.zarr.dvc: labels[34:40, 36:42]; emdvc merge --resolve" in merge.emdvc("status").stdout

    done = merge.emdvc("merge", "--resolve", "labels.zarr", "ours", "--region", "30:40,0:38", "--json")
    answer = json.loads(done.stdout)
    assert answer["schema"] == "emdvc/merge_resolve"
    assert [taken["key"] for taken in answer["taken"]] == ["labels[34:40, 36:38]"]
    assert answer["next"] is None
    done = merge.emdvc("merge", "--resolve", "labels.zarr", "theirs")
    assert "labels[34:40, 38:42]: 3 (theirs), was 2" in done.stdout
    assert done.stdout.endswith("next: emdvc merge --continue\n")
    assert not list(merge.folder.glob("*.conflict.*"))

    merge.emdvc("merge", "--continue")
    now = labels(merge.folder)[...]
    assert now[34:40, 36:38].tolist() == [[1, 1]] * 6
    assert now[34:40, 38:42].tolist() == [[3, 3, 3, 3]] * 6
    assert now[6, 35] == 4
    assert now[52, 14] == 5
    assert merge.dvc("status").strip() == "Data and pipelines are up to date."


def test_what_lies_in_the_workspace_is_an_answer(merge: Clone) -> None:
    labels(merge.folder)[34:40, 36:42] = 7
    done = merge.emdvc("merge", "--resolve", "labels.zarr", "edit")
    assert f"{REGION}: as it lies in the workspace (edited), was 2" in done.stdout
    merge.emdvc("merge", "--continue")
    now = labels(merge.folder)[...]
    assert np.unique(now[34:40, 36:42]).tolist() == [7]
    assert now[52, 14] == 5
    assert merge.dvc("status").strip() == "Data and pipelines are up to date."


def test_an_accident_is_refused_and_can_be_mended(merge: Clone) -> None:
    merge.git("add", "--all")
    merge.git("commit", "-qm", "Accident", status=1)
    merge.git("commit", "-qm", "Accident", "--no-verify")
    assert f"conflict  {POINTER}: {REGION}" in merge.emdvc("status").stdout
    with pytest.raises(Exception, match="returned non-zero exit status"):
        merge.dvc("checkout")
    done = merge.emdvc("merge", "--resolve", "labels.zarr", "ours")
    assert done.stdout.endswith('next: git commit -m "..."\n')
    merge.git("commit", "-qm", "Mended")
    merge.dvc("checkout", "-q")
    assert "nothing changed, every result is up to date" in merge.emdvc("status", "--no-remote").stdout


def test_wrong_answers_say_what_is_right(merge: Clone) -> None:
    for words, says in (
        (("labels.zarr",), "which side is to be taken?"),
        (("labels.zarr", "ours", "theirs"), "one answer at a time"),
        (("labels.zarr", "ours", "--region", "label[0:4, 0:4]"), "did you mean labels?"),
        (("labels.zarr", "ours", "--region", "0:4, 0:4"), f"--region '{REGION}'"),
        (("labels.zarr", "edit", "--region", REGION, "--value", "3"), "a region has no single value"),
        (("labels", "ours"), "did you mean labels.zarr?"),
    ):
        assert says in merge.emdvc("merge", "--resolve", *words, status=2).stderr
    done = merge.emdvc("merge", "--resolve", LABELS, "ours")
    assert f"{LABELS} follows {POINTER}" in done.stdout


def test_a_rebase_is_answered_the_same_way(annotated: Clone, tmp_path: Path) -> None:
    here = annotated.copy(tmp_path / "project")
    here.git("switch", "-q", "bob")
    here.git("rebase", "-q", "main", status=1)
    done = here.emdvc("merge", "--resolve", "labels.zarr", "theirs")
    assert done.stdout.endswith("next: git rebase --continue\n")
    here.git("-c", "core.editor=true", "rebase", "--continue")
    here.dvc("checkout", "-q")
    now = labels(here.folder)[...]
    assert np.unique(now[34:40, 36:42]).tolist() == [3]
    assert now[6, 35] == 4
    assert here.dvc("status").strip() == "Data and pipelines are up to date."


@posix
def test_git_mergetool_asks_on_the_terminal(merge: Clone) -> None:
    printed, status = on_terminal(["git", "mergetool", "-y", "-t", "emdvc"], merge.folder, ["what", "t"])
    assert status == 0
    assert f"{POINTER}: {REGION}" in printed
    assert "theirs  3  bob, " in printed
    assert f"picture: {POINTER}.conflict.png" in printed
    assert f"{REGION}: 3 (theirs), was 2" in printed
    assert merge.git("diff", "--name-only", "--diff-filter=U") == ""
    merge.emdvc("merge", "--continue")
    assert merge.dvc("status").strip() == "Data and pipelines are up to date."


@posix
def test_what_is_skipped_stays_open(asked: Clone, tmp_path: Path) -> None:
    here, _ = merging(asked, tmp_path / "project")
    command = [sys.executable, "-m", "emdvc", "merge", "--tool", "scan.em.yaml"]
    printed, status = on_terminal(command, here.folder, ["s", "t"])
    assert status == 1
    assert "beam.energy: 200 keV (theirs), was 200 kV" in printed
    assert "UU scan.em.yaml" in here.git("status", "--short")
    _, status = on_terminal(command, here.folder, ["ours"])
    assert status == 0
    assert (here.folder / "scan.em.yaml").read_text(encoding="utf-8") == SIDECAR.format(current=2, energy=THEIRS)


def test_without_a_terminal_it_says_what_to_type(asked: Clone, tmp_path: Path) -> None:
    here, _ = merging(asked, tmp_path / "project")
    done = here.emdvc("merge", "--tool", "scan.em.yaml", status=1)
    assert "emdvc merge --resolve scan.em.yaml theirs --key beam.current" in done.stdout
    assert "this is no terminal" in done.stderr
    done = here.emdvc("merge", "--resolve", "scan.em.yaml", "edit", status=2)
    assert "give the value: --value" in done.stderr


@posix
def test_any_tool_that_edits_the_file_will_do(asked: Clone, tmp_path: Path) -> None:
    here, _ = merging(asked, tmp_path / "project")
    here.emdvc("merge", "--resolve", "scan.em.yaml", "theirs", "--key", "beam.current")
    tool = tmp_path / "tool.py"
    # what a person does: ours between the markers stays, the rest goes
    tool.write_text(
        "import re, sys\n"
        "from pathlib import Path\n"
        "file = Path(sys.argv[1])\n"
        "taken = re.sub(r'(?ms)^<<<<<<< .*?\\n(.*?)^\\|{7} .*?^>>>>>>> .*?\\n', r'\\1', file.read_text())\n"
        "file.write_text(taken)\n"
    )
    here.git("config", "mergetool.mine.cmd", f'"{sys.executable}" "{tool}" "$MERGED"')
    here.git("config", "mergetool.mine.trustExitCode", "true")
    here.git("mergetool", "-y", "-t", "mine", "scan.em.yaml")
    assert (here.folder / "scan.em.yaml").read_text(encoding="utf-8") == SIDECAR.format(current=3, energy=OURS)
    assert "scan.em.yaml" not in here.git("diff", "--name-only", "--diff-filter=U")
    assert "scan.em.yaml" not in here.emdvc("merge", "--resolve", "params.yaml", "ours").stdout


@posix
def test_an_editor_takes_the_value(asked: Clone, tmp_path: Path) -> None:
    here, _ = merging(asked, tmp_path / "project")
    editor = tmp_path / "editor.sh"
    editor.write_text('#!/bin/sh\ngrep -q "theirs  3 nA" "$1" && sed -i.bak "s/^2 nA/2.5 nA/" "$1"\n')
    editor.chmod(0o755)
    here.git("config", "core.editor", str(editor))
    command = [sys.executable, "-m", "emdvc", "merge", "--resolve", "scan.em.yaml", "edit", "--key", "beam.current"]
    printed, status = on_terminal(command, here.folder, [])
    assert status == 0
    assert "beam.current: 2.5 nA (edited), was 1 nA" in printed


def on_terminal(command: list[str], folder: Path, answers: list[str]) -> tuple[str, int]:
    """Run a command on a pseudo-terminal, type an answer at each question, and return what stood there."""
    import pty

    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execvpe(command[0], command, {**os.environ, "PYTHONIOENCODING": "utf-8"})
    printed, left = b"", list(answers)
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # Linux says so where the other end is closed
            break
        if not part:
            break
        printed += part
        if printed.endswith(b"s skip: ") and left:
            os.write(terminal, f"{left.pop(0)}\n".encode())
    os.close(terminal)
    return printed.decode("utf-8", "replace"), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
