"""`emdvc doctor` finds what is wrong and names the command that mends it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from command_line import Emdvc


@pytest.fixture
def project(tmp_path: Path, emdvc: Emdvc) -> Path:
    folder = tmp_path / "project"
    emdvc("init", folder, "--remote", f"lab={tmp_path / 'storage'}")
    np.save(tmp_path / "scan.npy", np.ones((3, 4, 8, 8), "u2"))
    emdvc("add", tmp_path / "scan.npy", cwd=folder)
    subprocess.run(["git", "commit", "-qm", "begin"], cwd=folder, check=True)
    return folder


def findings(emdvc: Emdvc, folder: Path, *, status: int = 0) -> dict[str, tuple[str, str | None]]:
    done = emdvc("doctor", "--json", "--exit-code", cwd=folder, status=status)
    return {one["check"]: (one["verdict"], one["remedy"]) for one in json.loads(done.stdout)["findings"]}


def test_a_healthy_project(project: Path, emdvc: Emdvc) -> None:
    found = findings(emdvc, project)
    assert all(verdict == "ok" for check, (verdict, _) in found.items() if check not in ("readers", "disk"))
    assert {"git", "git identity", "dvc", "settings", "links", "raw data", "sidecars", "stages", "remote"} <= set(found)


def test_outside_a_project(tmp_path: Path, emdvc: Emdvc) -> None:
    assert findings(emdvc, tmp_path)["project"] == ("warn", "emdvc init")


def test_each_fault_has_its_remedy(project: Path, emdvc: Emdvc) -> None:
    raw, sidecar = project / "raw" / "scan.npy", project / "raw" / "scan.npy.em.yaml"
    config = project / ".dvc" / "config"

    raw.chmod(0o644)
    assert findings(emdvc, project)["raw data"] == ("warn", "emdvc add raw/scan.npy")
    emdvc("add", "raw/scan.npy", cwd=project)
    assert findings(emdvc, project)["raw data"][0] == "ok"

    good = config.read_text()
    config.write_text(good.replace('type = "reflink,copy"', 'type = "hardlink,copy"'))
    assert findings(emdvc, project, status=1)["links"][0] == "fail"
    config.write_text(good.replace("autostage = true", "autostage = false"))
    assert findings(emdvc, project)["settings"][0] == "warn"
    config.write_text(good.replace("verify = true", "verify = false"))
    assert "dvc remote modify lab verify true" in emdvc("doctor", cwd=project).stdout
    config.write_text(good)

    text = sidecar.read_bytes()
    sidecar.write_bytes(text.replace(b"\n", b"\r\n"))
    assert findings(emdvc, project, status=1)["line ends"][0] == "fail"
    sidecar.write_bytes(text.replace(b"  energy:\n", b"  energy: {value: 200, unit: nm}\n"))
    assert findings(emdvc, project, status=1)["sidecars"][0] == "fail"
    sidecar.write_bytes(text)

    (project / ".dvcignore").write_text("")
    assert findings(emdvc, project)[".dvcignore"][0] == "warn"
    emdvc("init", cwd=project)
    assert ".dvcignore" not in findings(emdvc, project)

    raw.chmod(0o644)
    raw.write_bytes(b"overwritten")
    assert findings(emdvc, project, status=1)["raw data"][0] in ("fail", "warn")
    assert "is not what was recorded" in emdvc("doctor", cwd=project).stdout


def test_a_stage_that_declares_too_little(project: Path, emdvc: Emdvc) -> None:
    emdvc("stage", "add", "virtual_detector", "-d", "raw/scan.npy", "-o", "results/v.zarr", "--set", "outer=3px",
          cwd=project)  # fmt: skip
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("3px", "3mrad"))
    assert findings(emdvc, project, status=1)["stages"] == ("fail", "emdvc stage update v")


def test_a_lost_remote(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    config = project / ".dvc" / "config"
    config.write_text(config.read_text().replace(str(tmp_path / "storage"), str(tmp_path / "gone" / "mount")))
    assert findings(emdvc, project, status=1)["remote"][0] == "fail"
    unasked = json.loads(emdvc("doctor", "--no-remote", "--json", cwd=project).stdout)["findings"]
    assert "remote" not in [one["check"] for one in unasked]


def test_without_an_identity(project: Path, emdvc: Emdvc) -> None:
    nobody = {f"GIT_{who}_{what}": "" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = emdvc("doctor", cwd=project, env=nobody)
    assert "git config --global user.name" in done.stdout
