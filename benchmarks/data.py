"""The data that everything is measured on: phantoms whose truth is known, each written once as ``.npy``."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emdvc.testing.lattices import Deformation, LatticePhantom
from emdvc.testing.phantoms import DiffractionPhantom
from emdvc.testing.spectra import EdxPhantom, EelsPhantom
from emdvc.testing.write import Phantom

#: Side of the detector, px; its middle is the centre that all measurements use.
DETECTOR = 128
#: Borders of the four virtual detectors, and number of rings, each 1 px wide.
BORDERS = (0, 10, 20, 40, 60)
RINGS = 64
#: Windows in eV: where the background is fitted, and where the edge's counts are summed.
EELS = {"fit_start": 220.0, "fit_stop": 280.0, "start": 284.0, "stop": 334.0}
#: X-ray lines, and windows of their backgrounds that hold no other line: (left start, left stop, right start, stop).
EDX = {"Si_Ka": (1350.0, 1450.0, 2100.0, 2200.0), "Cu_Ka": (7500.0, 7700.0, 8400.0, 8600.0)}
RESOLUTION, COMPONENTS = 130.0, 4
#: Radius of the Bragg disks and distance of the lattice's points, px.
DISK, LATTICE = 5.0, 18.0


def phantoms(scan: int, patterns: int, spectra: int) -> dict[str, Phantom]:
    """Return the phantoms by name.

    Parameters
    ----------
    scan, patterns, spectra
        Probe positions along each side: of the 4D-STEM scan, of the strained crystal, of the spectrum images.
    """
    # no descan: neighbours then share a pattern, and drawing two gigabytes takes seconds, not minutes
    still = DiffractionPhantom((scan, scan), (DETECTOR, DETECTOR), descan=((0.0, 0.0), (0.0, 0.0)))
    strained = (Deformation(), Deformation(xx=0.01))
    return {
        "scan": still,
        "lattice": LatticePhantom((patterns, patterns), (DETECTOR, DETECTOR), strained, radius=DISK),
        "eels": EelsPhantom((spectra, spectra)),
        "edx": EdxPhantom((spectra, spectra)),
    }


@dataclass(frozen=True)
class Data:
    """The files of one run.

    Parameters
    ----------
    folder
        Where they lie.
    phantoms
        What they hold.
    """

    folder: Path
    phantoms: dict[str, Phantom]

    def path(self, name: str) -> Path:
        """Return the file of a phantom."""
        return self.folder / f"{name}-{'x'.join(map(str, self.phantoms[name].shape))}.npy"

    def array(self, name: str) -> NDArray[Any]:
        """Return the counts of a phantom, in memory; they are drawn where they are not there yet."""
        path, phantom = self.path(name), self.phantoms[name]
        if not path.is_file():
            half_done = path.with_suffix(".partial")
            counts = np.lib.format.open_memmap(half_done, "w+", phantom.dtype, phantom.shape)
            with ProcessPoolExecutor() as pool:
                for y, row in enumerate(pool.map(partial(_row, phantom), range(phantom.shape[0]))):
                    counts[y] = row
            counts.flush()
            del counts
            half_done.rename(path)
        found: NDArray[Any] = np.load(path)
        return found

    @cached_property
    def case(self) -> Path:
        """The file that tells a peer what to do: paths, windows and the images of the detector."""
        images: dict[str, Any] = {"labels": ring_labels(), "masks": masks(), **correction()}
        np.savez(self.folder / "images.npz", **images)
        told = {
            "paths": {name: str(self.path(name)) for name in self.phantoms},
            "images": str(self.folder / "images.npz"),
            "center": middle(),
            "borders": BORDERS,
            "rings": RINGS,
            "eels": {**EELS, "offset": EelsPhantom.offset, "dispersion": EelsPhantom.dispersion},
            "edx": {"lines": EDX, "resolution": RESOLUTION, "offset": 0.0, "dispersion": EdxPhantom.dispersion},
            "components": COMPONENTS,
            "disk": DISK,
            "lattice": LATTICE,
        }
        path = self.folder / "case.json"
        path.write_text(json.dumps(told), encoding="utf-8")
        return path


def _row(phantom: Any, y: int) -> NDArray[Any]:
    row: NDArray[Any] = phantom.row(y)
    return row


def middle() -> float:
    """Return the centre of the detector along each side, px."""
    return (DETECTOR - 1) / 2


def radii() -> NDArray[np.float64]:
    """Return the distance of each pixel from the centre, shape (ky, kx), px."""
    along = np.arange(DETECTOR) - middle()
    found: NDArray[np.float64] = np.hypot(along[:, None], along[None, :])
    return found


def ring_labels() -> NDArray[np.int64]:
    """Return the ring of each pixel, shape (ky, kx); -1 beyond the last."""
    labels = np.floor(radii()).astype(np.int64)
    return np.where(labels < RINGS, labels, -1)


def masks() -> NDArray[np.bool_]:
    """Return which pixels each virtual detector holds, shape (detectors, ky, kx)."""
    return np.stack([(radii() >= a) & (radii() < b) for a, b in itertools.pairwise(BORDERS)])


def correction() -> dict[str, NDArray[Any]]:
    """Return a dark image and a gain of floats, and a mask of 20 hot pixels, each shape (ky, kx)."""
    random = np.random.default_rng(3)
    bad = np.zeros((DETECTOR, DETECTOR), np.uint8)
    # none at the border, and no two side by side: what a bad pixel becomes is then the same for all who repair it
    bad[np.arange(7, 121, 6), np.arange(5, 119, 6)] = 1
    return {
        "dark": random.uniform(0.0, 0.5, (DETECTOR, DETECTOR)),
        "gain": random.uniform(0.8, 1.2, (DETECTOR, DETECTOR)),
        "bad": bad,
    }


def blocks(rows: NDArray[Any], size: int = 512) -> Iterator[NDArray[Any]]:
    """Yield a scan in blocks of frames, each flat, as programs do that must not hold a copy of it."""
    flat = rows.reshape(rows.shape[0] * rows.shape[1], -1)
    for start in range(0, len(flat), size):
        yield flat[start : start + size]


Operation = Callable[[], dict[str, NDArray[Any]]]
