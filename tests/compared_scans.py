"""Two states of a project, from real arrays: what the pictures and the page of a difference are tried on.

The figures of a change are computed here, plainly, from the whole arrays; the product computes them from chunks.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emdvc.compare.causes.cause import Cause, CauseKind
from emdvc.compare.dataset import DatasetDifference, compare
from emdvc.compare.numbers.values import Noise, Seen, ValueChange
from emdvc.compare.project import ProjectDifference
from emdvc.compare.verdict import Verdict
from emdvc.model.axis import Axis, Role
from emdvc.model.quantity import Quantity
from emdvc.model.sidecar import Sidecar, VariableInfo

ROLES = {
    "y": (Role.SCAN, 0.8, "nm"),
    "x": (Role.SCAN, 0.8, "nm"),
    "ky": (Role.DETECTOR, 0.02, "1/angstrom"),
    "kx": (Role.DETECTOR, 0.02, "1/angstrom"),
    "energy": (Role.SPECTRUM, 2.0, "eV"),
    "k": (Role.DETECTOR, 0.01, "1/angstrom"),
    "frame": (Role.STACK, None, ""),
}


def axes(dims: tuple[str, ...], shape: tuple[int, ...], factor: float = 1.0) -> dict[str, Axis]:
    """Return calibrated axes, every step `factor` times the usual one."""
    found = {}
    for dim, size in zip(dims, shape, strict=True):
        role, step, unit = ROLES[dim]
        found[dim] = Axis(dim, size, role, None if step is None else Quantity(step * factor, unit))
    return found


def sidecar(
    dims: tuple[str, ...], values: NDArray[Any], name: str = "data", *, factor: float = 1.0, **more: Any
) -> Sidecar:
    info = VariableInfo(dims, values.shape, str(values.dtype), digest=str(hash(values.tobytes())), unit="counts")
    return Sidecar(axes=axes(dims, values.shape, factor), variables={name: info}, main=name, **more)


def change(
    dims: tuple[str, ...], before: NDArray[Any], after: NDArray[Any], name: str = "data", **more: Any
) -> ValueChange:
    """Return what differs in the numbers of two arrays of one shape; a scan is what its `y` and `x` are."""
    scan = tuple((dim, size) for dim, size in zip(dims, before.shape, strict=True) if ROLES[dim][0] == Role.SCAN)
    a, b = before.astype(float), after.astype(float)
    differs = (a != b) & ~(np.isnan(a) & np.isnan(b))
    apart = (b - a)[differs & np.isfinite(b - a)]
    plain: dict[str, Any] = {
        "differing": int(differs.sum()),
        "compared": a.size,
        "total": a.size,
        "largest": float(np.abs(apart).max()) if apart.size else 0.0,
        "mean": float(apart.mean()) if apart.size else 0.0,
        "rms": float(np.sqrt((apart**2).mean())) if apart.size else 0.0,
        "unit": "counts",
    }
    if not scan:
        return ValueChange(name, Verdict.VALUES, **plain | more, seen=Seen(before_mean=a, after_mean=b))
    rest = tuple(range(len(scan), a.ndim))
    changed = differs.any(axis=rest)
    maps = [np.where(changed, side.sum(axis=rest), np.nan) for side in (a, b)]
    means = [side[changed].mean(axis=0) if rest and changed.any() else None for side in (a, b)]
    plain |= {"positions": int(changed.sum()), "scan": scan}
    if changed.any():
        places = zip(scan, np.nonzero(changed), strict=True)
        plain["box"] = tuple((dim, int(place.min()), int(place.max())) for (dim, _), place in places)
        plain["sum_ratio"] = float(np.nansum(maps[1]) / np.nansum(maps[0])) if np.nansum(maps[0]) else None
    return ValueChange(name, Verdict.VALUES, **plain | more, seen=Seen(changed, maps[0], maps[1], means[0], means[1]))


def difference(
    dims: tuple[str, ...],
    before: NDArray[Any],
    after: NDArray[Any],
    path: str = "raw/scan.zarr",
    *,
    name: str = "data",
    factors: tuple[float, float] = (1.0, 1.0),
    sides: tuple[dict[str, Any], dict[str, Any]] = ({}, {}),
    **more: Any,
) -> DatasetDifference:
    """Return the difference of two states of a dataset; `sides` are fields of the two sidecars."""
    old, new = (
        sidecar(dims, values, name, factor=factor, **own)
        for values, factor, own in zip((before, after), factors, sides, strict=True)
    )
    found = compare(old, new, PurePosixPath(path))
    values = (change(dims, before, after, name),) if before.shape == after.shape else ()
    return replace(found, **{"values": values, "before_sidecar": old, "after_sidecar": new} | more)


def scan_of_crystals(shape: tuple[int, int] = (48, 64), pixels: int = 32, seed: int = 1) -> NDArray[np.uint16]:
    """Return counts of two crystals on a film: a central beam, rings, and spots that turn from one to the other."""
    rng = np.random.default_rng(seed)
    ky, kx = np.mgrid[:pixels, :pixels] - (pixels - 1) / 2
    radius = np.hypot(ky, kx)
    film = 40 * np.exp(-((radius / 3) ** 2)) + 1.2 * np.exp(-(((radius - 0.55 * pixels / 2) / 2.5) ** 2)) + 0.08

    def spots(turn: float) -> NDArray[np.float64]:
        total = np.zeros_like(radius)
        for order in range(6):
            angle = turn + order * np.pi / 3
            y, x = 0.4 * pixels * np.array([np.sin(angle), np.cos(angle)])
            total += 6 * np.exp(-(((ky - y) ** 2 + (kx - x) ** 2) / 3))
        return total

    y, x = np.mgrid[: shape[0], : shape[1]]
    inside = np.hypot(y - shape[0] * 0.45, x - shape[1] * 0.35) < shape[0] * 0.3
    other = np.hypot(y - shape[0] * 0.6, x - shape[1] * 0.75) < shape[0] * 0.22
    rate = film + inside[..., None, None] * spots(0.2) + other[..., None, None] * spots(0.7)
    return rng.poisson(rate).astype(np.uint16)


def project() -> ProjectDifference:
    """Return a difference as a project shows one: two scans, two results, one exposure repeated, one dataset gone."""
    before = scan_of_crystals()
    after = before.copy()
    after[10:19, 20:34] = np.random.default_rng(2).poisson(after[10:19, 20:34] * 0.8 + 0.1).astype(np.uint16)
    record = {
        "beam": {"energy": {"value": 200.0, "unit": "keV", "origin": "file"}},
        "diffraction": {"center": {"value": [15.5, 15.5], "unit": "px", "origin": "user"}},
        "session": {"operator": "E. Ruska"},
    }
    later = {
        "beam": {"energy": {"value": 300.0, "unit": "keV", "origin": "user"}},
        "diffraction": {"center": {"value": [15.5, 15.5], "unit": "px", "origin": "user"}},
        "session": {"operator": "M. Knoll & <script>alert(1)</script>"},
    }
    vendor = {f"ImageTags.Stage{number}": {"X": float(number), "text": f"note {number}"} for number in range(12)}
    raw = difference(
        ("y", "x", "ky", "kx"),
        before,
        after,
        sides=(
            {"record": record, "vendor": vendor, "statistics": {"data": {"sum": int(before.sum()), "max": 99}}},
            {
                "record": later,
                "vendor": {key: value | {"X": value["X"] + 0.5} for key, value in vendor.items()},
                "statistics": {"data": {"sum": int(after.sum()), "max": 101}},
            },
        ),
    )
    virtual = [scan[..., 6:26, 6:26].sum(axis=(2, 3)).astype(np.uint32) for scan in (before, after)]
    result = difference(
        ("y", "x"),
        virtual[0],
        virtual[1],
        "results/vdet.zarr",
        name="haadf",
        factors=(1.0, 1.1),
        sides=(
            {"provenance": {"step": "virtual_detector", "version": 1, "parameters": {"inner": "20 mrad"}}},
            {"provenance": {"step": "virtual_detector", "version": 2, "parameters": {"inner": "25 mrad"}}},
        ),
        causes=(
            Cause(CauseKind.PARAMETER, "params.yaml", "vdet.inner", Quantity(20.0, "mrad"), Quantity(25.0, "mrad")),
            Cause(CauseKind.VERSION, "virtual_detector", "", 1, 2),
            Cause(CauseKind.SCRIPT, "scripts/<b>clean.py", "", "x = 1", "x = 2", line=12, through=("clean",)),
            Cause(CauseKind.INPUT, "raw/scan.zarr"),
        ),
    )
    energy = np.arange(400) * 2.0
    rng = np.random.default_rng(4)
    curve = 4000 * np.exp(-energy / 220) + 900 * np.exp(-(((energy - 284) / 14) ** 2)) + 60
    spectra = rng.poisson(np.broadcast_to(curve / 40, (12, 16, 400))).astype(np.uint16)
    spectra_after = spectra.copy()
    extra = 14 * np.exp(-(((energy - 532) / 10) ** 2))
    spectra_after[3:5, 2:9] = rng.poisson(spectra[3:5, 2:9] + extra).astype(np.uint16)
    eels = difference(("y", "x", "energy"), spectra, spectra_after, "raw/eels.zarr", factors=(1.0, 1.0))
    pattern = [scan[10:19, 20:34].mean(axis=(0, 1)).astype(np.float32) for scan in (before, after)]
    mean = difference(("ky", "kx"), pattern[0], pattern[1], "results/mean_pattern.zarr", name="mean")
    noisy = replace(
        difference(("y", "x"), virtual[0], virtual[0], "raw/repeat.zarr"),
        values=(
            ValueChange(
                "data",
                Verdict.NOISE_EQUIVALENT,
                4096,
                4096,
                4096,
                4096,
                (("y", 64), ("x", 64)),
                (("y", 0, 63), ("x", 0, 63)),
                21.0,
                0.02,
                4.4,
                1.0003,
                noise=Noise(0.43, 12),
                unit="counts",
            ),
        ),
    )
    gone = DatasetDifference(PurePosixPath("results/<script>old.zarr"), "removed", "result")
    return ProjectDifference("v1.0", "main", (raw, eels, noisy, result, mean, gone), 9)
