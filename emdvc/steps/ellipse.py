"""Elliptical distortion of diffraction patterns, and distances in which its rings are round."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from emdvc.model.quantity import Origin, Quantity
from emdvc.steps import geometry, trigonometry
from emdvc.steps.contract import Input, Wanted
from emdvc.steps.detector_shapes import degrees
from emdvc.steps.values import Angle, DataPath

#: Shape (2, 2), symmetric, of determinant 1: turns an offset (y, x) in px into that of the undistorted pattern.
Rounding = NDArray[np.float64]

#: The arrays of a fit that are read: names that ``ellipse_fit`` gives.
_SIGNALS = ("ratio", "angle", "center_y", "center_x")


class PatternParameters(BaseModel):
    """How patterns are distorted, and which pixels count: not, and all by default."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, use_attribute_docstrings=True)

    ratio: float | None = Field(default=None, ge=1.0, le=10.0)
    """Major over minor semi-axis of the rings, where they are ellipses."""
    angle: Angle | None = None
    """Azimuth of the major axis, from +kx towards +ky; needed with `ratio`."""
    ellipse: DataPath | None = None
    """A result of ``ellipse_fit``: ratio, angle, and the centre, unless `center` says another."""

    mask: DataPath | None = None
    """An image (ky, kx): pixels where it is zero do not count, as those behind a beam stop."""

    @model_validator(mode="after")
    def _one_ellipse(self) -> PatternParameters:
        if self.ratio is not None and self.ellipse is not None:
            raise ValueError("give either `ratio` and `angle`, or `ellipse`, not both")
        if (self.ratio is None) != (self.angle is None):
            raise ValueError("an ellipse needs both `ratio` and `angle`")
        return self

    def wanted(self) -> Mapping[str, Wanted]:
        """Return the fit and the mask that are read, if any."""
        found = {} if self.ellipse is None else {"ellipse": Wanted(self.ellipse, _SIGNALS)}
        return found if self.mask is None else {**found, "mask": Wanted(self.mask)}


def fitted_center(parameters: PatternParameters, center: Quantity | None, source: Input) -> Quantity | None:
    """Return the centre that the parameters say: their own, else that of the fit, else None."""
    if center is not None or parameters.ellipse is None:
        return center
    y, x = (_fitted(source, name) for name in ("center_y", "center_x"))
    return Quantity((y, x), "px", Origin.CALIBRATED)


def declared_center(parameters: PatternParameters, center: Quantity | None) -> Quantity | None:
    """Return the centre as far as the metadata are concerned: with a fit, the record's is not read."""
    return Quantity((0, 0), "px") if center is None and parameters.ellipse is not None else center


def rounding_for(parameters: PatternParameters, source: Input) -> Rounding | None:
    """Return what makes the rings round; None where they are."""
    if parameters.ellipse is not None:
        return rounding(_fitted(source, "ratio"), _fitted(source, "angle"))
    if parameters.ratio is not None:
        return rounding(parameters.ratio, degrees(parameters.angle))
    return None


def rounding(ratio: float, angle: float) -> Rounding:
    """Return the matrix that makes an ellipse a circle of the same area.

    Parameters
    ----------
    ratio
        Major over minor semi-axis.
    angle
        Azimuth of the major axis in degrees.

    Notes
    -----
    Lengths along the major axis are divided, across it multiplied by the square root of the ratio: r is the geometric
    mean of the semi-axes.
    """
    cosine, sine = trigonometry.of_degrees(angle)
    along = np.array([sine, cosine])  # (y, x)
    across = np.array([cosine, -sine])
    root = math.sqrt(ratio)
    found: Rounding = along[:, None] * along / root + across[:, None] * across * root
    return found


def offsets(
    source: Input, center: tuple[float, float], scale: geometry.Scale, matrix: Rounding | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the offset (y, x) of every detector pixel from the centre in the undistorted pattern, (ky, kx) each."""
    if matrix is None:
        rows, columns = geometry.offsets(source, center, scale)
        y, x = np.broadcast_arrays(rows[:, None], columns)
        return y, x
    rows, columns = geometry.offsets(source, center, geometry.Scale(1.0, 1.0, "px"))
    y = ((rows * matrix[0, 0])[:, None] + columns * matrix[0, 1]) * scale.y
    x = ((rows * matrix[1, 0])[:, None] + columns * matrix[1, 1]) * scale.x
    return y, x


def squared_radii(
    source: Input, center: tuple[float, float], scale: geometry.Scale, matrix: Rounding | None
) -> NDArray[np.float64]:
    """Return the squared distance of every detector pixel from the centre in the undistorted pattern, (ky, kx).

    Only additions and multiplications: the bits are the same on every machine.
    """
    if matrix is None:
        return geometry.squared_radii(source, center, scale)
    y, x = offsets(source, center, scale, matrix)
    found: NDArray[np.float64] = y * y + x * x
    return found


def inverse(matrix: Rounding) -> Rounding:
    """Return the matrix that distorts: the determinant is 1."""
    return np.array([[matrix[1, 1], -matrix[0, 1]], [-matrix[1, 0], matrix[0, 0]]])


def _fitted(source: Input, name: str) -> float:
    return float(source.references["ellipse"].array((), (), name))
