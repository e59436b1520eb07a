"""Patterns in polar coordinates: each sample a weighted mean of four pixels, for many frames at once.

As for sums over labels, frames lie side by side: the samples of 32 frames at one pixel are one vector. Positions are
rounded to 1/256 px, so that the four weights are whole numbers that add up to 65536, and a sample is an exact integer
where counts are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from emdvc.kernels.lanes import LANES, SQUARE, transpose_square

#: Parts of a pixel that a position is rounded to.
PARTS = 256
#: Sum of the four weights of a sample.
WHOLE = PARTS * PARTS

_BLOCK = 16
_INDEX = ir.IntType(64)


def bilinear(y: NDArray[np.float64], x: NDArray[np.float64], shape: tuple[int, int]) -> tuple[NDArray[Any], ...]:
    """Return the pixels and the weights behind samples at positions on the detector.

    Parameters
    ----------
    y, x
        Positions in px, shape (samples,).
    shape
        Of the detector.

    Returns
    -------
    pixels
        Shape (samples, 4): flat numbers.
    weights
        Shape (samples, 4): whole numbers that add up to :data:`WHOLE`. All zero where the position lies outside the
        detector; within the outer half of its border pixels their value holds.
    """
    inside = (y >= -0.5) & (y <= shape[0] - 0.5) & (x >= -0.5) & (x <= shape[1] - 0.5)
    corners = []
    for position, size in ((y, shape[0]), (x, shape[1])):
        parts = np.rint(np.clip(position, 0.0, size - 1.0) * PARTS).astype(np.int64)
        low = np.minimum(parts // PARTS, max(size - 2, 0))
        corners.append((low, np.minimum(low + 1, size - 1), parts - low * PARTS))
    (y0, y1, fy), (x0, x1, fx) = corners
    pixels = np.stack([y0 * shape[1] + x0, y0 * shape[1] + x1, y1 * shape[1] + x0, y1 * shape[1] + x1], axis=1)
    weights = np.stack([(PARTS - fy) * (PARTS - fx), (PARTS - fy) * fx, fy * (PARTS - fx), fy * fx], axis=1)
    return pixels.astype(np.uint32), (weights * inside[:, None]).astype(np.uint32)


def polar_samples(frames: NDArray[Any], pixels: NDArray[np.uint32], weights: NDArray[np.uint32]) -> NDArray[np.float32]:
    """Return samples of every frame, each the mean of four pixels by their weights.

    Parameters
    ----------
    frames
        Shape (n, pixels), C-contiguous.
    pixels, weights
        As :func:`bilinear` gives them.

    Returns
    -------
    array
        Shape (n, samples): the weighted sums, exact for integers, divided by :data:`WHOLE` and rounded to 32-bit floats
        once.
    """
    found = np.empty((frames.shape[0], pixels.shape[0]), np.float32)
    tile, used = tile_for(frames, pixels)
    lines = np.empty((_BLOCK, LANES), sum_type(frames.dtype))
    chosen = weights.astype(lines.dtype)
    for start, part in whole_tiles(frames):
        _polar_samples(part, used, pixels, chosen, tile, lines, found[start : start + LANES * (len(part) // LANES)])
    return found


def sum_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return a type that holds weighted sums of four pixels exactly: 65536 times 16-bit counts fit 32 bits."""
    return np.dtype("u4") if dtype.kind in "ub" and dtype.itemsize <= 2 else np.dtype("f8")


