"""Where a pattern in polar coordinates is sampled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emdvc.kernels.polar import bilinear
from emdvc.model.axis import Axis, Role
from emdvc.model.quantity import Origin, Quantity
from emdvc.steps import ellipse, trigonometry
from emdvc.steps.contract import Input
from emdvc.steps.rings import Rings


@dataclass(frozen=True, slots=True)
class PolarGrid:
    """Samples on rings at even azimuths.

    Parameters
    ----------
    pixels, weights
        Shape (azimuths, rings, 4): the four pixels behind each sample and their weights, as
        :func:`emdvc.kernels.polar.bilinear` gives them; weights of 0 where there is no sample: outside the detector, or
        where one of the pixels does not count.
    """

    pixels: NDArray[np.uint32]
    weights: NDArray[np.uint32]

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Where there is no sample, shape (azimuths, rings)."""
        found: NDArray[np.bool_] = (self.weights == 0).all(axis=2)
        return found


def polar_grid(source: Input, rings: Rings, azimuths: int) -> PolarGrid:
    """Return the samples at azimuth ``360 i / azimuths`` degrees on the middle of every ring.

    Sines and cosines are correctly rounded and positions are rounded to 1/256 px: the same samples on every machine.
    """
    table = trigonometry.cosine_table(4 * azimuths)
    steps = 4 * np.arange(azimuths)
    cosine, sine = table[steps], table[(steps - azimuths) % (4 * azimuths)]
    radii = rings.width * (np.arange(rings.bins) + 0.5)
    y, x = sine[:, None] * (radii / rings.scale.y), cosine[:, None] * (radii / rings.scale.x)
    if rings.matrix is not None:
        back = ellipse.inverse(rings.matrix)
        y, x = back[0, 0] * y + back[0, 1] * x, back[1, 0] * y + back[1, 1] * x
    size = (source.size("ky"), source.size("kx"))
    found: tuple[NDArray[Any], ...] = bilinear(
        (y + rings.center[0]).reshape(-1), (x + rings.center[1]).reshape(-1), size
    )
    pixels, weights = found
    if rings.counted is not None:
        weights[(~rings.counted.reshape(-1)[pixels] & (weights > 0)).any(axis=1)] = 0
    shape = (azimuths, rings.bins, 4)
    return PolarGrid(pixels.reshape(shape), weights.reshape(shape))


def azimuth_axis(dim: str, size: int, azimuths: int) -> Axis:
    """Return an axis of azimuths from 0 on, of so many around the circle."""
    step, first = (Quantity(value, "deg", Origin.DERIVED) for value in (360.0 / azimuths, 0.0))
    return Axis(dim, size, Role.DETECTOR, scale=step, offset=first)
