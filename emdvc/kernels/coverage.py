"""How much of each detector pixel a shape covers: exact areas of a pixel cut by straight lines and a circle."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

#: Corners that a pixel can have after it was cut by up to four lines, each of which adds at most one.
_CORNERS = 4 + 4 + 1


def covered(
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    size: tuple[float, float],
    radius: float,
    planes: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return which part of every pixel lies within a circle around the origin and on one side of each of some lines.

    Parameters
    ----------
    y, x
        Middles of the rows and of the columns of pixels, relative to the centre of the circle.
    size
        Height and width of a pixel.
    radius
        Of the circle; infinite for none.
    planes
        Shape (lines, 3), at most four lines: the side ``a y + b x + c >= 0`` of each line (a, b, c) belongs to the
        shape.

    Returns
    -------
    array
        Shape (rows, columns), from 0 to 1.

    Notes
    -----
    A pixel is cut line by line (Sutherland and Hodgman, Communications of the ACM 17, 32 (1974)). The area that a
    polygon shares with a disk is summed over its edges: a triangle to the middle where the edge runs inside, a sector
    of the disk where it runs outside.
    """
    found = np.zeros((y.shape[0], x.shape[0]))
    work = np.empty((2, _CORNERS, 2))
    _covered(y, x, size[0] / 2, size[1] / 2, radius, planes, work, found)
    return found


@njit(nogil=True, cache=True, error_model="numpy")
def _covered(y, x, half_y, half_x, radius, planes, work, found):  # type: ignore[no-untyped-def]
    area = 4.0 * half_y * half_x
    for row in range(y.shape[0]):
        for column in range(x.shape[0]):
            near_y, near_x = max(abs(y[row]) - half_y, 0.0), max(abs(x[column]) - half_x, 0.0)
            far_y, far_x = abs(y[row]) + half_y, abs(x[column]) + half_x
            if near_y * near_y + near_x * near_x >= radius * radius:
                continue
            corners = work[0]
            corners[0, 0], corners[0, 1] = y[row] - half_y, x[column] - half_x
            corners[1, 0], corners[1, 1] = y[row] - half_y, x[column] + half_x
            corners[2, 0], corners[2, 1] = y[row] + half_y, x[column] + half_x
            corners[3, 0], corners[3, 1] = y[row] + half_y, x[column] - half_x
            count = 4
            for line in range(planes.shape[0]):
                count = _cut(work[line % 2], count, planes[line], work[1 - line % 2])
            corners = work[planes.shape[0] % 2]
            cut_by_circle = far_y * far_y + far_x * far_x > radius * radius
            total = 0.0
            for corner in range(count):
                following = corner + 1 if corner + 1 < count else 0
                y0, x0, y1, x1 = corners[corner, 0], corners[corner, 1], corners[following, 0], corners[following, 1]
                total += _under_edge(y0, x0, y1, x1, radius) if cut_by_circle else (y1 * x0 - x1 * y0) / 2.0
            found[row, column] = min(max(total / area, 0.0), 1.0)


@njit(nogil=True, cache=True, error_model="numpy")
def _cut(corners, count, plane, kept):  # type: ignore[no-untyped-def]
    number = 0
    for corner in range(count):
        following = corner + 1 if corner + 1 < count else 0
        y0, x0, y1, x1 = corners[corner, 0], corners[corner, 1], corners[following, 0], corners[following, 1]
        here = plane[0] * y0 + plane[1] * x0 + plane[2]
        there = plane[0] * y1 + plane[1] * x1 + plane[2]
        if here >= 0.0:
            kept[number, 0], kept[number, 1] = y0, x0
            number += 1
        if (here > 0.0 and there < 0.0) or (here < 0.0 and there > 0.0):
            part = here / (here - there)
            kept[number, 0], kept[number, 1] = y0 + part * (y1 - y0), x0 + part * (x1 - x0)
            number += 1
    return number


@njit(nogil=True, cache=True, error_model="numpy")
def _under_edge(y0, x0, y1, x1, radius):  # type: ignore[no-untyped-def]
    # the signed area that the triangle of the origin and an edge shares with the disk
    dy, dx = y1 - y0, x1 - x0
    length = dy * dy + dx * dx
    if length == 0.0:
        return 0.0
    middle = y0 * dy + x0 * dx
    rest = middle * middle - length * (y0 * y0 + x0 * x0 - radius * radius)
    if rest <= 0.0:
        return _sector(y0, x0, y1, x1, radius)
    enters, leaves = (-middle - math.sqrt(rest)) / length, (-middle + math.sqrt(rest)) / length
    if enters >= 1.0 or leaves <= 0.0:
        return _sector(y0, x0, y1, x1, radius)
    area = 0.0
    ya, xa, yb, xb = y0, x0, y1, x1
    if enters > 0.0:
        ya, xa = y0 + enters * dy, x0 + enters * dx
        area += _sector(y0, x0, ya, xa, radius)
    if leaves < 1.0:
        yb, xb = y0 + leaves * dy, x0 + leaves * dx
        area += _sector(yb, xb, y1, x1, radius)
    return area + (yb * xa - xb * ya) / 2.0


@njit(nogil=True, cache=True, error_model="numpy")
def _sector(y0, x0, y1, x1, radius):  # type: ignore[no-untyped-def]
    return radius * radius / 2.0 * math.atan2(y1 * x0 - x1 * y0, y1 * y0 + x1 * x0)
