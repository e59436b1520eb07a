"""`emdvc gc`: shows first, removes with --yes, and never what a branch, a tag, a stash or another project needs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import warnings
from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest
from command_line import Emdvc

NOW = ("--fresh-hours", "0", "--keep-days", "0")


def run(*words: str, cwd: Path) -> str:
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}{done.stderr}"
    return done.stdout.strip()


def git(*words: str, cwd: Path) -> str:
    return run("git", *words, cwd=cwd)


def dvc(*words: str, cwd: Path) -> None:
    """Run DVC as a person does, without waiting each time for its import."""
    from dvc.cli import main

    with chdir(cwd), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what DVC uses of other packages is its own matter
        assert main([*words]) == 0, f"dvc {' '.join(words)}"


def scan(path: Path, value: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.full((3, 4, 8, 8), value, "u2"))
    return path


def objects(folder: Path) -> set[str]:
    return {"".join(path.parts[-2:]) for path in (folder / "files" / "md5").rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, machine: pytest.MonkeyPatch) -> Path:
    """Make a project whose data is needed by main, by a branch, by a tag and by a stash."""
    base = tmp_path_factory.mktemp("template")
    emdvc, project = Emdvc(base), base / "project"
    git("init", "-q", "--bare", str(base / "hub.git"), cwd=base)
    emdvc("init", project, "--remote", f"lab={base / 'storage'}")
    git("remote", "add", "origin", str(base / "hub.git"), cwd=project)
    emdvc("add", scan(base / "main.npy", 1), cwd=project)
    emdvc("save", "-m", "main", cwd=project)
    git("switch", "-qc", "tagged", cwd=project)
    emdvc("add", scan(base / "tagged.npy", 2), cwd=project)
    emdvc("save", "-m", "tagged", cwd=project)
    git("tag", "v1", cwd=project)
    git("switch", "-q", "main", cwd=project)
    git("branch", "-qD", "tagged", cwd=project)
    git("push", "-q", "origin", "v1", ":tagged", cwd=project)
    (project / "raw" / "tagged.npy").unlink()
    emdvc("add", scan(base / "stashed.npy", 3), cwd=project)
    git("stash", "-q", cwd=project)
    (project / "raw" / "stashed.npy").unlink()
    git("switch", "-qc", "abandoned", cwd=project)
    emdvc("add", scan(base / "abandoned.npy", 4), cwd=project)
    emdvc("save", "-m", "abandoned", cwd=project)
    git("switch", "-q", "main", cwd=project)
    git("branch", "-qD", "abandoned", cwd=project)
    git("push", "-q", "origin", ":abandoned", cwd=project)
    (project / "raw" / "abandoned.npy").unlink()
    # a result that was computed, and never committed
    words = ("-d", "raw/README.md", "-o", "results/try.txt", "echo tried > results/try.txt")
    dvc("stage", "add", "-q", "-n", "try", *words, cwd=project)
    dvc("repro", "-q", cwd=project)
    git("checkout", "-q", "--", ".", cwd=project)
    for path in ("dvc.yaml", "dvc.lock", "results/try.txt"):
        (project / path).unlink(missing_ok=True)
    git("reset", "-q", "--hard", cwd=project)
    return base


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Path:
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    for settings in (tmp_path / "project/.dvc/config", tmp_path / "project/.git/config"):
        settings.write_text(settings.read_text().replace(str(template), str(tmp_path)))
    for file in (tmp_path / "storage" / "emdvc-projects").iterdir():
        file.unlink()  # the copy is another project
    git("commit", "-qam", "its remote", "--no-verify", cwd=tmp_path / "project")
    git("push", "-q", cwd=tmp_path / "project")
    return tmp_path / "project"


def test_shown_first_and_every_revision_still_has_its_data(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    cache = project / ".dvc" / "cache"
    before = objects(cache)
    # by itself nothing goes that came today, or that a commit of the last days needs
    assert "nothing to remove" in emdvc("gc", cwd=project).stdout
    said = json.loads(emdvc("gc", *NOW, "--json", cwd=project).stdout)
    assert said["removed"] is False
    assert objects(cache) == before
    (place,) = said["places"]
    (gone,) = place["goes"]
    assert gone["dataset"].startswith("results/try.txt"), "the result that nobody committed"
    assert len(place["runs"]) == 1, "and the record of the run, which would promise it"
    assert any("raw data" in why for why in place["kept"]), "what was abandoned is raw data, and stays"
    assert "would go" in emdvc("gc", *NOW, cwd=project).stdout
    emdvc("gc", *NOW, "--yes", cwd=project)
    assert before - objects(cache) == {gone["md5"]}
    # raw data that only an abandoned commit had goes by name, with a reason
    emdvc("gc", *NOW, "--raw", "raw/abandoned.npy", "--yes", cwd=project, status=2)
    named = emdvc("gc", *NOW, "--raw", "raw/abandoned.npy", "--reason", "a test", cwd=project).stdout
    assert "raw/abandoned.npy" in named and '"abandoned"' in named and "would lose data" in named
    where = ("--remote", "lab", "--cache")
    emdvc("gc", *NOW, *where, "--raw", "raw/abandoned.npy", "--reason", "a test", "--yes", cwd=project)
    assert len(before - objects(cache)) == 2
    assert len(objects(tmp_path / "storage")) == 2, "main and tagged; the stash was never pushed"
    (log,) = (tmp_path / "storage" / "emdvc-projects").glob("removed-*")
    assert "a test" in log.read_text()
    for revision, name in (("main", "main.npy"), ("v1", "tagged.npy")):
        clone = tmp_path / revision
        git("clone", "-q", "-b", revision, str(tmp_path / "hub.git"), str(clone), cwd=tmp_path)
        dvc("pull", "-q", cwd=clone)
        assert (clone / "raw" / name).read_bytes() == (tmp_path / name).read_bytes()
    git("stash", "pop", "-q", cwd=project)
    dvc("checkout", "-q", cwd=project)
    assert (project / "raw" / "stashed.npy").read_bytes() == (tmp_path / "stashed.npy").read_bytes()


def test_what_a_colleague_pushed_and_what_lies_in_a_worktree(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    clone = tmp_path / "clone"
    emdvc("get", str(tmp_path / "hub.git"), clone)
    git("switch", "-qc", "theirs", cwd=clone)
    emdvc("add", scan(tmp_path / "theirs.npy", 5), cwd=clone)
    emdvc("save", "-m", "theirs", cwd=clone)
    # committed and sent, and the history of it is on no server yet
    emdvc("add", scan(tmp_path / "later.npy", 6), cwd=clone)
    git("commit", "-qm", "later", cwd=clone)
    emdvc("push", cwd=clone)
    git("worktree", "add", "-q", "--detach", str(tmp_path / "tree"), cwd=project)
    tree = tmp_path / "tree"
    (tree / "raw" / "own.npy.dvc").write_text("outs:\n- md5: 0123456789abcdef0123456789abcdef\n  path: own.npy\n")
    odd = project / ".dvc" / "cache" / "files" / "md5" / "01" / "23456789abcdef0123456789abcdef"
    odd.parent.mkdir(parents=True, exist_ok=True)
    odd.write_bytes(b"needed by the worktree alone")
    before = objects(tmp_path / "storage")
    emdvc("gc", *NOW, "--remote", "lab", "--cache", "--unknown", "--yes", cwd=project)
    assert objects(tmp_path / "storage") == before
    assert odd.exists()
    assert git("for-each-ref", "refs/emdvc-gc", cwd=project) == ""
    # a server that does not answer: what others need is not known
    git("remote", "set-url", "origin", str(tmp_path / "gone.git"), cwd=project)
    refused = emdvc("gc", *NOW, "--remote", "lab", "--yes", cwd=project, status=2)
    assert "EM-DATA-NEEDED" in refused.stderr
    assert "nothing is deleted" in refused.stderr


def test_other_projects_on_the_same_remote(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    other, storage = tmp_path / "other", tmp_path / "storage"
    emdvc("init", other, "--remote", f"lab={storage}")
    emdvc("add", scan(tmp_path / "foreign.npy", 7), cwd=other)
    emdvc("save", "-m", "another project", cwd=other)
    # of a third one, which only DVC knows, nothing is told: its objects stay
    stray = storage / "files" / "md5" / "ff" / ("f" * 30)
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"whose is this?")
    before = objects(storage)
    done = emdvc("gc", *NOW, "--remote", "lab", "--yes", cwd=project)
    assert objects(storage) == before
    assert "of no project that told of itself" in done.stdout
    emdvc("gc", *NOW, "--remote", "lab", "--yes", "--unknown", cwd=project)
    assert before - objects(storage) == {"f" * 32}, "the other project told of itself"
    # one that cannot be read any more: nothing goes, and it is named
    (file,) = (path for path in (storage / "emdvc-projects").iterdir() if "name: other" in path.read_text())
    file.write_text(file.read_text().replace(str(other), str(tmp_path / "moved")))
    refused = emdvc("gc", *NOW, "--remote", "lab", "--yes", "--unknown", cwd=project, status=2)
    assert "what the project other needs of lab is not known" in refused.stderr


def test_what_has_just_come_and_an_archive_are_left(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    fresh = tmp_path / "storage" / "files" / "md5" / "ee" / ("e" * 30)
    fresh.parent.mkdir(parents=True)
    fresh.write_bytes(b"somebody is pushing")
    os.utime(fresh, (time.time() - 1e6,) * 2)  # the time of its making says nothing of its arrival
    done = emdvc("gc", "--remote", "lab", "--keep-days", "0", "--unknown", "--yes", cwd=project)
    assert fresh.exists()
    assert "came within the last 24 hours" in done.stdout
    config = project / ".emdvc" / "config.yaml"
    config.write_text(config.read_text() + "remotes:\n  profiles: {lab: archive}\n")
    assert "is an archive" in emdvc("gc", *NOW, "--remote", "lab", "--yes", cwd=project, status=2).stderr


def test_a_list_of_files_that_is_nowhere_ends_it(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    (project / "raw" / "lost.dvc").write_text(f"outs:\n- md5: {'a' * 32}.dir\n  path: lost\n")
    refused = emdvc("gc", *NOW, "--yes", cwd=project, status=3)
    assert "EM-DATA-NEEDED" in refused.stderr
    assert "raw/lost.dvc" in refused.stderr


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="two users are needed")
def test_another_users_objects_in_a_shared_cache(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    shared = tmp_path / "shared"
    theirs = tmp_path / "theirs"
    for folder in (project, theirs):
        if folder is theirs:
            emdvc("init", theirs)
        dvc("config", "--local", "cache.dir", str(shared), cwd=folder)
    dvc("repro", "-q", cwd=project) if (project / "dvc.yaml").exists() else None
    emdvc("add", scan(tmp_path / "a.npy", 8), cwd=theirs)
    emdvc("save", "-m", "theirs", "--no-push", cwd=theirs)
    scan(theirs / "raw" / "plain.npy", 9)
    dvc("add", "-q", "raw/plain.npy", cwd=theirs)  # and nobody knows of this one yet
    emdvc("add", scan(tmp_path / "b.npy", 10), cwd=project)
    emdvc("save", "-m", "mine", "--no-push", cwd=project)
    for file in (shared / "files" / "md5").rglob("*"):
        if file.is_file() and file.stat().st_nlink == 1:
            os.chown(file, 4321, -1)
    before = objects(shared)
    assert len(before) == 3
    emdvc("gc", *NOW, "--yes", "--unknown", cwd=project)
    assert objects(shared) == before
    # what plain DVC does in the same place
    dvc("gc", "--workspace", "-f", "-q", cwd=project)
    assert objects(shared) < before
