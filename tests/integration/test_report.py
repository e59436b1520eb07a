"""`emdvc report`: the state of a real project at any revision, in a clone without data, for a page and a comment."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import browser_page
import pytest
from browser_page import Browser
from command_line import Emdvc

from emdvc.testing.phantoms import DiffractionPhantom
from emdvc.testing.write import write_npy

browser = browser_page.browser


def git(*arguments: str, cwd: Path) -> str:
    return subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, text=True, check=True).stdout.strip()


@dataclass(frozen=True)
class Story:
    """A project that was measured, computed and calibrated, with a history to clone from.

    Commits `scan`, `results` (two stages) and `calibrated`; the last two were saved after `dvc repro`.
    """

    project: Path
    hub: Path
    commits: Mapping[str, str]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("report")
    environment = {
        "DVC_SITE_CACHE_DIR": str(folder / "site"),
        "GIT_CONFIG_GLOBAL": str(folder / "gitconfig"),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    environment |= {f"GIT_{who}_NAME": "Ernst Ruska" for who in ("AUTHOR", "COMMITTER")}
    environment |= {f"GIT_{who}_EMAIL": "ruska@example.org" for who in ("AUTHOR", "COMMITTER")}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        (folder / "gitconfig").write_text("[init]\n\tdefaultBranch = main\n")
        return _tell(folder, Emdvc(folder))


def _tell(folder: Path, emdvc: Emdvc) -> Story:
    project, hub = folder / "project", folder / "hub.git"
    commits = {}

    def save(name: str) -> None:
        emdvc("save", "-m", name, cwd=project)
        commits[name] = git("rev-parse", "HEAD", cwd=project)

    git("init", "-q", "--bare", str(hub), cwd=folder)
    emdvc("init", project, "--remote", f"lab={folder / 'storage'}")
    git("remote", "add", "origin", str(hub), cwd=project)
    (project / "README.md").write_text("# Gold on carbon & <friends>\n")
    phantom = DiffractionPhantom((8, 10), (32, 32))
    emdvc("add", write_npy(folder / "scan.npy", phantom), "--set", "beam.energy=200keV",
          "--set", "diffraction.pixel_size=0.02/angstrom", "--set", "diffraction.center=16,16px",
          cwd=project)  # fmt: skip
    save("scan")
    for step, name, setting in (("virtual_detector", "bright", "outer=4px"), ("radial_profile", "profile", "bins=8")):
        emdvc("stage", "add", step, "-d", "raw/scan.npy", "-o", f"results/{name}.zarr", "--set", setting,
              *(("--set", "unit=1/angstrom") if name == "profile" else ()), cwd=project)  # fmt: skip
    _repro(project)
    save("results")
    emdvc("add", "raw/scan.npy", "--set", "diffraction.pixel_size=0.022/angstrom", cwd=project)
    _repro(project)
    save("calibrated")
    return Story(project, hub, commits)


def _repro(project: Path) -> None:
    subprocess.run([sys.executable, "-m", "dvc", "repro", "-q"], cwd=project, check=True)


def ask(emdvc: Emdvc, project: Path, *words: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(emdvc("report", "--json", *words, cwd=project).stdout)
    return answer


def _cut_off(project: Path) -> None:
    """Let the remote for data be none that can be reached."""
    (project / ".dvc" / "config.local").write_text(f"['remote \"lab\"']\n    url = {project / 'gone' / 'storage'}\n")


@pytest.fixture
def clone(story: Story, tmp_path: Path, emdvc: Emdvc) -> Path:
    """Return a clone with nothing pulled, whose remote for data is gone."""
    emdvc("get", story.hub, "clone", "--no-data")
    _cut_off(tmp_path / "clone")
    return tmp_path / "clone"


def test_who_ran_what_comes_with_the_clone(story: Story, clone: Path, emdvc: Emdvc) -> None:
    found = ask(emdvc, clone)
    assert found["title"] == "Gold on carbon & <friends>"
    assert found["commit"]["id"] == story.commits["calibrated"]
    assert found["branch"] == "main"
    datasets = {dataset["path"]: dataset for dataset in found["datasets"]}
    assert list(datasets) == ["raw/scan.npy", "results/bright.zarr", "results/profile.zarr"]
    # the profile was computed again for the new calibration: the same numbers over another axis
    assert [len(datasets[f"results/{name}.zarr"]["runs"]) for name in ("bright", "profile")] == [1, 2]
    for path in ("results/bright.zarr", "results/profile.zarr"):
        run = datasets[path]["runs"][0]
        assert run["who"] == "Ernst Ruska"
        assert set(run["versions"]) == {"python", "emdvc", "numpy", "numba", "dvc"}
        assert run["digests"] == {name: info["digest"] for name, info in datasets[path]["variables"].items()}
    # the radius in px does not depend on the calibration, the profile does
    assert datasets["results/bright.zarr"]["commit"]["id"] == story.commits["results"]
    assert datasets["results/profile.zarr"]["commit"]["id"] == story.commits["calibrated"]
    assert datasets["raw/scan.npy"]["runs"] == []
    notes = {oid: json.loads(git("notes", "--ref", "refs/notes/emdvc", "show", oid, cwd=clone))["runs"]
             for oid in (story.commits["results"], story.commits["calibrated"])}  # fmt: skip
    assert {len(runs) for runs in notes.values()} == {1, 2}
    assert [stage["name"] for stage in found["stages"]] == ["bright", "profile"]
    assert found["parameters"]["bright.outer"] == "4px"


def test_any_revision_and_what_changed_between_two(story: Story, clone: Path, emdvc: Emdvc) -> None:
    first = ask(emdvc, clone, "--rev", story.commits["scan"])
    assert [dataset["path"] for dataset in first["datasets"]] == ["raw/scan.npy"]
    assert first["stages"] == [] and first["difference"] is None
    between = ask(emdvc, clone, "--rev", f"{story.commits['results']}..HEAD")
    assert between["before"]["id"] == story.commits["results"]
    verdicts = {one["path"]: one["verdict"] for one in between["difference"]["datasets"]}
    assert verdicts["raw/scan.npy"] == "calibration"
    assert "results/bright.zarr" not in verdicts or verdicts["results/bright.zarr"] == "calibration"
    assert "results/profile.zarr" in verdicts
    same = ask(emdvc, clone, "--rev", f"{story.commits['results']}...HEAD")
    assert same["before"] == between["before"]
    assert "no-such" in emdvc("report", "--json", "--rev", "no-such", cwd=clone, status=2).stderr


def test_the_comment(story: Story, clone: Path, emdvc: Emdvc) -> None:
    emdvc("report", "--markdown", "report.md", "--rev", f"{story.commits['results']}..HEAD", cwd=clone)
    text = (clone / "report.md").read_text(encoding="utf-8")
    assert text.startswith("<!-- emdvc report -->\n## ")
    assert "<friends>" not in text
    drawn = text[text.index("```mermaid") : text.index("```\n", text.index("```mermaid") + 3)]
    assert drawn.count("-->") == 4
    for part in ("raw/scan.npy", "calibration", "diffraction.pixel_size", "Ernst Ruska", "### Parameters"):
        assert part in text
    assert text.rstrip().endswith("Nothing was left out.")
    printed = emdvc("report", "--markdown", "--rev", f"{story.commits['results']}..HEAD", cwd=clone).stdout
    assert printed.rstrip() == text.rstrip()
    # a report is written over, anything else is not
    emdvc("report", "--markdown", "report.md", cwd=clone)
    assert "is no report" in emdvc("report", "--html", "raw/scan.npy.em.yaml", cwd=clone, status=4).stderr
    assert "--html report.html" in emdvc("report", cwd=clone, status=2).stderr
    assert "--markdown x.md" in emdvc("report", "x.md", cwd=clone, status=2).stderr


def test_raw_data_is_drawn_where_it_is_and_as_it_was(story: Story, clone: Path, emdvc: Emdvc, tmp_path: Path) -> None:
    def pictures(project: Path, *words: str) -> int:
        emdvc("report", "--html", tmp_path / "page.html", *words, cwd=project)
        return (tmp_path / "page.html").read_text(encoding="utf-8").count("<img")

    assert pictures(clone) == 2  # those of the results are in git
    assert pictures(story.project) == 3
    assert pictures(story.project, "--rev", story.commits["scan"]) == 1
    # from the cache, too, when the workspace has it no longer
    moved = tmp_path / "moved"
    shutil.copytree(story.project, moved)
    (moved / "raw" / "scan.npy").unlink()
    assert pictures(moved) == 3
    _cut_off(moved)
    shutil.rmtree(moved / ".dvc" / "cache")
    assert pictures(moved) == 2


def test_a_commit_by_plain_git_has_no_record(story: Story, tmp_path: Path, emdvc: Emdvc) -> None:
    other = tmp_path / "other"
    shutil.copytree(story.project, other)
    git("update-ref", "-d", "refs/notes/emdvc", cwd=other)
    text = emdvc("report", "--markdown", cwd=other).stdout
    rows = re.findall(r"^\| `results/.*not recorded.*$", text, re.MULTILINE)
    assert len(rows) == 2 and all("Ernst Ruska" in row for row in rows)
    # saved later by emdvc: the record that waited is attached to the commit that plain git made
    subprocess.run([sys.executable, "-m", "dvc", "repro", "-q", "--force", "-s", "bright"], cwd=other, check=True)
    assert len(list((other / ".dvc" / "tmp" / "emdvc" / "ran").iterdir())) == 1
    emdvc("save", "--no-push", cwd=other)
    assert list((other / ".dvc" / "tmp" / "emdvc" / "ran").iterdir()) == []
    runs = {one["path"]: one["runs"] for one in ask(emdvc, other)["datasets"]}
    assert len(runs["results/bright.zarr"]) == 1 and runs["results/profile.zarr"] == []


def test_a_shallow_clone_does_not_name_the_wrong_commit(story: Story, tmp_path: Path, emdvc: Emdvc) -> None:
    git("clone", "-q", "--depth=1", story.hub.as_uri(), "shallow", cwd=tmp_path)
    found = ask(emdvc, tmp_path / "shallow")
    assert [dataset["commit"] for dataset in found["datasets"]] == [None, None, None]
    assert "does not tell who committed" in emdvc("report", "--markdown", cwd=tmp_path / "shallow").stdout


def test_a_damaged_sidecar_is_said_and_the_rest_is_told(story: Story, tmp_path: Path, emdvc: Emdvc) -> None:
    broken = tmp_path / "broken"
    git("clone", "-q", str(story.hub), "broken", cwd=tmp_path)
    (broken / "raw" / "scan.npy.em.yaml").write_text("beam: [\n")
    git("commit", "-qam", "oops", cwd=broken)
    found = ask(emdvc, broken)
    assert len(found["problems"]) >= 1 and "raw/scan.npy" in found["problems"][0]
    emdvc("report", "--html", "page.html", cwd=broken)


def test_the_page_in_a_browser(story: Story, clone: Path, tmp_path: Path, emdvc: Emdvc, browser: Browser) -> None:
    page = tmp_path / "page.html"
    between = f"{story.commits['results']}..HEAD"
    emdvc("report", "--rev", between, "--html", page, cwd=story.project)
    assert page.stat().st_size < 10_000_000
    browser.open(page)
    assert browser.complaints == [] and browser.requests == [page.resolve().as_uri()]
    assert browser.evaluate("document.title") == "Gold on carbon & <friends>"
    assert browser.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    assert browser.evaluate("document.images.length") >= 3
    assert browser.evaluate("[...document.querySelectorAll('a[href^=\"#\"]')]"
                            ".every(link => document.getElementById(link.getAttribute('href').slice(1)))")  # fmt: skip
    # every dataset is named in the drawing, and leads to its part
    assert browser.evaluate("document.querySelectorAll('.pipeline svg a').length") == 3
    for width in (1300, 400):
        browser.resize(width, 900)
        # the page itself does not scroll sideways; the drawing does, in its box
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate("(box => box.scrollWidth > box.clientWidth)(document.querySelector('.pipeline'))")
    assert browser.evaluate("document.querySelector('.pipeline').tabIndex") == 0
