"""DVC behaves as the adapter takes for granted: one test per use of its Python interface."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

from emdvc.errors import Code, DataMissingError, EnvironmentFault, ProjectError
from emdvc.history import dvc, dvc_pipeline, dvc_remote, dvc_settings
from emdvc.history.initialise import initialise
from emdvc.history.project import Project

PIPELINE = """\
stages:
  one:
    cmd: cp raw/a.bin out.bin
    deps: [raw/a.bin]
    params: [{side.yaml: [energy]}]
    outs: [out.bin]
  two:
    cmd: cp out.bin end.bin
    deps: [out.bin]
    outs: [end.bin]
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    found = initialise(tmp_path / "project", f"lab={tmp_path / 'storage'}").project
    (found.root / "raw" / "a.bin").write_bytes(b"counts" * 100)
    return found


@pytest.fixture
def pipeline(project: Project) -> Project:
    dvc.add(project, PurePosixPath("raw/a.bin"))
    (project.root / "dvc.yaml").write_text(PIPELINE)
    (project.root / "side.yaml").write_text("energy: 200\noperator: me\n")
    _dvc(project, "repro", "-q")
    return project


def _dvc(project: Project, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=project.root, check=True, capture_output=True)


def _state(project: Project, name: str) -> dvc_pipeline.StageState:
    return next(state for state in dvc_pipeline.states(project) if state.name == name)


def test_add_tracks_and_leaves_the_file_and_the_index_alone(project: Project) -> None:
    before = (project.root / ".git" / "index").read_bytes()
    raw = project.root / "raw" / "a.bin"
    raw.chmod(0o444)
    status = raw.stat()
    assert dvc.add(project, PurePosixPath("raw/a.bin")) == PurePosixPath("raw/a.bin.dvc")
    after = raw.stat()
    kept = (status.st_ino, status.st_mtime_ns, status.st_mode, status.st_nlink)
    assert (after.st_ino, after.st_mtime_ns, after.st_mode, after.st_nlink) == kept
    assert (project.root / ".git" / "index").read_bytes() == before
    assert (project.root / "raw" / ".gitignore").read_text() == "/a.bin\n"


def test_outs(pipeline: Project) -> None:
    outs = {str(out.path): out for out in dvc.outs(pipeline)}
    assert outs["raw/a.bin"].source
    assert outs["raw/a.bin"].stage == "raw/a.bin.dvc"
    assert outs["raw/a.bin"].size == 600
    assert not outs["out.bin"].source
    assert outs["out.bin"].digest == outs["raw/a.bin"].digest


def test_states_of_a_clean_pipeline(pipeline: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pipeline.root / "raw")  # the caller's folder must not matter
    assert [state.name for state in dvc_pipeline.states(pipeline) if state.dirty] == []
    assert _state(pipeline, "two").deps == ("out.bin",)


def test_states_name_the_key(pipeline: Project) -> None:
    (pipeline.root / "side.yaml").write_text("energy: 80\noperator: you\n")
    assert _state(pipeline, "one").changed_params == {"side.yaml": {"energy": "modified"}}
    assert not _state(pipeline, "two").dirty


def test_states_of_changed_and_absent_data(pipeline: Project) -> None:
    raw = pipeline.root / "raw" / "a.bin"
    raw.chmod(0o644)
    raw.write_bytes(b"other")
    assert _state(pipeline, "raw/a.bin.dvc").changed_outs == {"raw/a.bin": "modified"}
    assert _state(pipeline, "one").changed_deps == {"raw/a.bin": "modified"}
    raw.unlink()
    assert _state(pipeline, "raw/a.bin.dvc").changed_outs == {"raw/a.bin": "deleted"}


def test_states_of_a_stage_that_never_ran(pipeline: Project) -> None:
    text = PIPELINE + "  three:\n    cmd: cp end.bin last.bin\n    deps: [end.bin]\n    outs: [last.bin]\n"
    (pipeline.root / "dvc.yaml").write_text(text)
    assert _state(pipeline, "three").never_run


def test_check_refuses_a_cycle(pipeline: Project) -> None:
    text = PIPELINE.replace("deps: [raw/a.bin]", "deps: [end.bin]")
    (pipeline.root / "dvc.yaml").write_text(text)
    with pytest.raises(ProjectError) as error:
        dvc_pipeline.check(pipeline)
    assert error.value.code == Code.PROJECT_BROKEN


