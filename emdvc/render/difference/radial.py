"""The radial profile of one pattern: mean of its pixels on rings one pixel wide."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emdvc.model.axis import Axis, Role
from emdvc.model.quantity import Quantity
from emdvc.model.sidecar import component


def beam(shape: tuple[int, int], center: Quantity | None) -> tuple[float, float] | None:
    """Return where the undiffracted beam lies (y, x) in pixels; None where it is not known or not on the detector."""
    if center is None or len(center.values) != 2:
        return None
    y, x = component(center, 0), component(center, 1)
    return (y, x) if -0.5 <= y <= shape[0] - 0.5 and -0.5 <= x <= shape[1] - 0.5 else None


def radial(
    image: NDArray[np.float64], axes: tuple[Axis, Axis], middle: tuple[float, float] | None
) -> tuple[NDArray[np.float64], Axis]:
    """Return the mean of the known pixels at each distance from a place, and its axis.

    Ring i holds the pixels whose middle lies at ``i - 1/2 <= r < i + 1/2``, r in columns of the detector; a row counts
    as many columns as it is long. A ring without a known pixel is NaN.

    Parameters
    ----------
    image
        Shape (rows, columns); NaN is left out.
    axes
        Its vertical and horizontal axis.
    middle
        The place (y, x) in pixels; None: the middle of the image.
    """
    rows, columns = image.shape
    middle = middle or ((rows - 1) / 2, (columns - 1) / 2)
    across = np.arange(columns) - middle[1]
    down = (np.arange(rows) - middle[0]) * _tallness(axes)
    ring = np.floor(np.sqrt(down[:, None] ** 2 + across[None, :] ** 2) + 0.5).astype(np.int64)
    known = np.isfinite(image)
    length = int(ring.max()) + 1
    total = np.bincount(ring[known], image[known], minlength=length)
    count = np.bincount(ring[known], minlength=length)
    profile = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    step = axes[1].scale
    scale = Quantity(abs(float(step.values[0])), step.unit) if step is not None else None
    return profile, Axis("distance", length, Role.DETECTOR, scale)


def _tallness(axes: tuple[Axis, Axis]) -> float:
    """Return how many columns a row is long; one where the two have no common unit."""
    steps = [axis.scale for axis in axes]
    if steps[0] is None or steps[1] is None or steps[0].unit != steps[1].unit:
        return 1.0
    tall, wide = abs(float(steps[0].values[0])), abs(float(steps[1].values[0]))
    return tall / wide if tall > 0 and wide > 0 else 1.0
