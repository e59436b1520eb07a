"""What is measured, and what two results of the same operation must agree in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import data

Results = Mapping[str, NDArray[Any]]


class Disagreement(Exception):  # noqa: N818 - no error: the others are compared
    """A peer computes something else: it is not compared."""


@dataclass(frozen=True)
class Operation:
    """One operation.

    Parameters
    ----------
    name, title
        Of the operation.
    source
        Name of the phantom.
    tolerance
        How far the arrays of two results may lie apart, by name: the root of the mean square of the difference,
        relative to that of emdvc's array. An array that a peer does not give is not asked for.
    target
        How many times as fast as the best package emdvc should be, and as the best NumPy form; None for no aim.
    share
        Part of the rows that is measured, for results that are as large as the data.
    places
        Whether the disks' places are compared with the truth instead.
    """

    name: str
    title: str
    source: str
    tolerance: Mapping[str, float]
    target: tuple[float, float | None] | None = None
    share: float = 1.0
    places: bool = False


_DETECTORS = {f"detector_{index}": 1e-4 for index in range(4)}
_MASS = {"com_y": 1e-4, "com_x": 1e-4}
#: Packages that split pixels between rings, or interpolate, differ by some percent; they answer the same question.
_PROFILE = {"profile": 0.1}

_GIVEN: tuple[tuple[Any, ...], ...] = (
    ("sum", "sum, mean and max pattern", "scan", {"sum": 1e-6, "max": 0.0}, (8.0, 5.0)),
    ("detectors", "four virtual detectors", "scan", _DETECTORS, (8.0, 5.0)),
    ("mass", "centre of mass", "scan", _MASS, (8.0, 5.0)),
    ("profile", "radial profile, 64 rings", "scan", _PROFILE, (8.0, 5.0)),
    ("variance", "variance within 64 rings", "scan", {"variance": 0.4}, (8.0, 5.0)),
    (
        "pass",
        "all but the variance in one pass",
        "scan",
        {"sum": 1e-6, **_DETECTORS, **_MASS, **_PROFILE},
        (25.0, None),
    ),
    ("rebin", "sums over 2 x 2 x 2 x 2", "scan", {"counts": 1e-6}, None),
    ("correct", "dark, gain, hot pixels, then the sum", "scan", {"sum": 1e-3}, None, 0.25),
    ("disks", "Bragg disks and strain", "lattice", {}, (3.0, None), 1.0, True),
    ("coarse", "the same; packages in their fast, less accurate way", "lattice", {}, None, 1.0, True),
    ("edge", "EELS: map of an edge above a power law", "eels", {"C": 0.1, "C_r": 0.05}, (3.0, None)),
    ("background", "EELS: spectra less a power law", "eels", {"spectra": 0.1, "r": 0.05}, (3.0, None)),
    ("lines", "EDX: maps of two lines less background", "edx", {"Si_Ka": 1e-2, "Cu_Ka": 1e-2}, (3.0, None)),
    ("components", "PCA of spectra, Poisson scaling", "edx", {"ratios": 1e-2}, (3.0, None)),
)
OPERATIONS = tuple(Operation(*given) for given in _GIVEN)


def check(operation: Operation, ours: Results, theirs: Results, truth: Any) -> str:
    """Return how a peer's result agrees with emdvc's, in some words.

    Parameters
    ----------
    operation
        Which.
    ours, theirs
        The results for the same rows.
    truth
        The phantom.

    Raises
    ------
    Disagreement
        They differ by more than they may.
    """
    if operation.places:
        return _check_places(ours, theirs, truth)
    given = [name for name in operation.tolerance if name in theirs]
    if not given:
        raise Disagreement("gives none of the arrays")
    worst = 0.0
    for name in given:
        mine, other = np.asarray(ours[name], np.float64), np.asarray(theirs[name], np.float64)
        if mine.shape != other.shape:
            raise Disagreement(f"{name} has shape {other.shape}, not {mine.shape}")
        both = np.isfinite(mine) & np.isfinite(other)
        if both.sum() < 0.9 * np.isfinite(mine).sum():
            raise Disagreement(f"{name} lacks many numbers")
        apart = _rms(mine[both] - other[both]) / max(_rms(mine[both]), 1e-300)
        if apart > operation.tolerance[name]:
            raise Disagreement(f"{name} differs by {apart:.1%}")
        worst = max(worst, apart)
    lacking = [name for name in operation.tolerance if name not in theirs]
    return f"{worst:.0e}" + (f"; without {', '.join(lacking)}" if lacking else "")


def _rms(values: NDArray[Any]) -> float:
    return float(np.sqrt(np.mean(values * values)))


def accuracy(found: Results, truth: Any) -> tuple[float, float]:
    """Return the error of the places of Bragg disks (rms, per axis, px) and the part of the disks that was found."""
    count = np.asarray(found["count"]).reshape(-1)
    places = np.stack([np.asarray(found[name], np.float64).reshape(-1) for name in ("peak_ky", "peak_kx")], axis=1)
    starts = np.concatenate([[0], np.cumsum(count)])
    off, disks = [], 0
    for frame in range(count.size):
        true = np.array(truth.disks(*divmod(frame, truth.scan_shape[1])))[:, :2]
        mine = places[starts[frame] : starts[frame + 1]]
        disks += len(true)
        if len(mine):
            differences = true[:, None] - mine[None]
            nearest = (differences**2).sum(axis=-1).argmin(axis=1)
            chosen = differences[np.arange(len(true)), nearest]
            off.append(chosen[np.abs(chosen).max(axis=1) < 2.0])
    found_places = np.concatenate(off) if off else np.empty((0, 2))
    return (_rms(found_places) if len(found_places) else float("nan")), len(found_places) / disks


def _check_places(ours: Results, theirs: Results, truth: Any) -> str:
    error, part = accuracy(theirs, truth)
    own, own_part = accuracy(ours, truth)
    if not (error < 1.0 and part > 0.5):
        raise Disagreement(f"finds {part:.0%} of the disks, {error:.3f} px off")
    return f"{error:.3f} px off, {part:.0%} found (emdvc {own:.3f} px, {own_part:.0%})"


def bytes_of(operation: Operation, rows: int, shape: tuple[int, ...]) -> int:
    """Return the bytes of counts in some rows of an operation's data."""
    return rows * int(np.prod(shape[1:])) * 2


def names() -> tuple[str, ...]:
    """Return the names of all operations."""
    return tuple(operation.name for operation in OPERATIONS)


Prepare = Callable[[NDArray[Any]], data.Operation]