def tile_for(frames: NDArray[Any], pixels: NDArray[np.uint32]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return room for all pixels of :data:`LANES` frames, and the squares of pixels that are read."""
    squares = -(-frames.shape[1] // SQUARE)
    touched = np.zeros(squares, np.bool_)
    touched[np.unique(pixels) // SQUARE] = True
    return np.zeros((squares * SQUARE, LANES), frames.dtype), np.flatnonzero(touched) * SQUARE


def whole_tiles(frames: NDArray[Any]) -> list[tuple[int, NDArray[Any]]]:
    """Return frames in runs of whole tiles, and where each starts; empty frames fill the last."""
    many = frames.shape[0] - frames.shape[0] % LANES
    runs = [(0, frames[:many])] if many else []
    if many < frames.shape[0]:
        rest = np.zeros((LANES, frames.shape[1]), frames.dtype)
        rest[: frames.shape[0] - many] = frames[many:]
        runs.append((many, rest))
    return runs


@njit(nogil=True, cache=True)
def fill_tile(frames, start, used, tile):  # type: ignore[no-untyped-def]
    """Transpose the squares of :data:`LANES` frames into a tile."""
    whole = frames.shape[1] - frames.shape[1] % SQUARE
    for index in range(used.shape[0]):
        if used[index] < whole:
            for lane in range(0, LANES, SQUARE):
                transpose_square(frames, start + lane, used[index], tile, used[index], lane)
        else:
            for pixel in range(whole, frames.shape[1]):
                for lane in range(LANES):
                    tile[pixel, lane] = frames[start + lane, pixel]


def _weigh_rows(typingctx, sums, row, tile, pixels, weights, sample):  # type: ignore[no-untyped-def]
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args
        target, source, numbers, factors = (
            context.make_array(kinds[i])(context, builder, args[i]) for i in (0, 2, 3, 4)
        )
        narrow, wide = kinds[2].dtype, kinds[0].dtype
        vector = ir.VectorType(context.get_data_type(wide), LANES)
        floating = isinstance(wide, types.Float)
        plus, times = (builder.fadd, builder.fmul) if floating else (builder.add, builder.mul)
        total = None
        for corner in range(4):
            place = builder.add(builder.mul(args[5], ir.Constant(_INDEX, 4)), ir.Constant(_INDEX, corner))
            pixel = builder.zext(builder.load(builder.gep(numbers.data, [place])), _INDEX)
            weight = builder.load(builder.gep(factors.data, [place]))
            values = builder.load(
                builder.bitcast(
                    builder.gep(source.data, [builder.mul(pixel, ir.Constant(_INDEX, LANES))]),
                    ir.VectorType(context.get_data_type(narrow), LANES).as_pointer(),
                ),
                align=context.get_abi_sizeof(context.get_data_type(narrow)),
            )
            values = _widen(builder, values, narrow, wide, vector)
            spread = builder.insert_element(ir.Constant(vector, ir.Undefined), weight, ir.Constant(ir.IntType(32), 0))
            zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
            spread = builder.shuffle_vector(spread, ir.Constant(vector, ir.Undefined), zeros)
            product = times(values, spread)
            total = product if total is None else plus(total, product)
        address = builder.gep(target.data, [builder.mul(args[1], ir.Constant(_INDEX, LANES))])
        builder.store(total, builder.bitcast(address, vector.as_pointer()), align=wide.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(sums, types.uint64, tile, pixels, weights, types.uint64), generate


#: Write to a row of `sums` the four rows of `tile` of one sample by their weights: (sums, row, tile, pixels, weights,
#: sample).
weigh_rows: Any = intrinsic(_weigh_rows)


def _widen(builder: Any, values: Any, narrow: Any, wide: Any, vector: Any) -> Any:
    if isinstance(wide, types.Float):
        if isinstance(narrow, types.Float):
            return values if narrow == wide else builder.fpext(values, vector)
        return (builder.sitofp if getattr(narrow, "signed", False) else builder.uitofp)(values, vector)
    return values if narrow == wide else builder.zext(values, vector)


@njit(nogil=True, cache=True)
def _polar_samples(frames, used, pixels, weights, tile, lines, found):  # type: ignore[no-untyped-def]
    samples = pixels.shape[0]
    scale = 1.0 / WHOLE
    for start in range(0, frames.shape[0], LANES):
        fill_tile(frames, start, used, tile)
        lanes = min(LANES, found.shape[0] - start)
        for first in range(0, samples, _BLOCK):
            count = min(_BLOCK, samples - first)
            for index in range(count):
                weigh_rows(lines, np.uint64(index), tile, pixels, weights, np.uint64(first + index))
            for lane in range(lanes):
                for index in range(count):
                    found[start + lane, first + index] = np.float32(lines[index, lane] * scale)
