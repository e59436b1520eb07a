"""fpd; its last release needs names that Python and NumPy have given up since."""

from __future__ import annotations

import collections
import collections.abc
from typing import Any

import numpy as np

for _name in ("MutableMapping", "Mapping", "Sequence", "Iterable"):
    setattr(collections, _name, getattr(collections.abc, _name))
for _name, _type in (("float", float), ("int", int), ("bool", bool), ("product", np.prod)):
    if _name not in np.__dict__:
        setattr(np, _name, _type)

import skimage.feature  # noqa: E402
import skimage.registration  # noqa: E402

skimage.feature.register_translation = skimage.registration.phase_cross_correlation
import fpd.fpd_processing as processing  # noqa: E402
from conversation import Case, Run, converse  # noqa: E402

#: Rows and columns of the scan that are taken at once.
BLOCK = 16


def total(case: Case, rows: int) -> Run:
    """Sum of all patterns."""
    counts = case.counts("scan", rows)
    return lambda: {"sum": processing.sum_dif(counts, BLOCK, BLOCK)}


def detectors(case: Case, rows: int) -> Run:
    """Four virtual detectors."""
    counts, masks = case.counts("scan", rows), case.images["masks"].astype(np.float32)
    return lambda: {
        f"detector_{i}": image for i, image in enumerate(processing.synthetic_images(counts, BLOCK, BLOCK, masks))
    }


def mass(case: Case, rows: int) -> Run:
    """Centre of mass."""
    counts = case.counts("scan", rows)

    def run() -> dict[str, Any]:
        y, x = processing.center_of_mass(counts, BLOCK, BLOCK, print_stats=False, parallel=True, ncores=2)
        return {"com_y": y, "com_x": x}

    return run


def profile(case: Case, rows: int) -> Run:
    """Radial profile."""
    counts, middle, count = case.counts("scan", rows), case.told["center"], case.told["rings"]

    def run() -> dict[str, Any]:
        _, means = processing.radial_profile(counts, (middle, middle))
        # its rings lie around whole radii, so that each of the others lies on two of them
        return {"profile": (means[..., :count] + means[..., 1 : count + 1]) / 2}

    return run


if __name__ == "__main__":
    converse(("fpd",), {"sum": total, "detectors": detectors, "mass": mass, "profile": profile})
