"""The workflow files of `emdvc init --ci`: valid, and every command in them does what it is there for."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from command_line import Emdvc
from ruamel.yaml import YAML

from emdvc.history.ci_files import WORKFLOWS

TEMPLATES = {forge: (resources.files("emdvc") / "ci" / one.template).read_text() for forge, one in WORKFLOWS.items()}


def git(*arguments: str, cwd: Path) -> str:
    return subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, text=True, check=True).stdout.strip()


def parsed(forge: str) -> dict[str, Any]:
    content: dict[str, Any] = YAML(typ="safe").load(TEMPLATES[forge])
    return content


def scripts(forge: str) -> dict[str, list[str]]:
    """Return job -> the shell scripts that it runs, in their order."""
    if forge == "github":
        jobs = parsed(forge)["jobs"]
        return {name: [step["run"] for step in job["steps"] if "run" in step] for name, job in jobs.items()}
    content = parsed(forge)
    before = content[".emdvc"]["before_script"]
    return {name: [*before, *content[name]["script"], *content[name]["after_script"]] for name in ("check", "verify")}


@pytest.mark.parametrize("forge", WORKFLOWS)
def test_every_emdvc_command_is_understood(forge: str, tmp_path: Path, emdvc: Emdvc) -> None:
    found = []
    for lines in scripts(forge).values():
        for line in "\n".join(lines).splitlines():
            words = shlex.split(line, comments=True) if line.strip().startswith("emdvc ") else []
            if words:
                found.append(words[1:])
    assert {words[0] for words in found} == {"status", "report", "verify"}
    for words in found:
        # a folder that is no project: whatever is wrong with the arguments would be said first
        done = emdvc(*words, cwd=tmp_path, status=2)
        assert "this is not an emdvc project" in done.stderr or "cannot be written" in done.stderr, words


@pytest.mark.parametrize("forge", WORKFLOWS)
def test_every_script_is_shell(forge: str) -> None:
    for lines in scripts(forge).values():
        for script in lines:
            subprocess.run(["bash", "-n"], input=script, text=True, check=True, capture_output=True)


def test_the_actions_have_a_major_version_and_the_token_few_rights() -> None:
    content = parsed("github")
    assert content["permissions"] == {"contents": "read"}
    for job in content["jobs"].values():
        for step in job["steps"]:
            assert "uses" not in step or re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"])
    assert content["jobs"]["check"]["permissions"] == {"contents": "read", "pull-requests": "write"}
    assert set(content[True] if True in content else content["on"]) == {
        "push", "pull_request", "schedule", "workflow_dispatch"
    }  # fmt: skip


def test_they_are_written_once_and_never_over_anything(tmp_path: Path, emdvc: Emdvc) -> None:
    project = tmp_path / "project"
    made = json.loads(emdvc("init", project, "--ci", "github", "--json").stdout)
    file = project / ".github" / "workflows" / "emdvc.yml"
    assert ".github/workflows/emdvc.yml" in made["made"]
    assert file.read_text() == TEMPLATES["github"]
    assert ".github/workflows/emdvc.yml" in git("diff", "--cached", "--name-only", cwd=project).split()
    again = json.loads(emdvc("init", project, "--ci", "github", "--json").stdout)
    assert again["made"] == [] and ".github/workflows/emdvc.yml" in again["kept"]
    own = project / ".gitlab-ci.yml"
    own.write_text("test:\n  script: [make]\n")
    done = emdvc("init", project, "--ci", "gitlab", status=4)
    assert ".gitlab-ci.yml exists" in done.stderr
    assert own.read_text() == "test:\n  script: [make]\n"
    assert "--ci gitlab" in emdvc("init", project, "--ci", "gitlap", status=2).stderr


def test_a_refusal_makes_no_project(tmp_path: Path, emdvc: Emdvc) -> None:
    (tmp_path / ".gitlab-ci.yml").write_text("other: {script: [make]}\n")
    emdvc("init", tmp_path, "--ci", "gitlab", status=4)
    emdvc("init", tmp_path / "new", "--ci", "sourcehut", status=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".gitlab-ci.yml"]


def test_a_project_in_a_folder_of_a_repository(tmp_path: Path, emdvc: Emdvc) -> None:
    git("init", "-q", cwd=tmp_path)
    for forge, one in WORKFLOWS.items():
        emdvc("init", tmp_path / "my data", "--ci", forge)
        content = YAML(typ="safe").load((tmp_path / one.path).read_text())
        folder = (
            content["defaults"]["run"]["working-directory"] if forge == "github" else content["variables"]["PROJECT"]
        )
        assert folder == "my data"


@pytest.fixture
def shared(tmp_path: Path, emdvc: Emdvc) -> Path:
    """Return the clone of a project on a branch, as a forge's machine has it; `main` lies one commit behind."""
    project, hub = tmp_path / "project", tmp_path / "hub.git"
    git("init", "-q", "--bare", str(hub), cwd=tmp_path)
    emdvc("init", project, "--remote", f"lab={tmp_path / 'storage'}", "--ci", "github")
    git("remote", "add", "origin", str(hub), cwd=project)
    np.save(tmp_path / "scan.npy", np.random.default_rng(1).poisson(3, (3, 4, 8, 8)).astype("u2"))
    emdvc("add", tmp_path / "scan.npy", cwd=project)
    emdvc("save", "-m", "scan", cwd=project)
    git("switch", "-qc", "topic", cwd=project)
    emdvc("stage", "add", "virtual_image", "-d", "raw/scan.npy", "-o", "results/image.zarr", cwd=project)
    subprocess.run([sys.executable, "-m", "dvc", "repro", "-q"], cwd=project, check=True)
    emdvc("save", "-m", "an image", cwd=project)
    clone = tmp_path / "clone"
    git("clone", "-q", str(hub), str(clone), cwd=tmp_path)
    git("checkout", "-q", "--detach", "origin/topic", cwd=clone)
    settings = clone / ".dvc" / "config.local"
    settings.write_text(f"['remote \"lab\"']\n    url = {tmp_path / 'storage'}\n")
    return clone


