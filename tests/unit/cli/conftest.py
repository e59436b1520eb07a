"""A project with a raw scan and a result of it, two commits, and a change that is not committed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from emdvc.formats import sidecar as sidecars
from emdvc.model import record as rec
from emdvc.model.axis import INHERITED, Axis, Role
from emdvc.model.quantity import Origin, Quantity
from emdvc.model.sidecar import Sidecar, VariableInfo


def scan() -> Sidecar:
    """Return the sidecar of a raw scan."""
    record: dict[str, Any] = {}
    for key, value in {
        "title": "Au on carbon",
        "operator": "B. v. Borries",
        "beam.energy": Quantity(200.0, "keV"),
        "scan.step": Quantity((0.8, 0.8), "nm"),
        "diffraction.pixel_size": Quantity(0.02, "1/angstrom", Origin.CALIBRATED),
        "diffraction.center": Quantity((32.0, 32.0), "px"),
        "sample.thickness": None,
    }.items():
        rec.put(record, key, value)
    dims = {"y": (8, "scan.step"), "x": (8, "scan.step"), "ky": (64, ""), "kx": (64, "")}
    return Sidecar(
        record=record,
        axes={
            dim: Axis(dim, size, Role.SCAN if key else Role.DETECTOR, calibration=key or "diffraction.pixel_size")
            for dim, (size, key) in dims.items()
        },
        variables={"data": VariableInfo(tuple(dims), (8, 8, 64, 64), "uint16", "sha256-units:" + "a" * 64, "counts")},
        main="data",
        source={"reader": "mib@1", "files": [{"path": "scan01.mib", "sha256": "b" * 64, "size": 524288}]},
        vendor={"Acquisition": {"Gain": 3, "Comment": "as it was"}},
    )


def result(total: int = 1204331) -> Sidecar:
    """Return the sidecar of a virtual image."""
    return Sidecar(
        axes={dim: Axis(dim, 8, Role.SCAN, calibration=INHERITED) for dim in ("y", "x")},
        variables={"image": VariableInfo(("y", "x"), (8, 8), "int64", f"sha256-units:{total:064d}", "counts")},
        main="image",
        statistics={"image": {"count": 64, "sum": total, "min": 0, "max": 40000, "mean": total / 64}},
        provenance={
            "step": "virtual_detector",
            "version": 1,
            "parameters": {"outer": "20.0 mrad"},
            "metadata": ["beam.energy", "diffraction"],
        },
        inherits="../raw/scan01.mib",
    )


@dataclass
class Project:
    """The project, and how to change it."""

    root: Path

    def git(self, *arguments: str) -> str:
        """Run git in the project."""
        return subprocess.run(["git", *arguments], cwd=self.root, check=True, capture_output=True, text=True).stdout

    def commit(self, message: str) -> None:
        """Commit everything."""
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)

    def set_raw(self, **values: Any) -> None:
        """Write the raw scan's sidecar with other values (``diffraction__center`` for ``diffraction.center``)."""
        sidecar = scan()
        for key, value in values.items():
            rec.put(sidecar.record, key.replace("__", "."), value)
        sidecars.write(self.root / "raw/scan01.mib", sidecar)

    def set_result(self, total: int, **parts: Any) -> None:
        """Write the result's sidecar with another sum."""
        sidecars.write(self.root / "results/vdet.zarr", replace(result(total), **parts))


@pytest.fixture
def science(tmp_path: Path) -> Project:
    """Return a project; in its second commit a calibration was corrected and a result computed anew."""
    root = tmp_path / "science"
    for folder in ("raw", "results", ".dvc"):
        (root / folder).mkdir(parents=True)
    project = Project(root)
    project.git("init", "-q")
    (root / ".dvc/config").write_text("", encoding="utf-8")
    project.set_raw()
    project.set_result(1204331)
    project.commit("first")
    project.set_raw(diffraction__pixel_size=Quantity(0.022, "1/angstrom", Origin.CALIBRATED))
    project.set_result(1198003)
    project.commit("second")
    return project


@pytest.fixture
def answer(emdvc: Any) -> Callable[..., dict[str, Any]]:
    """Return a function that runs a command with ``--json`` and gives its answer."""

    def run(command: str, *arguments: object, **how: Any) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(emdvc(command, "--json", *arguments, **how).stdout)
        return found

    return run
