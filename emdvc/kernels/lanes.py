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


def _transpose_square(typingctx, source, frame, pixel, target, row, column):  # type: ignore[no-untyped-def]
    signature = types.void(source, frame, pixel, target, row, column)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        frames = context.make_array(signature.args[0])(context, builder, args[0])
        tile = context.make_array(signature.args[3])(context, builder, args[3])
        sample = context.get_data_type(signature.args[0].dtype)
        vector = ir.VectorType(sample, SQUARE)
        align = context.get_abi_sizeof(sample)
        width = builder.extract_value(frames.shape, 1)
        place = builder.add(builder.mul(args[1], width), args[2])
        rows = []
        for _ in range(SQUARE):
            address = builder.gep(frames.data, [place])
            rows.append(builder.load(builder.bitcast(address, vector.as_pointer()), align=align))
            place = builder.add(place, width)
        low, high = (
            ir.Constant(ir.VectorType(ir.IntType(32), SQUARE), [n for k in half for n in (k, SQUARE + k)])
            for half in (range(SQUARE // 2), range(SQUARE // 2, SQUARE))
        )
        half = SQUARE // 2
        for _ in range(4):  # log2(16) rounds of interleaving each row with the one eight further transpose a square
            pairs = [(rows[i], rows[i + half]) for i in range(half)]
            rows = [builder.shuffle_vector(a, b, part) for a, b in pairs for part in (low, high)]
        place = builder.add(builder.mul(args[4], ir.Constant(_INDEX, LANES)), args[5])
        for values in rows:
            address = builder.gep(tile.data, [place])
            builder.store(values, builder.bitcast(address, vector.as_pointer()), align=align)
            place = builder.add(place, ir.Constant(_INDEX, LANES))
        return context.get_dummy_value()

    return signature, generate


def _add_row(typingctx, sums, label, tile, row):  # type: ignore[no-untyped-def]
    return _adding(types.void(sums, label, tile, row), squared=False)


def _add_squared_row(typingctx, sums, label, tile, row):  # type: ignore[no-untyped-def]
    return _adding(types.void(sums, label, tile, row), squared=True)


def _adding(signature: Any, *, squared: bool) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values, address = _widened_row(context, builder, signature, args)
        number = signature.args[0].dtype
        plus, times = (builder.fadd, builder.fmul) if isinstance(number, types.Float) else (builder.add, builder.mul)
        if squared:
            values = times(values, values)
        align = context.get_abi_sizeof(context.get_data_type(number))
        builder.store(plus(builder.load(address, align=align), values), address, align=align)
        return context.get_dummy_value()

    return signature, generate


def _widened_row(context: Any, builder: Any, signature: Any, args: Any) -> tuple[Any, Any]:
    """Return a row of the tile in the type of the sums, and the address of the row of the sums."""
    narrow, wide = signature.args[2].dtype, signature.args[0].dtype
    sample, number = context.get_data_type(narrow), context.get_data_type(wide)
    sums = context.make_array(signature.args[0])(context, builder, args[0])
    tile = context.make_array(signature.args[2])(context, builder, args[2])
    places = [
        builder.mul(context.cast(builder, index, kind, types.uint64), ir.Constant(_INDEX, LANES))
        for index, kind in ((args[1], signature.args[1]), (args[3], signature.args[3]))
    ]
    source = builder.bitcast(builder.gep(tile.data, [places[1]]), ir.VectorType(sample, LANES).as_pointer())
    values = builder.load(source, align=context.get_abi_sizeof(sample))
    target = ir.VectorType(number, LANES)
    if isinstance(wide, types.Float):
        values = values if narrow == wide else builder.fpext(values, target)
    elif sample.width < number.width:
        values = (builder.sext if narrow.signed else builder.zext)(values, target)
    return values, builder.bitcast(builder.gep(sums.data, [places[0]]), target.as_pointer())


#: ``transpose_square(source, frame, pixel, target, row, column)`` writes 16 pixels of 16 frames of `source`, shape
#: (n, pixels), into `target`, shape (pixels, LANES), from a row and a column on.
transpose_square: Any = intrinsic(_transpose_square)
#: ``add_row(sums, label, tile, row)`` adds a row of `tile`, shape (pixels, LANES), to a row of `sums`, shape (labels,
#: LANES), whose type may be wider.
add_row: Any = intrinsic(_add_row)
#: ``add_squared_row(sums, label, tile, row)`` adds the squares of a row instead.
add_squared_row: Any = intrinsic(_add_squared_row)
