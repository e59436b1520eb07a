"""`emdvc init` makes a project, completes one, and never touches what is there."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from command_line import Emdvc


def git(*arguments: str, cwd: Path) -> str:
    return subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, text=True, check=True).stdout


def everything(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "tmp" not in path.parts[len(folder.parts) :] and path.name != "index"
    }


def test_a_new_project(tmp_path: Path, emdvc: Emdvc) -> None:
    folder = tmp_path / "my project"
    done = emdvc("init", folder)
    assert "emdvc add" in done.stdout
    for name in ("raw", "results", "scripts", ".emdvc"):
        assert (folder / name).is_dir()
    assert "*.partial" in (folder / ".dvcignore").read_text().splitlines()
    assert git("check-attr", "diff", "--", "raw/x.em.yaml", cwd=folder).strip().endswith("emdvc")
    assert git("check-ignore", "raw/.x.1.partial", cwd=folder).strip() == "raw/.x.1.partial"
    settings = (folder / ".dvc" / "config").read_text()
    assert "autostage = true" in settings
    assert "reflink,copy" in settings
    assert git("status", "--porcelain", cwd=folder).splitlines() == [
        f"A  {name}" for name in sorted(git("diff", "--cached", "--name-only", cwd=folder).split())
    ]


def test_twice_changes_nothing(tmp_path: Path, emdvc: Emdvc) -> None:
    emdvc("init", tmp_path / "p", "--remote", "lab=storage")
    before = everything(tmp_path / "p")
    assert "nothing to do" in emdvc("init", tmp_path / "p", "--remote", "lab=storage").stdout
    assert everything(tmp_path / "p") == before


def test_what_is_there_stays(tmp_path: Path, emdvc: Emdvc) -> None:
    folder = tmp_path / "p"
    folder.mkdir()
    git("init", "-q", cwd=folder)
    (folder / ".gitignore").write_text("# mine\n*.log")
    (folder / "params.yaml").write_text("mine: 1\n")
    answer = json.loads(emdvc("init", folder, "--json").stdout)
    assert (folder / ".gitignore").read_text() == "# mine\n*.log\n*.partial\n"
    assert (folder / "params.yaml").read_text() == "mine: 1\n"
    assert "params.yaml" in answer["kept"]
    assert "git repository" in answer["kept"]
    assert ".gitignore (completed)" in answer["made"]


def test_a_setting_of_ones_own_is_kept_and_said(tmp_path: Path, emdvc: Emdvc) -> None:
    emdvc("init", tmp_path / "p")
    config = tmp_path / "p" / ".dvc" / "config"
    config.write_text(config.read_text().replace("checksum_jobs = 4", "checksum_jobs = 2"))
    assert "checksum_jobs stays 2" in " ".join(json.loads(emdvc("init", tmp_path / "p", "--json").stdout)["notes"])
    assert "checksum_jobs = 2" in config.read_text()


def test_inside_a_larger_repository(tmp_path: Path, emdvc: Emdvc) -> None:
    git("init", "-q", cwd=tmp_path)
    emdvc("init", tmp_path / "study" / "scan")
    assert not (tmp_path / "study" / "scan" / ".git").exists()
    assert "study/scan/.dvc/config" in git("diff", "--cached", "--name-only", cwd=tmp_path).split()


def test_inside_another_project_is_refused(tmp_path: Path, emdvc: Emdvc) -> None:
    emdvc("init", tmp_path / "p")
    done = emdvc("init", cwd=tmp_path / "p" / "raw", status=2)
    assert "inside another project" in done.stderr
    assert not (tmp_path / "p" / "raw" / ".dvc").exists()


def test_a_relative_folder_as_remote(tmp_path: Path, emdvc: Emdvc) -> None:
    emdvc("init", "p", "--remote", "lab=storage", cwd=tmp_path)
    text = (tmp_path / "p" / ".dvc" / "config").read_text()
    assert "url = ../../storage" in text
    assert "verify = true" in text
    assert "remote = lab" in text


@pytest.mark.parametrize(
    ("remote", "said"),
    [
        ("lab", "NAME=URL"),
        ("lab=ftps://host/x", "no remote can be reached"),
        ("lab=s3://key:secret@bucket/x", "--ask-password"),
        ("lab=webdavs://me:secret@cloud/x", "--ask-password"),
        ("lab=webdavs://cloud/x?token=secret", "--ask-password"),
        ("lab=p/inside", "outside"),
    ],
)
def test_a_remote_that_cannot_be(tmp_path: Path, emdvc: Emdvc, remote: str, said: str) -> None:
    done = emdvc("init", "p", "--remote", remote, cwd=tmp_path, status=2)
    assert said in done.stderr
    assert "secret" not in done.stderr
    assert not (tmp_path / "p").exists()


def test_another_url_for_a_known_remote(tmp_path: Path, emdvc: Emdvc) -> None:
    emdvc("init", "p", "--remote", "lab=one", cwd=tmp_path)
    emdvc("init", "p", "--remote", "lab=two", cwd=tmp_path, status=4)
    assert "url = ../../one" in (tmp_path / "p" / ".dvc" / "config").read_text()


def test_without_git_the_remedy_is_named(tmp_path: Path, emdvc: Emdvc) -> None:
    done = emdvc("init", "p", cwd=tmp_path, status=2, env={"PATH": str(tmp_path)})
    assert "EM-PROGRAM-MISSING" in done.stderr
