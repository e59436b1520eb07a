"""Ten ways to damage raw data, in real repositories: each is refused or detected, and each can be taken back."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Mapping
from contextlib import chdir
from pathlib import Path

import h5py
import numpy as np
import pytest
from command_line import Emdvc

RAW = "raw/scan.npy"


def run(*words: str, cwd: Path, status: int | None = 0, env: Mapping[str, str] | None = None) -> str:
    """Run a program of the shell and return all that it said."""
    done = subprocess.run(
        words, cwd=cwd, capture_output=True, text=True, env={**os.environ, **(env or {})}, check=False, timeout=120
    )
    said = done.stdout + done.stderr
    assert status is None or done.returncode == status, f"{' '.join(words)}: {done.returncode}\n{said}"
    return said


def git(*words: str, cwd: Path, status: int | None = 0) -> str:
    return run("git", *words, cwd=cwd, status=status).strip()


def dvc(*words: str, cwd: Path, status: int | None = 0) -> None:
    """Run DVC as a person does, without waiting each time for its import."""
    from dvc.cli import main

    with chdir(cwd), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what DVC uses of other packages is its own matter
        found = main([*words])
    assert status is None or found == status, f"dvc {' '.join(words)}: {found}"


def write_scan(path: Path, value: int) -> Path:
    np.save(path, np.full((3, 4, 8, 8), value, "u2"))
    return path


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, machine: pytest.MonkeyPatch) -> Path:
    """Make a project with one scan that is saved, its remote and its hub: each test gets a copy."""
    base = tmp_path_factory.mktemp("template")
    emdvc = Emdvc(base)
    git("init", "-q", "--bare", str(base / "hub.git"), cwd=base)
    emdvc("init", base / "project", "--remote", f"lab={base / 'storage'}")
    emdvc("add", write_scan(base / "scan.npy", 1), cwd=base / "project")
    git("remote", "add", "origin", str(base / "hub.git"), cwd=base / "project")
    emdvc("save", "-m", "first", cwd=base / "project")
    return base


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Path:
    """Return a copy of the project, beside its own remote and hub."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    for settings in (tmp_path / "project/.dvc/config", tmp_path / "project/.git/config"):
        settings.write_text(settings.read_text().replace(str(template), str(tmp_path)))
    git("commit", "-qam", "its remote", "--no-verify", cwd=tmp_path / "project", status=None)
    git("push", "-q", cwd=tmp_path / "project")
    return tmp_path / "project"


@pytest.fixture
def hub(project: Path) -> Path:
    return project.parent / "hub.git"


def good(project: Path, tmp_path: Path) -> None:
    """The workspace has the bytes of the instrument again, and nothing complains."""
    assert (project / RAW).read_bytes() == (tmp_path / "scan.npy").read_bytes()
    Emdvc(project)("verify", "--raw")