def test_a_template_is_filled_in(pipeline: Project) -> None:
    (pipeline.root / "dvc.yaml").write_text(
        "stages:\n  copy:\n    foreach: [x, y]\n    do:\n      cmd: cp raw/a.bin ${item}.bin\n"
        "      deps: [raw/a.bin]\n      params: [{side.yaml: [energy]}]\n      outs: ['${item}.bin']\n"
    )
    assert dvc_pipeline.resolved_stage(pipeline, "copy@y") == {
        "cmd": "cp raw/a.bin y.bin",
        "deps": ["raw/a.bin"],
        "outs": ["y.bin"],
        "params": [{"side.yaml": ["energy"]}],
    }
    assert dvc_pipeline.resolved_stage(pipeline, "copy@z") is None


def test_push_and_what_the_remote_lacks(pipeline: Project) -> None:
    lacking = dvc_remote.not_on_remote(pipeline)
    assert set(lacking.values()) == {"new"}
    assert set(lacking) <= {"raw/a.bin", "out.bin", "end.bin"}  # one object under three names may be told once
    assert dvc_remote.push(pipeline) == 1
    assert dvc_remote.push(pipeline) == 0
    assert dvc_remote.not_on_remote(pipeline) == {}


def test_pull_places_what_is_there_and_names_what_is_not(pipeline: Project, tmp_path: Path) -> None:
    (pipeline.root / "raw" / "b.bin").write_bytes(b"more counts")
    dvc.add(pipeline, PurePosixPath("raw/b.bin"))
    dvc_remote.push(pipeline)
    shutil.rmtree(pipeline.root / ".dvc" / "cache")
    for name in ("raw/a.bin", "raw/b.bin"):
        (pipeline.root / name).unlink()
    stored = [path for path in (tmp_path / "storage").rglob("*") if path.is_file()]
    next(path for path in stored if path.read_bytes() == b"more counts").unlink()
    with pytest.raises(DataMissingError) as error:
        dvc_remote.pull(pipeline)
    assert "raw/b.bin" in str(error.value.evidence)
    assert (pipeline.root / "raw" / "a.bin").read_bytes() == b"counts" * 100


def test_pull_only_what_is_asked(pipeline: Project) -> None:
    dvc_remote.push(pipeline)
    for name in ("raw/a.bin", "out.bin", "end.bin"):
        (pipeline.root / name).unlink()
    dvc_remote.pull(pipeline, [PurePosixPath("out.bin")])
    assert (pipeline.root / "out.bin").is_file()
    assert not (pipeline.root / "raw" / "a.bin").exists()


def test_no_remote(tmp_path: Path) -> None:
    project = initialise(tmp_path / "alone").project
    assert dvc_remote.default_remote(project) is None
    with pytest.raises(ProjectError) as error:
        dvc_remote.push(project)
    assert error.value.code == Code.REMOTE


def test_settings_keep_comments_and_what_is_there(project: Project) -> None:
    config = project.dvc_dir / "config"
    config.write_text("# ours\n[core]\n    autostage = false  # by hand\n")
    made = dvc_settings.complete_settings(project.root, {"core": {"autostage": "true", "analytics": "false"}})
    assert made == ["core.analytics"]
    assert "# ours" in config.read_text()
    assert "autostage = false  # by hand" in config.read_text()
    assert dvc_settings.settings(project)["core"]["analytics"] is False


def test_damaged_settings(project: Project) -> None:
    (project.dvc_dir / "config").write_text("[core\n")
    with pytest.raises(ProjectError) as error:
        dvc_settings.settings(project)
    assert error.value.code == Code.PROJECT_BROKEN


def test_a_locked_repository_is_busy(project: Project) -> None:
    with dvc.repository(project) as repo, repo.lock, pytest.raises(EnvironmentFault) as error:
        dvc_pipeline.states(project)
    assert error.value.code == Code.BUSY


def test_link_types_are_among_those_known(project: Project) -> None:
    assert set(dvc.link_types(project)) <= {"reflink", "hardlink", "symlink"}


def test_half_copied_objects_are_cleared(project: Project) -> None:
    folder = project.dvc_dir / "cache" / "files" / "md5" / "ab"
    folder.mkdir(parents=True)
    (folder / ".killed.tmp").write_bytes(b"half a scan")
    (folder / "cdef").write_bytes(b"whole")
    dvc.clear_partial_cache(project)
    assert [path.name for path in folder.iterdir()] == ["cdef"]
