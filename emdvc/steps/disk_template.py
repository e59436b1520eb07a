"""The template that Bragg disks are found with: a disk, or an image of the probe, less a ring around it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emdvc.errors import Code, StepError
from emdvc.kernels.peaks import Aperture
from emdvc.kernels.template_correlation import Taps, taps_of

#: Weight of a pixel inside the disk: the one of these that lets the template's sum come nearest to zero.
_WEIGHTS = {"disk": range(16, 49), "probe": range(48, 97)}


@dataclass(frozen=True, slots=True)
class Template:
    """A template of whole numbers whose sum is zero, or nearly so: a uniform background gives no correlation.

    Parameters
    ----------
    taps
        Its weights, as the correlation needs them.
    aperture
        Where the probe's counts and the background's are summed: up to the middle of the ring, and beyond.
    offset
        Place (y, x) of the probe's middle on the template, counted from its middle pixel, in px.
    radius
        Radius of the probe, in px.
    """

    taps: Taps
    aperture: Aperture
    offset: tuple[float, float]
    radius: float


def disk_template(radius: float, ring: float) -> Template:
    """Return the template of a uniform disk.

    A disk and a ring with sharp edges, at the four places around a pixel's middle: the edges of their sum fall along
    two pixels, with one half at the radius. The ring begins a pixel beyond the disk.

    Parameters
    ----------
    radius
        Of the disk, px, at least 1.
    ring
        Outer radius of the ring around the disk that gives the background, in radii of the disk, at least 2 px more
        than that; 0 for no ring.
    """
    outer = max(radius * ring, radius + 2.0) if ring > 0 else radius
    reach = math.ceil(outer + 0.5)
    distance = _distances(2 * reach, (reach - 0.5, reach - 0.5))
    disk, around = distance <= radius, (distance > radius + 1.0) & (distance <= outer)
    weights = _weights(_ones(disk).astype(np.float64), around, _WEIGHTS["disk"])
    # an intensity leaves room for a wider edge, and for the disk's middle beside its pixel's
    between = (radius + outer) / 2 if ring > 0 else radius + 1.0
    distance = _distances(2 * reach + 1, (reach, reach))
    aperture = Aperture(_ones(distance <= between), _ones((distance > between) & (distance <= outer)))
    return Template(taps_of(weights, doubled=True), aperture, (0.0, 0.0), radius)


def probe_template(image: NDArray[np.generic], ring: float, radius: float | None = None) -> Template:
    """Return the template of a measured probe: the vacuum image of the undiffracted disk, patterned or not.

    Its radius is that of a disk with the area above half of the mean level there (Savitzky et al., Microscopy and
    Microanalysis 27, 712 (2021)). The background, the mean over the outer half of the ring, is taken off; the probe's
    middle is the centre of mass of what is left.

    Parameters
    ----------
    image
        Shape (ky, kx).
    ring
        As for :func:`disk_template`.
    radius
        Of the probe, px, where that cannot be told from the image: a patterned probe has no level of its own.

    Raises
    ------
    StepError
        The image holds no disk, or it is cut off by the edge.
    """
    values = image.astype(np.float64)
    area = _bright_area(values)
    pixels = int(area.sum())
    radius = math.sqrt(pixels / math.pi) if radius is None else radius
    rows, columns = np.nonzero(area)
    middle = (int(rows.sum()) / pixels, int(columns.sum()) / pixels)
    y, x = round(middle[0]), round(middle[1])
    reach = math.ceil(radius * max(ring, 1.25)) + 1
    if radius < 1.0 or not (reach <= y < values.shape[0] - reach and reach <= x < values.shape[1] - reach):
        raise StepError(
            "the probe image holds no whole disk with a margin around it",
            code=Code.STEP_PARAMETER,
            evidence=f"found one of radius {radius:.3g} px at ({y}, {x}) px; the image is "
            f"{values.shape[0]} x {values.shape[1]} px",
            hint="give the mean pattern in vacuum (the step sum_pattern), without hot pixels, or radius=...",
        )
    part = values[y - reach : y + reach + 1, x - reach : x + reach + 1]
    distance = _distances(2 * reach + 1, (middle[0] - y + reach, middle[1] - x + reach))
    between = radius * (1.0 + ring) / 2 if ring > 0 else radius * 1.25
    around = (distance > between) & (distance <= max(radius * ring, between + 1.0))
    background = math.fsum(part[around].tolist()) / int(around.sum())
    level = math.fsum(values[area].tolist()) / pixels - background
    profile = np.where(distance <= between, np.maximum(part - background, 0.0) / level, 0.0)
    aperture = Aperture(_ones(distance <= between), _ones(around) * int(ring > 0))
    weights = _weights(profile, around & (ring > 0), _WEIGHTS["probe"])
    return Template(taps_of(weights), aperture, _centre_of_mass(profile), radius)


def _centre_of_mass(profile: NDArray[np.float64]) -> tuple[float, float]:
    """Return the centre of mass (y, x), counted from the middle pixel."""
    total = math.fsum(profile.ravel().tolist())
    at = np.arange(profile.shape[0], dtype=np.float64) - profile.shape[0] // 2
    moments = (math.fsum((profile * weight).ravel().tolist()) for weight in (at[:, None], at[None, :]))
    y, x = (moment / total for moment in moments)
    return y, x


def _bright_area(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return where an image is above half of its mean there: the fixed point, from the largest value on."""
    level = float(values.max())
    area = values > level / 2
    for _ in range(50):
        if not area.any():
            break
        level = math.fsum(values[area].tolist()) / int(area.sum())
        wider = values > level / 2
        if (wider == area).all():
            break
        area = wider
    if not area.any():
        raise StepError("the probe image is empty", evidence=f"its largest value is {float(values.max()):g}")
    return area


def _distances(side: int, middle: tuple[float, float]) -> NDArray[np.float64]:
    """Return the distance of the pixels of a square from a place (y, x) in it."""
    y, x = (np.arange(side, dtype=np.float64) - at for at in middle)
    found: NDArray[np.float64] = np.sqrt((y * y)[:, None] + (x * x)[None, :])
    return found


def _ones(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    return mask.astype(np.int64)


def _weights(profile: NDArray[np.float64], around: NDArray[np.bool_], choice: range) -> NDArray[np.int64]:
    """Return a probe less the ring around it, in whole numbers."""
    pixels = int(around.sum())
    best = min(choice, key=lambda weight: abs(_quantised(profile, weight, pixels)[2]) / weight)
    disk, depth, _ = _quantised(profile, best, pixels)
    return disk - depth * _ones(around)


def _quantised(profile: NDArray[np.float64], weight: int, pixels: int) -> tuple[NDArray[np.int64], int, int]:
    """Return the disk in whole numbers, the ring's, and what their sum lacks to zero."""
    disk = np.rint(profile * weight).astype(np.int64)
    total = int(disk.sum())
    depth = (total + pixels // 2) // pixels if pixels else 0
    return disk, depth, total - depth * pixels
