"""Which remote data is led to, in the files that DVC reads."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from emdvc.history import git
from emdvc.history.journal import transaction
from emdvc.history.project import Project
from emdvc.history.recorded import recorded
from emdvc.history.remotes import routing
from emdvc.history.snapshot import Snapshot

PIPELINE = """\
stages:
  one:
    cmd: echo
    outs: [a.bin, {b.bin: {remote: elsewhere}}, {c.bin: {cache: false}}]
  many:
    foreach: [x, y]
    do:
      cmd: echo ${item}
      outs:
        - results/${item}.bin  # each its own
"""
LOCK = """\
schema: '2.0'
stages:
  one:
    cmd: echo
    outs:
    - {path: a.bin, hash: md5, md5: 0123456789abcdef0123456789abcdef, size: 1}
    - {path: b.bin, hash: md5, md5: 1123456789abcdef0123456789abcdef, size: 1}
  many@x:
    cmd: echo x
    outs:
    - {path: results/x.bin, hash: md5, md5: 2123456789abcdef0123456789abcdef, size: 1}
"""
POINTER = "outs:\n- md5: 3123456789abcdef0123456789abcdef\n  size: 1\n  hash: md5\n  path: scan.npy\n"
IMPORTED = "deps:\n- path: s3://bucket/scan.mib\nouts:\n- md5: 4123456789abcdef0123456789abcdef\n  path: scan.mib\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    git.run(["init", "-q"], tmp_path)
    for folder in (".dvc", ".emdvc", "raw"):
        (tmp_path / folder).mkdir()
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    (tmp_path / "dvc.lock").write_text(LOCK)
    (tmp_path / "raw" / "scan.npy.dvc").write_text(POINTER)
    (tmp_path / "raw" / "scan.mib.dvc").write_text(IMPORTED)
    return Project(tmp_path, tmp_path)


def remotes(project: Project) -> dict[str, str | None]:
    with Snapshot(project) as snapshot:
        return {str(path): entry.remote for path, entry in recorded(snapshot).items()}


def test_the_remote_of_an_output_stands_in_dvc_yaml(project: Project) -> None:
    found = remotes(project)
    assert found["b.bin"] == "elsewhere"
    assert found["a.bin"] is None
    assert found["results/x.bin"] is None


def test_results_that_are_there_are_led(project: Project) -> None:
    with transaction(project, "test") as journal:
        assert routing.lead_existing(project, journal, "fast", raw=False) == [PurePosixPath("dvc.yaml")]
        assert routing.lead_existing(project, journal, "fast", raw=False) == []
    text = (project.root / "dvc.yaml").read_text()
    assert "outs: [a.bin: {remote: fast}, b.bin: {remote: fast}, {c.bin: {cache: false}}]" in text.replace(
        "{a.bin: {remote: fast}}", "a.bin: {remote: fast}"
    ).replace("{b.bin: {remote: fast}}", "b.bin: {remote: fast}")
    found = remotes(project)
    assert (found["a.bin"], found["b.bin"], found["results/x.bin"]) == ("fast", "fast", "fast")
    assert found["raw/scan.npy"] is None


def test_raw_data_that_is_there_is_led_and_imports_are_not(project: Project) -> None:
    with transaction(project, "test") as journal:
        assert routing.lead_existing(project, journal, "vault", raw=True) == [PurePosixPath("raw/scan.npy.dvc")]
    found = remotes(project)
    assert (found["raw/scan.npy"], found["raw/scan.mib"]) == ("vault", None)
    assert routing.datasets_on(project, "vault") == [PurePosixPath("raw/scan.npy")]
    assert (project.root / "raw" / "scan.npy.dvc").read_text() == POINTER.rstrip("\n") + "\n  remote: vault\n"


def test_where_new_data_goes(project: Project) -> None:
    assert routing.remote_for(project, raw=True) is None
    (project.root / ".emdvc" / "config.yaml").write_text("remotes: {raw: Vault, results: fast}\n")
    assert routing.remote_for(project, raw=True) == "vault"
    assert routing.remote_for(project, raw=False) == "fast"
    # a dataset that has a remote keeps it when it is added again
    pointer = PurePosixPath("raw/scan.npy.dvc")
    assert routing.remote_of_pointer(project, pointer) == "vault"
    routing.lead_pointer(project, pointer, "lab")
    assert routing.remote_of_pointer(project, pointer) == "lab"
    assert routing.remote_of_pointer(project, PurePosixPath("raw/new.npy.dvc")) == "vault"