def shell(script: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    # as GitHub runs a step
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_check_of_github_on_a_pull_request(shared: Path, tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    environment = {"RUNNER_TEMP": str(tmp_path), "GITHUB_STEP_SUMMARY": str(summary), "BASE": "main"}
    steps = {step["name"]: step["run"] for step in parsed("github")["jobs"]["check"]["steps"] if "run" in step}
    for name in ("Who ran what, and what was verified", "Fetch the data", "Every result belongs to its inputs"):
        done = shell(steps[name], shared, **environment)
        assert done.returncode == 0, f"{name}: {done.stdout}\n{done.stderr}"
    done = shell(steps["Write the report"], shared, **environment)
    assert done.returncode == 0, done.stderr
    text = summary.read_text()
    assert text.startswith("<!-- emdvc report -->")
    assert "results/image.zarr" in text and "1 dataset of 2 changed" in text and "Ernst Ruska" in text
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    # a parameter that was changed without computing anew
    (shared / "params.yaml").write_text("image: {normalize: true}\n")
    git("commit", "-qam", "forgotten", cwd=shared)
    done = shell(steps["Every result belongs to its inputs"], shared, **environment)
    assert done.returncode == 1 and "image" in done.stdout


class Forge(BaseHTTPRequestHandler):
    """As much of GitLab as the comment needs: a merge request with many notes, in pages."""

    notes: ClassVar[list[dict[str, Any]]] = []
    asked: ClassVar[list[tuple[str, str, str]]] = []

    def do_GET(self) -> None:
        page = int(re.search(r"[?&]page=(\d+)", self.path)[1])  # type: ignore[index]
        part = self.notes[(page - 1) * 100 : page * 100]
        self._answer(part, str(page + 1) if page * 100 < len(self.notes) else "")

    def do_POST(self) -> None:
        self.notes.append({"id": len(self.notes) + 1, "body": self._said()["body"]})
        self._answer(self.notes[-1])

    def do_PUT(self) -> None:
        note = self.notes[int(self.path.rpartition("/")[2]) - 1]
        note["body"] = self._said()["body"]
        self._answer(note)

    def _said(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return said

    def _answer(self, content: Any, following: str = "") -> None:
        self.asked.append((self.command, self.path, self.headers["PRIVATE-TOKEN"]))
        self.send_response(200)
        self.send_header("X-Next-Page", following)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def forge() -> Iterator[str]:
    Forge.notes[:] = [{"id": number + 1, "body": f"remark {number}"} for number in range(130)]
    Forge.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Forge)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/api/v4"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.server
def test_gitlab_gets_one_comment_that_is_written_anew(tmp_path: Path, forge: str) -> None:
    (posting,) = [line for line in scripts("gitlab")["check"] if "urllib" in line]
    environment = {
        "CI_PROJECT_DIR": str(tmp_path),
        "CI_API_V4_URL": forge,
        "CI_PROJECT_ID": "7",
        "CI_MERGE_REQUEST_IID": "3",
        "EMDVC_REPORT_TOKEN": "secret",
    }
    for text in ("<!-- emdvc report -->\nfirst µ", "<!-- emdvc report -->\nsecond"):
        (tmp_path / "report.md").write_text(text, encoding="utf-8")
        done = shell(posting, tmp_path, **environment)
        assert done.returncode == 0, done.stderr
        assert Forge.notes[-1]["body"] == text
    assert len(Forge.notes) == 131
    place = "/api/v4/projects/7/merge_requests/3/notes"
    assert [(verb, path.partition("?")[0]) for verb, path, _ in Forge.asked if verb != "GET"] == [
        ("POST", place),
        ("PUT", f"{place}/131"),
    ]
    assert {token for _, _, token in Forge.asked} == {"secret"}
    # without a token nothing is asked, and nothing fails
    Forge.asked.clear()
    assert shell(posting, tmp_path, **{**environment, "EMDVC_REPORT_TOKEN": ""}).returncode == 0
    assert Forge.asked == []


def test_the_documentation_shows_these_files() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "continuous-integration.md").read_text()
    for one in WORKFLOWS.values():
        assert f"emdvc/ci/{one.template}" in page