def test_1_edit_in_place(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    raw = project / RAW
    assert not raw.stat().st_mode & 0o222, "a program that opens it for writing is refused by the system"
    raw.chmod(0o644)  # on purpose
    with raw.open("r+b") as file:
        file.seek(200)
        file.write(b"\xff")
    assert f"{RAW}: modified (workspace)" in emdvc("verify", "--raw", cwd=project, status=1).stdout
    assert "EM-RAW-CHANGED" in emdvc("save", "-m", "oops", cwd=project, status=4).stderr
    dvc("checkout", "--force", "-q", RAW, cwd=project)
    good(project, tmp_path)
    assert not raw.stat().st_mode & 0o222, "the check made what DVC had written read-only again"


def test_2_truncate(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    raw = project / RAW
    raw.chmod(0o644)
    os.truncate(raw, 100)
    assert "modified" in emdvc("verify", "--raw", cwd=project, status=1).stdout
    dvc("checkout", "--force", "-q", RAW, cwd=project)
    good(project, tmp_path)


def test_3_delete(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    (project / RAW).unlink()
    assert f"{RAW} is recorded, but not here" in emdvc("verify", "--raw", cwd=project).stderr
    dvc("checkout", "-q", RAW, cwd=project)
    good(project, tmp_path)
    # the pointer, too
    git("rm", "-q", f"{RAW}.dvc", cwd=project)
    assert f"{RAW}: dropped (index)" in git("commit", "-qm", "gone", cwd=project, status=1)
    assert "was dropped" in emdvc("save", "-m", "gone", cwd=project, status=4).stderr
    git("commit", "-qm", "gone", "--no-verify", cwd=project)
    assert "dropped (in " in emdvc("verify", "--raw", "origin/main..HEAD", cwd=project, status=1).stdout
    refused = git("push", "-q", cwd=project, status=1)
    assert "dropped" in refused
    git("checkout", "-q", "HEAD~1", "--", f"{RAW}.dvc", cwd=project)
    emdvc("save", "-m", "back", cwd=project)
    good(project, tmp_path)


def test_4_overwrite_by_add(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    (tmp_path / "other").mkdir()
    other = write_scan(tmp_path / "other" / "scan.npy", 2)
    assert "EM-RAW-EXISTS" in emdvc("add", other, cwd=project, status=4).stderr
    # past emdvc
    (project / RAW).chmod(0o644)
    (project / RAW).write_bytes(other.read_bytes())
    dvc("add", "-q", RAW, cwd=project)
    assert f"{RAW}: changed (index)" in git("commit", "-qam", "other", cwd=project, status=1)
    git("checkout", "-q", "HEAD", "--", f"{RAW}.dvc", cwd=project)
    dvc("checkout", "--force", "-q", RAW, cwd=project)
    good(project, tmp_path)
    # on purpose, with a reason that the record keeps
    emdvc("add", other, "--replace", "the camera was saturated", cwd=project)
    emdvc("save", "-m", "measured again", cwd=project)
    assert "the camera was saturated" in (project / f"{RAW}.em.yaml").read_text()
    emdvc("verify", "--raw", "HEAD~1..HEAD", cwd=project)


def test_5_overwrite_by_a_stage(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    # as its output: DVC refuses two owners of a file, and taking the pointer away is a drop
    dvc("stage", "add", "-n", "bad", "-o", RAW, "true", cwd=project, status=255)
    git("rm", "-q", "--cached", f"{RAW}.dvc", cwd=project)
    (project / f"{RAW}.dvc").unlink()
    command = f"{sys.executable} -c \"import pathlib; pathlib.Path('{RAW}').write_bytes(b'computed')\""
    dvc("stage", "add", "-q", "-n", "bad", "-o", RAW, command, cwd=project)
    dvc("repro", "-q", "bad", cwd=project)
    git("add", "-A", cwd=project)
    assert "dropped" in git("commit", "-qm", "computed", cwd=project, status=1)
    git("reset", "-q", "--hard", cwd=project)
    dvc("checkout", "--force", "-q", cwd=project)
    good(project, tmp_path)
    # behind everybody's back: a command that writes there
    (project / RAW).chmod(0o644)
    dvc("stage", "add", "-q", "-n", "sly", "-o", "results/x", f"{command} && echo 1 > results/x", cwd=project)
    dvc("repro", "-q", "sly", cwd=project)
    assert "modified" in emdvc("verify", "--raw", cwd=project, status=1).stdout
    dvc("checkout", "--force", "-q", RAW, cwd=project)
    good(project, tmp_path)


def test_6_checkout_of_an_old_revision(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    emdvc("add", write_scan(tmp_path / "next.npy", 3), RAW, "--replace", "drift", cwd=project)
    emdvc("save", "-m", "second", cwd=project)
    # old bytes in the place of the new ones, committed as if that was nothing
    git("checkout", "-q", "HEAD~1", "--", f"{RAW}.dvc", f"{RAW}.em.yaml", cwd=project)
    dvc("checkout", "--force", "-q", cwd=project)
    assert "changed (index)" in git("commit", "-qm", "old", cwd=project, status=1)
    git("reset", "-q", "--hard", cwd=project)
    # a plain checkout and back is no damage: data follows the pointers, and is made read-only again
    git("checkout", "-q", "HEAD~1", cwd=project)
    dvc("checkout", "--force", "-q", cwd=project)
    good(project, tmp_path)
    git("checkout", "-q", "main", cwd=project)
    dvc("checkout", "--force", "-q", cwd=project)
    assert (project / RAW).read_bytes() == (tmp_path / "next.npy").read_bytes()
    emdvc("verify", "--raw", cwd=project)
    assert not (project / RAW).stat().st_mode & 0o222


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="root alone writes into read-only files")
def test_7_h5py_as_root(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    with h5py.File(tmp_path / "stack.h5", "w") as file:
        file["data"] = np.ones((4, 8, 8), "u2")
    emdvc("add", tmp_path / "stack.h5", cwd=project)
    emdvc("save", "-m", "a stack", cwd=project)
    raw = project / "raw" / "stack.h5"

    def harm() -> None:
        with h5py.File(raw, "r+") as file:
            file["data"][0] = 7

    harm()  # root, into a read-only file: the cache has bytes of its own
    assert "raw/stack.h5: modified" in emdvc("verify", "--raw", cwd=project, status=1).stdout
    dvc("checkout", "--force", "-q", "raw/stack.h5", cwd=project)
    assert raw.read_bytes() == (tmp_path / "stack.h5").read_bytes()
    # with hard links the same write would reach the cache: what is linked is told, and given bytes of its own
    dvc("config", "--local", "cache.type", "hardlink", cwd=project)
    dvc("checkout", "--relink", "-q", cwd=project)
    assert raw.stat().st_nlink > 1
    assert "is the cache's own file" in emdvc("doctor", "--no-remote", cwd=project).stdout
    assert "it has bytes of its own again" in emdvc("verify", "--raw", cwd=project).stderr
    assert raw.stat().st_nlink == 1
    harm()
    assert "modified" in emdvc("verify", "--raw", cwd=project, status=1).stdout
    raw.unlink()
    dvc("checkout", "--relink", "-q", "raw/stack.h5", cwd=project)
    assert raw.read_bytes() == (tmp_path / "stack.h5").read_bytes()
    # and where it came to the worst, the remote still has the good bytes
    harm()
    emdvc("verify", "--bytes", cwd=project, status=1)
    emdvc("verify", "--bytes", "--repair", cwd=project, status=None)
    raw.unlink()
    dvc("checkout", "-q", "raw/stack.h5", cwd=project)
    assert raw.read_bytes() == (tmp_path / "stack.h5").read_bytes()


def test_8_gc(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    git("switch", "-qc", "elsewhere", cwd=project)
    emdvc("add", write_scan(tmp_path / "next.npy", 3), cwd=project)
    emdvc("save", "-m", "on a branch", cwd=project)
    git("switch", "-q", "main", cwd=project)
    emdvc("gc", "--cache", "--remote", "lab", "--fresh-hours", "0", "--keep-days", "0", "--yes", cwd=project)
    # `dvc gc --workspace` takes the branch's data out of the cache; the remote still has it
    dvc("gc", "--workspace", "-f", "-q", cwd=project)
    git("switch", "-q", "elsewhere", cwd=project)
    dvc("pull", "-q", cwd=project)
    assert (project / "raw" / "next.npy").read_bytes() == (tmp_path / "next.npy").read_bytes()
    good(project, tmp_path)


def test_9_merge(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    git("switch", "-qc", "scan2", cwd=project)
    emdvc("add", write_scan(tmp_path / "next.npy", 3), cwd=project)
    emdvc("save", "-m", "a second scan", cwd=project)
    git("switch", "-q", "main", cwd=project)
    (project / "raw" / "next.npy").unlink()
    (project / "scripts" / "fit.py").write_text("print(1)\n")
    emdvc("save", "-m", "a script", cwd=project)
    # a merge that keeps our side only: the other side's scan would be in no commit that main leads to
    said = git("merge", "-q", "-s", "ours", "-m", "m", "scan2", cwd=project, status=None)
    assert "raw/next.npy: dropped (index)" in said
    git("merge", "--abort", cwd=project, status=None)
    git("reset", "-q", "--hard", cwd=project)
    assert git("log", "-1", "--format=%s", cwd=project) == "a script"
    git("merge", "-q", "-s", "ours", "-m", "m", "--no-verify", "scan2", cwd=project)
    assert "raw/next.npy: dropped (in " in emdvc("verify", "--raw", "HEAD~1..HEAD", cwd=project, status=1).stdout
    assert "dropped" in emdvc("save", "-m", "x", cwd=project, status=4).stderr
    git("reset", "-q", "--hard", "HEAD~1", cwd=project)
    git("merge", "-q", "-m", "m", "scan2", cwd=project)
    dvc("checkout", "-q", cwd=project)
    assert (project / "raw" / "next.npy").read_bytes() == (tmp_path / "next.npy").read_bytes()
    emdvc("verify", "--raw", "origin/main..HEAD", cwd=project)
    good(project, tmp_path)


def test_10_force_push(project: Path, tmp_path: Path, hub: Path, emdvc: Emdvc) -> None:
    emdvc("add", write_scan(tmp_path / "next.npy", 3), cwd=project)
    emdvc("save", "-m", "a second scan", cwd=project)
    lost = git("rev-parse", "HEAD", cwd=project)
    colleague = tmp_path / "colleague"
    git("clone", "-q", str(hub), str(colleague), cwd=tmp_path)
    # the colleague rewrites the history: refused by the hook of a clone that emdvc knows
    git("reset", "-q", "--hard", "HEAD~1", cwd=colleague)
    git("commit", "-q", "--allow-empty", "-m", "instead", cwd=colleague)
    emdvc("git", "install", cwd=colleague)
    assert "raw/next.npy: dropped" in git("push", "-q", "--force", cwd=colleague, status=1)
    # and where there is none: seen by CI, which knows what the branch was before, and by everybody who fetches
    git("push", "-q", "--force", "--no-verify", cwd=colleague)
    git("fetch", "-q", cwd=project)
    assert "next.npy" in emdvc("verify", "--raw", f"{lost}..origin/main", cwd=project, status=1).stdout
    git("reset", "-q", "--hard", "origin/main", cwd=project)
    dvc("checkout", "-q", cwd=project)
    said = emdvc("verify", "--raw", cwd=project, status=1).stdout
    assert "raw/next.npy: dropped (in origin/main)" in said
    assert f"git branch rescued {lost[:10]}" in said
    git("branch", "rescued", lost[:10], cwd=project)
    git("merge", "-q", "-m", "rescued", "rescued", cwd=project)
    dvc("checkout", "-q", cwd=project)
    assert (project / "raw" / "next.npy").read_bytes() == (tmp_path / "next.npy").read_bytes()
    git("push", "-q", cwd=project)
    emdvc("verify", "--raw", cwd=project)


def test_part_of_a_directory_added_by_dvc(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    folder = project / "raw" / "series"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.bin").write_bytes(bytes([number]) * 10)
    dvc("add", "-q", "raw/series", cwd=project)
    git("add", "-A", cwd=project)
    git("commit", "-qm", "a series", cwd=project)
    (folder / "1.bin").unlink()
    dvc("add", "-q", "raw/series", cwd=project)
    assert "raw/series: changed (index)" in git("commit", "-qam", "less", cwd=project, status=1)
    git("checkout", "-q", "HEAD", "--", "raw/series.dvc", cwd=project)
    dvc("checkout", "--force", "-q", "raw/series", cwd=project)
    assert len(list(folder.iterdir())) == 3


def test_rename_is_fine_and_a_removal_needs_its_reason(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    dvc("move", "-q", RAW, "raw/renamed.npy", cwd=project)
    git("mv", f"{RAW}.em.yaml", "raw/renamed.npy.em.yaml", cwd=project)
    git("add", "-A", cwd=project)
    git("commit", "-qm", "a better name", cwd=project)
    done = emdvc("remove", "raw/renamed.npy", "--reason", "wrong sample", cwd=project)
    assert "older commits still have it" in done.stdout
    assert not (project / "raw" / "renamed.npy").exists()
    assert "wrong sample" in (project / ".emdvc" / "removed.yaml").read_text()
    emdvc("save", "-m", "without it", cwd=project)
    emdvc("verify", "--raw", "0000000000000000000000000000000000000000..HEAD", cwd=project)
    git("checkout", "-q", "HEAD~2", cwd=project)
    dvc("checkout", "-q", cwd=project)
    assert (project / RAW).read_bytes() == (tmp_path / "scan.npy").read_bytes()


def test_hooks_call_those_that_were_there(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    hooks = project / ".git" / "hooks"
    emdvc("git", "uninstall", cwd=project)
    assert not (hooks / "pre-commit").exists()
    mine = "#!/bin/sh\necho mine >> ../ran\nexit $(cat ../status)\n"
    (hooks / "pre-commit").write_text(mine)
    (hooks / "pre-commit").chmod(0o755)
    (tmp_path / "status").write_text("0")
    assert "yours is kept as pre-commit.before-emdvc" in emdvc("git", "install", cwd=project).stdout
    assert "nothing to do" in emdvc("git", "install", cwd=project).stdout
    git("commit", "-q", "--allow-empty", "-m", "one", cwd=project)
    assert (tmp_path / "ran").read_text() == "mine\n"
    (tmp_path / "status").write_text("3")
    git("commit", "-q", "--allow-empty", "-m", "two", cwd=project, status=1)
    (tmp_path / "status").write_text("0")
    # without emdvc nobody is locked out
    hook = (hooks / "pre-commit").read_text()
    gone = "\n".join(
        "emdvc_python=/nowhere" if line.startswith("emdvc_python=") else line for line in hook.splitlines()
    )
    (hooks / "pre-commit").write_text(f"{gone}\n")
    git("rm", "-q", f"{RAW}.dvc", cwd=project)
    path = os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if not (Path(part) / "emdvc").exists())
    said = run("git", "commit", "-qm", "unchecked", cwd=project, env={"PATH": path})
    assert "raw data is not checked" in said
    emdvc("git", "uninstall", cwd=project)
    assert (hooks / "pre-commit").read_text() == mine


def test_a_shared_folder_of_hooks_is_left_alone(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    git("config", "core.hooksPath", str(tmp_path / "everybodys"), cwd=project)
    assert "core.hooksPath" in emdvc("git", "install", cwd=project).stdout
    assert not (tmp_path / "everybodys").exists()


def test_first_reason_of_data_that_dvc_alone_knew(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    write_scan(project / "raw" / "plain.npy", 5)
    dvc("add", "-q", "raw/plain.npy", cwd=project)
    git("add", "-A", cwd=project)
    git("commit", "-qm", "by dvc", cwd=project)
    write_scan(project / "raw" / "plain.npy", 6)
    emdvc("add", "raw/plain.npy", "--replace", "a better one", cwd=project)
    git("commit", "-qam", "replaced", cwd=project)
    assert "a better one" in (project / "raw" / "plain.npy.em.yaml").read_text()
