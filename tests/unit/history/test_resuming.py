"""What a run was kept for: another input, parameter, calibration or reference means another folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emdvc.errors import EnvironmentFault
from emdvc.formats.dataset import open_lazy
from emdvc.history import resuming
from emdvc.history.project import Project
from emdvc.steps.parameters import validate
from emdvc.steps.registry import find
from emdvc.testing.phantoms import DiffractionPhantom
from emdvc.testing.write import write_zarr


def key(path: Path, step: str, given: dict[str, Any], signal: str | None = None) -> str:
    found = find(step)
    opened, sidecar = open_lazy(path)
    try:
        return resuming.key(found, validate(found, given), path, opened, sidecar, signal=signal)
    finally:
        opened.close()


def test_what_makes_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_zarr(tmp_path / "scan.zarr", DiffractionPhantom((4, 4), (16, 16)), compressed=False)
    np.save(tmp_path / "dark.npy", np.zeros((16, 16)))
    bright, dark = {"outer": "5 px"}, {"dark": str(tmp_path / "dark.npy")}
    before = key(path, "virtual_detector", bright)
    assert key(path, "virtual_detector", bright) == before
    assert key(path, "virtual_detector", {"outer": "6 px"}) != before
    assert key(path, "virtual_image", {}) != before
    assert key(path, "virtual_detector", bright, "counts") != before
    monkeypatch.setattr(type(find("virtual_detector")), "version", 99)
    assert key(path, "virtual_detector", bright) != before
    monkeypatch.undo()
    corrected = key(path, "correct", dark)
    np.save(tmp_path / "dark.npy", np.ones((16, 16)))
    os.utime(tmp_path / "dark.npy", ns=(1, 1))
    assert key(path, "correct", dark) != corrected
    corrected = key(path, "correct", dark)
    (tmp_path / "dark.npy.em.yaml").write_text("record: {}\n", encoding="utf-8")  # its calibration
    assert key(path, "correct", dark) != corrected
    chunk = next(file for file in (path / "counts").iterdir() if file.name != "zarr.json")
    os.utime(chunk, ns=(1, 1))
    assert key(path, "virtual_detector", bright) != before


def test_what_is_kept_and_what_is_removed(project: Path) -> None:
    """Kept where the run fails, removed where it ends, and where it is of other data."""
    here = Project.find(project)
    output = project / "results" / "a.zarr"
    with pytest.raises(ZeroDivisionError), resuming.kept(here, output, "1" * 64) as folder:
        folder.mkdir()
        raise ZeroDivisionError
    assert folder.is_dir()
    with resuming.kept(here, output, "1" * 64) as again:
        assert again == folder
        assert again.is_dir()
    assert not folder.exists()
    folder.mkdir()
    with resuming.kept(here, output, "2" * 64) as other:
        assert not folder.exists()
        assert other != folder
    with resuming.kept(None, project / "b.zarr", "1" * 64) as loose:
        loose.mkdir()
    assert not loose.exists()


def test_one_run_at_a_time(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For one output; another output is free meanwhile."""
    monkeypatch.setattr(resuming, "PATIENCE", 0.2)
    here = Project.find(project)
    with resuming.kept(here, project / "a.zarr", "1" * 64), resuming.kept(here, project / "b.zarr", "1" * 64):
        with (
            pytest.raises(EnvironmentFault, match="another run writes") as caught,
            resuming.kept(here, project / "a.zarr", "1" * 64),
        ):
            pass
        assert f"process {os.getpid()}" in str(caught.value)
    with resuming.kept(here, project / "a.zarr", "1" * 64):
        pass
