"""pyFAI: its integrator with a sparse matrix (CSR), pixels not split."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from conversation import Case, Run, converse
from pyFAI.containers import ErrorModel
from pyFAI.integrator.azimuthal import AzimuthalIntegrator

METHOD = ("no", "csr", "cython")


def engine(case: Case) -> Any:
    """Return the engine behind ``integrate1d``, without its checks of each pattern; radii are pixels, counted in mm."""
    size, count = 1e-3, case.told["rings"]
    poni = (case.told["center"] + 0.5) * size  # places are counted from the corner of the first pixel
    one = AzimuthalIntegrator(dist=1.0, poni1=poni, poni2=poni, pixel1=size, pixel2=size, wavelength=1e-10)
    empty = np.ones(case.images["labels"].shape, np.uint16)
    one.integrate1d(empty, count, method=METHOD, unit="r_mm", radial_range=(0, count), correctSolidAngle=False)
    (made,) = one.engines.values()
    return made.engine


def integrate(case: Case, rows: int, take: Any, **options: Any) -> Any:
    """Return a run over all patterns, in two threads."""
    counts = case.counts("scan", rows)
    engines = [engine(case) for _ in range(2)]  # each has memory of its own for one pattern
    flat = counts.reshape(-1, *counts.shape[2:])
    profiles = np.empty((len(flat), case.told["rings"]))

    def part(thread: int) -> None:
        for index in range(thread, len(flat), 2):
            profiles[index] = take(engines[thread].integrate_ng(flat[index], **options))

    def run() -> Any:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(part, range(2)))
        return profiles.reshape(*counts.shape[:2], -1)

    return run


def profile(case: Case, rows: int) -> Run:
    """Radial profile."""
    run = integrate(case, rows, lambda result: result.intensity)
    return lambda: {"profile": run()}


def variance(case: Case, rows: int) -> Run:
    """Variance within rings: what it offers as the error of azimuthal averages."""

    def relative(result: Any) -> Any:
        with np.errstate(invalid="ignore", divide="ignore"):
            return (result.std / result.intensity) ** 2

    run = integrate(case, rows, relative, error_model=ErrorModel.AZIMUTHAL)
    return lambda: {"variance": run()}


if __name__ == "__main__":
    converse(("pyFAI",), {"profile": profile, "variance": variance})
