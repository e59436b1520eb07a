"""Draws a picture of every step's result on simulated data, for its page."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Packages whose change may change a picture.
SOURCES = ("steps", "kernels", "engine", "render", "testing", "formats", "model")


@dataclass(frozen=True)
class Shown:
    """How a step is shown.

    Parameters
    ----------
    source
        The dataset: simulated (``diffraction``, ``film``, ``ring``, ``lattice``, ``atoms``, ``edx``, ``eels``,
        ``low_loss``), or the result of another entry.
    parameters
        As in params.yaml; paths are results of other entries.
    step
        The step; by default that of the entry's name.
    """

    source: str
    parameters: dict[str, Any] = field(default_factory=dict)
    step: str = ""


#: Entry -> how it is shown. An entry that is no step's name serves as input of others.
EXAMPLES = {
    "sum_pattern": Shown("diffraction"),
    "frame_statistics": Shown("diffraction"),
    "bad_pixels": Shown("diffraction"),
    "correct": Shown("diffraction", {"dark": "frame_statistics.zarr::min", "bad": "bad_pixels.zarr"}),
    "crop": Shown("diffraction", {"y": "4, 20 px", "ky": "12, 52 px", "kx": "12, 52 px"}),
    "rebin": Shown("diffraction", {"scan": 2, "detector": 2}),
    "virtual_image": Shown("diffraction"),
    "virtual_detector": Shown(
        "diffraction",
        {
            "detectors": {
                "bright_field": {"outer": "6 px", "edge": "antialiased"},
                "quadrant": {"shape": "segments", "segments": 4, "outer": "6 px"},
            }
        },
    ),
    "center_of_mass": Shown("diffraction"),
    "scan_rotation": Shown("atoms"),
    "dpc": Shown("atoms", {"half_turn": "atoms"}),
    "idpc": Shown("dpc"),
    "descan_fit": Shown("center_of_mass"),
    "align": Shown("diffraction", {"centers": "descan_fit.zarr"}),
    "radial_profile": Shown("film"),
    "azimuthal_profile": Shown("film", {"inner": "14 px", "outer": "24 px"}),
    "polar_transform": Shown("film"),
    "ellipse_fit": Shown("ring", {"inner": "18 px", "outer": "30 px"}),
    "ring_variance": Shown("film"),
    "fem_variance": Shown("film"),
    "angular_correlation": Shown("film"),
    "bragg_disks": Shown("lattice", {"radius": "4 px"}),
    "find_peaks": Shown("lattice", {"size": 5, "background": 9}),
    "strain": Shown("bragg_disks"),
    "sum_spectrum": Shown("edx"),
    "spectrum_statistics": Shown("edx"),
    "energy_map": Shown("edx", {"windows": {"O": {"start": "460 eV", "stop": "590 eV"}}}),
    "line_intensity": Shown("edx", {"lines": "O_Ka,Si_Ka,Cu_Ka"}),
    "pca": Shown("edx", {"components": 3}),
    "power_law_background": Shown(
        "eels", {"fit_start": "210 eV", "fit_stop": "280 eV", "start": "284 eV", "stop": "340 eV"}
    ),
    "elemental_map": Shown(
        "eels",
        {
            "edges": {
                "C": {"fit_start": "210 eV", "fit_stop": "280 eV", "start": "284 eV", "stop": "340 eV"},
            }
        },
    ),
    "align_zero_loss": Shown("low_loss"),
    "thickness": Shown("low_loss", {"threshold": "4 eV"}),
}


def draw(folder: Path) -> dict[str, str]:
    """Draw what is not drawn yet and return the error of each step that could not be drawn (which is a fault)."""
    folder.mkdir(parents=True, exist_ok=True)
    stamp = folder / "sources.txt"
    wanted = _sources()
    if stamp.is_file() and stamp.read_text(encoding="ascii") == wanted:
        return {}
    failed = {}
    with tempfile.TemporaryDirectory() as work, _inside(Path(work)):
        for name, shown in EXAMPLES.items():
            try:
                (folder / f"{name}.png").write_bytes(_drawn(name, shown))
            except Exception as error:  # each is told, not only the first
                failed[name] = f"{type(error).__name__}: {error}"
    if not failed:
        stamp.write_text(wanted, encoding="ascii")
    return failed


def _drawn(name: str, shown: Shown) -> bytes:
    from emdvc.engine.run import run_step
    from emdvc.formats.dataset import open_lazy
    from emdvc.formats.results import write_result
    from emdvc.render.picture import draw as picture
    from emdvc.steps.parameters import validate
    from emdvc.steps.registry import find

    source = Path(f"{shown.source}.zarr")
    if not source.exists():
        _simulate(shown.source, source)
    step = find(shown.step or name)
    opened, _ = open_lazy(source)
    try:
        result = run_step(step, validate(step, shown.parameters), opened, name=shown.source)
    finally:
        opened.close()
    png = picture(result)
    write_result(Path(f"{name}.zarr"), result, source=source)
    return png


def _atoms(path: Path) -> None:
    """Write the centres of mass over a lattice of atoms: the gradient of their potentials, turned by 25 degrees."""
    import numpy as np

    from emdvc.formats.results import Result, ResultVariable, write_result
    from emdvc.model.axis import Axis, Role
    from emdvc.model.quantity import Quantity

    y, x = np.mgrid[0:48, 0:48].astype("f8")
    down, right = np.zeros_like(y), np.zeros_like(x)
    for row in range(4):
        for column in range(4):
            dy, dx = y - 6 - 12 * row, x - 6 - 12 * column
            slope = 0.4 / (1 + (dy * dy + dx * dx) / 9) ** 2
            down, right = down - slope * dy, right - slope * dx
    turn = np.deg2rad(25)
    noise = np.random.default_rng(1).normal(0, 0.03, (2, *y.shape))
    centers = {
        "com_y": 31.5 + np.cos(turn) * down + np.sin(turn) * right + noise[0],
        "com_x": 31.5 - np.sin(turn) * down + np.cos(turn) * right + noise[1],
    }
    axes = {dim: Axis(dim, 48, Role.SCAN, scale=Quantity(0.02, "nm")) for dim in ("y", "x")}
    record = {
        "beam": {"energy": Quantity(200.0, "keV").to_dict()},
        "diffraction": {"pixel_size": Quantity(0.05, "1/angstrom").to_dict()},
        "scan": {"step": Quantity((0.02, 0.02), "nm").to_dict()},
    }
    variables = tuple(ResultVariable(name, ("y", "x"), values, "px") for name, values in centers.items())
    write_result(path, Result(variables, axes, frozenset(axes), {"step": "simulated"}, record=record))


def _ring(path: Path) -> None:
    """Write a pattern with one ring, its axes 1.1 to 1 and the long one at 30 degrees."""
    import numpy as np

    from emdvc.formats.results import Result, ResultVariable, write_result
    from emdvc.model.axis import Axis, Role

    y, x = np.mgrid[0:64, 0:64] - 31.5
    turn = np.deg2rad(30)
    along, across = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    radius = np.sqrt(along * along / 1.1 + across * across * 1.1)
    rates = 20 + 200 * np.exp(-(((radius - 24) / 1.5) ** 2)) + 2000 * np.exp(-((radius / 5) ** 2))
    counts = np.random.default_rng(1).poisson(rates).astype("u4")
    axes = {dim: Axis(dim, 64, Role.DETECTOR) for dim in ("ky", "kx")}
    variables = (ResultVariable("sum", ("ky", "kx"), counts, "counts"),)
    write_result(path, Result(variables, axes, frozenset(axes), {"step": "simulated"}))


def _low_loss(path: Path) -> None:
    """Write spectra with a zero-loss peak that drifts, and a plasmon that grows with the thickness of a wedge."""
    import numpy as np

    from emdvc.formats.results import Result, ResultVariable, write_result
    from emdvc.model.axis import Axis, Role
    from emdvc.model.quantity import Quantity

    energy = -20 + 0.25 * np.arange(400)
    drift = np.linspace(-2, 2, 24)[:, None, None] + np.zeros((24, 24, 1))
    thickness = np.linspace(0.2, 1.2, 24)[None, :, None]
    peak = np.exp(-(((energy - drift) / 0.6) ** 2))
    plasmon = np.exp(-(((energy - drift - 17) / 4) ** 2)) * 0.6 / 4
    rates = 4000 * np.exp(-thickness) * (peak + np.expm1(thickness) * plasmon)
    counts = np.random.default_rng(1).poisson(rates).astype("u4")
    axes = {dim: Axis(dim, 24, Role.SCAN, scale=Quantity(2.0, "nm")) for dim in ("y", "x")}
    scale, offset = Quantity(0.25, "eV"), Quantity(-20.0, "eV")
    axes["energy"] = Axis("energy", 400, Role.SPECTRUM, scale=scale, offset=offset)
    variables = (ResultVariable("counts", ("y", "x", "energy"), counts, "counts"),)
    write_result(path, Result(variables, axes, frozenset(axes), {"step": "simulated"}))


def _simulate(name: str, path: Path) -> None:
    from emdvc.formats import sidecar as sidecars
    from emdvc.formats.contract import ReadOptions
    from emdvc.formats.describe import describe
    from emdvc.formats.registry import open_file
    from emdvc.testing import lattices, phantoms, spectra
    from emdvc.testing.write import write_zarr

    made: dict[str, Any] = {
        "diffraction": lambda: phantoms.DiffractionPhantom((24, 24), (64, 64)),
        "film": lambda: phantoms.DiffractionPhantom((16, 16), (64, 64), brightness=12.0),
        "lattice": lattices.LatticePhantom,
        "edx": lambda: spectra.EdxPhantom((32, 32)),
        "eels": lambda: spectra.EelsPhantom((32, 32)),
    }
    if name not in made:
        {"atoms": _atoms, "low_loss": _low_loss, "ring": _ring}[name](path)
        return
    write_zarr(path, made[name]())
    opened = open_file(path, ReadOptions())
    try:
        sidecars.write(path, describe(opened, options=ReadOptions(), files=[], digests={}))
    finally:
        opened.close()


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _sources() -> str:
    import emdvc

    digest = hashlib.sha256(Path(__file__).read_bytes())
    root = Path(emdvc.__file__).parent
    for package in SOURCES:
        for path in sorted((root / package).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()
