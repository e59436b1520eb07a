"""Frames side by side: one lane of a vector register per frame.

A histogram over labels cannot be vectorised along the pixels of one frame: neighbours belong to the same label, and
each addition would wait for the last. Across frames it can: the samples of :data:`LANES` frames at one pixel are added
to the row of that pixel's label by one vector addition. For that the frames are transposed, sixteen by sixteen samples
at a time, in registers. Numba's compiler finds neither by itself, so that both are said in LLVM's own words here; they
become shuffles and additions of whatever width the processor has.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

#: Frames that are summed side by side.
LANES = 32
#: Samples along each side of the squares that are transposed in registers.
SQUARE = 16
_INDEX = ir.IntType(64)


def _add_square(typingctx, frames, frame, pixel, labels, place, sums):  # type: ignore[no-untyped-def]
    signature = types.void(frames, frame, pixel, labels, place, sums)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        columns = _transposed(context, builder, signature, args)
        for index, values in enumerate(columns):
            _add(context, builder, signature, args, 5, index, values)
        return context.get_dummy_value()

    return signature, generate


def _add_square_and_powers(typingctx, frames, frame, pixel, labels, place, sums, powers):  # type: ignore[no-untyped-def]
    signature = types.void(frames, frame, pixel, labels, place, sums, powers)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        times = builder.fmul if isinstance(signature.args[5].dtype, types.Float) else builder.mul
        for index, values in enumerate(_transposed(context, builder, signature, args)):
            _add(context, builder, signature, args, 5, index, values)
            _add(context, builder, signature, args, 6, index, [times(half, half) for half in values])
        return context.get_dummy_value()

    return signature, generate


def _transpose_square(typingctx, frames, frame, pixel, target, row, column):  # type: ignore[no-untyped-def]
    signature = types.void(frames, frame, pixel, target, row, column)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        tile = context.make_array(signature.args[3])(context, builder, args[3])
        place = builder.add(builder.mul(args[4], ir.Constant(_INDEX, LANES)), args[5])
        for values in _square(context, builder, signature, args, args[1]):
            address = builder.bitcast(builder.gep(tile.data, [place]), values.type.as_pointer())
            builder.store(values, address, align=context.get_abi_sizeof(values.type.element))
            place = builder.add(place, ir.Constant(_INDEX, LANES))
        return context.get_dummy_value()

    return signature, generate


def _transposed(context: Any, builder: Any, signature: Any, args: Any) -> list[list[Any]]:
    """Return, for each of 16 pixels, the samples of the 32 frames as two vectors in the type of the sums."""
    narrow, wide = signature.args[0].dtype, signature.args[5].dtype
    halves = []
    for first in range(0, LANES, SQUARE):
        rows = _square(context, builder, signature, args, builder.add(args[1], ir.Constant(_INDEX, first)))
        halves.append([_widened(context, builder, values, narrow, wide) for values in rows])
    return [list(values) for values in zip(*halves, strict=True)]


def _square(context: Any, builder: Any, signature: Any, args: Any, frame: Any) -> list[Any]:
    """Return, for each of 16 pixels, the samples of 16 frames from `frame` on as one vector."""
    frames = context.make_array(signature.args[0])(context, builder, args[0])
    sample = context.get_data_type(signature.args[0].dtype)
    vector = ir.VectorType(sample, SQUARE)
    width = builder.extract_value(frames.shape, 1)
    place = builder.add(builder.mul(frame, width), args[2])
    rows = []
    for _ in range(SQUARE):
        address = builder.bitcast(builder.gep(frames.data, [place]), vector.as_pointer())
        rows.append(builder.load(address, align=context.get_abi_sizeof(sample)))
        place = builder.add(place, width)
    half = SQUARE // 2
    low, high = (
        ir.Constant(ir.VectorType(ir.IntType(32), SQUARE), [n for k in part for n in (k, SQUARE + k)])
        for part in (range(half), range(half, SQUARE))
    )
    for _ in range(4):  # log2(16) rounds of interleaving each row with the one eight further transpose a square
        pairs = [(rows[i], rows[i + half]) for i in range(half)]
        rows = [builder.shuffle_vector(first, second, part) for first, second in pairs for part in (low, high)]
    return rows


def _widened(context: Any, builder: Any, values: Any, narrow: Any, wide: Any) -> Any:
    target = ir.VectorType(context.get_data_type(wide), SQUARE)
    if values.type == target:
        return values
    if isinstance(wide, types.Float):
        return builder.fpext(values, target)
    return (builder.sext if narrow.signed else builder.zext)(values, target)


def _add(context: Any, builder: Any, signature: Any, args: Any, which: int, index: int, values: list[Any]) -> None:
    """Add the samples of one pixel to the row of its label in the array that is argument number `which`."""
    number = signature.args[which].dtype
    plus = builder.fadd if isinstance(number, types.Float) else builder.add
    sums = context.make_array(signature.args[which])(context, builder, args[which])
    labels = context.make_array(signature.args[3])(context, builder, args[3])
    place = builder.add(args[4], ir.Constant(_INDEX, index))
    label = builder.zext(builder.load(builder.gep(labels.data, [place])), _INDEX)
    align = context.get_abi_sizeof(context.get_data_type(number))
    for part, half in enumerate(values):
        lane = builder.add(builder.mul(label, ir.Constant(_INDEX, LANES)), ir.Constant(_INDEX, part * SQUARE))
        address = builder.bitcast(builder.gep(sums.data, [lane]), half.type.as_pointer())
        builder.store(plus(builder.load(address, align=align), half), address, align=align)


#: ``add_square(frames, frame, pixel, labels, place, sums)`` adds the samples of 16 pixels from `pixel` on, of 32 frames
#: from `frame` on, to `sums`, shape (labels, LANES), whose type may be wider: each pixel to the row of its label. The
#: labels are 16 unsigned 32-bit numbers from `place` on. All indices are 64 bits wide.
add_square: Any = intrinsic(_add_square)
#: ``add_square_and_powers(frames, frame, pixel, labels, place, sums, powers)`` adds the squared samples to `powers`.
add_square_and_powers: Any = intrinsic(_add_square_and_powers)
#: ``transpose_square(frames, frame, pixel, target, row, column)`` writes 16 pixels of 16 frames, of shape (n, pixels),
#: into `target`, shape (pixels, LANES), from a row and a column on.
transpose_square: Any = intrinsic(_transpose_square)
