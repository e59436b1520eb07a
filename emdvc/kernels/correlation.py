"""Angular correlations of patterns in polar coordinates, for many frames at once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from emdvc.kernels.lanes import LANES
from emdvc.kernels.polar import WHOLE, fill_tile, tile_for, weigh_rows, whole_tiles

#: Parts of 1 in which correlations are summed over frames, so that their sum does not depend on the order.
FIXED = 2.0**32

#: Largest correlation of a frame that is summed.
_HIGHEST = 2.0**14
#: Angles and frames whose sums fit the registers together, of processors with sixteen of four numbers as well.
_TOGETHER, _WIDTH = 6, 8
_INDEX = ir.IntType(64)


def pairs_of(weights: NDArray[np.uint32], azimuths: int) -> NDArray[np.int64]:
    """Return how many pairs of samples there are on every ring at every angle, shape (rings, azimuths / 2 + 1).

    Parameters
    ----------
    weights
        Shape (rings * azimuths, 4): zero where there is no sample.
    azimuths
        Samples on a ring; an even number.
    """
    valid = weights.any(axis=1).reshape(-1, azimuths)
    pairs = [(valid & np.roll(valid, -turn, axis=1)).sum(axis=1) for turn in range(azimuths // 2 + 1)]
    return np.stack(pairs, axis=1)


def angular_correlations(
    frames: NDArray[Any],
    pixels: NDArray[np.uint32],
    weights: NDArray[np.uint32],
    pairs: NDArray[np.int64],
    single: NDArray[np.float32] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the normalised angular correlation on every ring, summed over frames.

    Parameters
    ----------
    frames
        Shape (n, pixels), C-contiguous.
    pixels, weights
        Shape (rings * azimuths, 4): the samples, as :func:`emdvc.kernels.polar.bilinear` gives them; no sample where
        the weights are zero.
    pairs
        As :func:`pairs_of` counts them.
    single
        Shape (n, rings, azimuths / 2 + 1): filled with the correlation of each frame, if given; NaN where there is
        none.

    Returns
    -------
    total
        Shape (rings, azimuths / 2 + 1): sum over the frames of ``(S / pairs - m^2) / m^2``, S the sum of the products
        of all pairs and m the mean of the ring's samples, in parts of :data:`FIXED`.
    counted
        Shape (rings,): how many frames had counts on the ring; the others have no correlation.

    Notes
    -----
    The sums are exact while those of the squared samples fit 53 bits; beyond, they are rounded in the order of the
    azimuths.
    """
    rings, angles = pairs.shape
    azimuths = pixels.shape[0] // rings
    total, counted = np.zeros((rings, angles), np.int64), np.zeros(rings, np.int64)
    tile, used = tile_for(frames, pixels)
    padded = -(-angles // _TOGETHER) * _TOGETHER
    ring = np.zeros((azimuths + padded, LANES))
    sums, squares = np.zeros((padded, LANES)), np.zeros(LANES)
    # nothing is kept where there is no room for an angle
    room = np.zeros((frames.shape[0], rings, 0), np.float32) if single is None else single
    factors = weights / WHOLE
    for start, part in whole_tiles(frames):
        lanes = min(len(part), frames.shape[0] - start)
        _correlate(part, lanes, used, pixels, factors, pairs, tile, ring, sums, squares, total, counted, room[start:])
    return total, counted


def _write_sums_of_products(typingctx, ring, azimuths, delta, lane, sums):  # type: ignore[no-untyped-def]
    """Write to :data:`_TOGETHER` rows of `sums`, from `delta` on, the sums of products of `ring` with itself.

    In :data:`_WIDTH` lanes from `lane` on. The sums stay in registers while the azimuth runs, which the compiler does
    not find by itself.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source, target = (context.make_array(signature.args[i])(context, builder, args[i]) for i in (0, 4))
        vector = ir.VectorType(ir.DoubleType(), _WIDTH)

        def address(array: Any, row: Any) -> Any:
            place = builder.add(builder.mul(row, ir.Constant(_INDEX, LANES)), args[3])
            return builder.bitcast(builder.gep(array.data, [place]), vector.as_pointer())

        zero = ir.Constant(vector, [0.0] * _WIDTH)
        totals = [cgutils.alloca_once_value(builder, zero) for _ in range(_TOGETHER)]  # type: ignore[no-untyped-call]
        with cgutils.for_range(builder, args[1], intp=_INDEX) as loop:
            values = builder.load(address(source, loop.index), align=8)
            beyond = builder.add(loop.index, args[2])
            for further, total in enumerate(totals):
                row = builder.add(beyond, ir.Constant(_INDEX, further))
                products = builder.fmul(values, builder.load(address(source, row), align=8))
                builder.store(builder.fadd(builder.load(total), products), total)
        for further, total in enumerate(totals):
            row = builder.add(args[2], ir.Constant(_INDEX, further))
            builder.store(builder.load(total), address(target, row), align=8)
        return context.get_dummy_value()

    return types.void(ring, types.uint64, types.uint64, types.uint64, sums), generate


_sum_products: Any = intrinsic(_write_sums_of_products)


@njit(nogil=True, cache=True, error_model="numpy")
def _fill_ring(pixels, weights, first, tile, ring, azimuths):  # type: ignore[no-untyped-def]
    for phi in range(azimuths):
        weigh_rows(ring, np.uint64(phi), tile, pixels, weights, np.uint64(first + phi))
    # past the last azimuth the ring starts again
    for phi in range(azimuths, ring.shape[0]):
        for lane in range(LANES):
            ring[phi, lane] = ring[phi - azimuths, lane]


@njit(nogil=True, cache=True, error_model="numpy")
def _multiply(ring, azimuths, sums):  # type: ignore[no-untyped-def]
    for delta in range(0, sums.shape[0], _TOGETHER):
        for lane in range(0, LANES, _WIDTH):
            _sum_products(ring, np.uint64(azimuths), np.uint64(delta), np.uint64(lane), sums)


@njit(nogil=True, cache=True, error_model="numpy")
def _normalise(ring, azimuths, pairs, sums, squares):  # type: ignore[no-untyped-def]
    # a division by zero, where there are no counts or no pairs, gives NaN; every sample is its own pair at angle 0
    for lane in range(LANES):
        squares[lane] = 0.0
    for phi in range(azimuths):
        for lane in range(LANES):
            squares[lane] += ring[phi, lane]
    for lane in range(LANES):
        squares[lane] /= pairs[0]
        squares[lane] *= squares[lane]
    for delta in range(pairs.shape[0]):
        number = np.float64(pairs[delta])
        for lane in range(LANES):
            sums[delta, lane] = (sums[delta, lane] / number - squares[lane]) / squares[lane]


@njit(nogil=True, cache=True, error_model="numpy")
def _add_up(sums, squares, lanes, total):  # type: ignore[no-untyped-def]
    for delta in range(total.shape[0]):
        fixed = np.int64(0)
        for lane in range(lanes):
            value = sums[delta, lane]
            # counts cannot correlate more than a ring has samples; differences of counts, whose mean is near 0, could
            held = min(max(value if value == value else 0.0, -_HIGHEST), _HIGHEST)
            fixed += np.int64(math.floor(held * FIXED + 0.5))
        total[delta] += fixed
    counted = np.int64(0)
    for lane in range(lanes):
        counted += squares[lane] > 0.0
    return counted


@njit(nogil=True, cache=True, error_model="numpy")
def _correlate(  # type: ignore[no-untyped-def]
    frames, count, used, pixels, weights, pairs, tile, ring, sums, squares, total, counted, single
):
    azimuths = ring.shape[0] - sums.shape[0]
    for start in range(0, frames.shape[0], LANES):
        lanes = min(LANES, count - start)
        fill_tile(frames, start, used, tile)
        for index in range(total.shape[0]):
            _fill_ring(pixels, weights, index * azimuths, tile, ring, azimuths)
            _multiply(ring, azimuths, sums)
            _normalise(ring, azimuths, pairs[index], sums, squares)
            counted[index] += _add_up(sums, squares, lanes, total[index])
            for lane in range(lanes):
                for delta in range(single.shape[2]):
                    single[start + lane, index, delta] = sums[delta, lane]
