"""A compact map of the probe positions that differ, as lines of text: letters, or half blocks in colour."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from emdvc.compare.numbers.values import ValueChange
from emdvc.render import columns as text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: The largest map: letters in a line, and lines.
WIDTH, HEIGHT = 48, 12
#: What a letter says of the probe positions that it stands for: none of them differ, some do, all do.
_LETTERS = ".+#"
#: The same as colours of a terminal that knows 256 of them: of rising lightness, so that no hue need be told apart.
_COLOURS = (240, 172, 229)
_RESET = "\x1b[0m"


def map_lines(change: ValueChange, *, blocks: bool = False, width: int = WIDTH) -> list[str]:
    """Return a map of the probe positions that differ, with a line that explains it.

    Empty where there is nothing to see: fewer than two positions differ, or all of them, or they are not known.

    Parameters
    ----------
    change
        What differs in the numbers.
    blocks
        Whether the terminal shows colours: then a letter holds two cells, one above the other.
    width
        Letters in a line at most; never more than 48.
    """
    changed = change.seen.changed if change.seen is not None else None
    if changed is None or not changed.size:
        return []
    many = int(changed.sum())
    if many < 2 or many == changed.size:
        return []
    plane = _plane(changed)
    rows, columns = _cell(plane.shape[0], plane.shape[1], max(1, min(width, WIDTH)), blocks)
    level = _levels(plane, rows, columns)
    lines = _blocks(level) if blocks else ["".join(_LETTERS[cell] for cell in row) for row in level.tolist()]
    return [*lines, _legend(change, changed.ndim, rows, columns, bool((level == 1).any()), blocks)]


def _plane(changed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the map as rows and columns: a line is one row, of a stack of scans a place counts when any differs."""
    import numpy as np

    if changed.ndim < 2:
        return changed.reshape(1, -1)
    plane: NDArray[np.bool_] = np.asarray(changed.any(axis=tuple(range(changed.ndim - 2))))
    return plane


def _cell(height: int, width: int, most: int, blocks: bool) -> tuple[int, int]:
    """Return how many rows and columns of probe positions one cell of the map stands for."""
    cells = 2 * HEIGHT if blocks else HEIGHT
    if height <= cells and width <= most:
        return 1, 1
    columns = max(-(-width // most), -(-height // (2 * HEIGHT)))
    # a letter is about twice as high as wide, half a block as high as wide: what is square stays nearly square
    rows = columns if blocks else min(2 * columns, max(-(-height // HEIGHT), columns + columns // 2))
    # but a long strip is not squeezed into a single line
    return min(rows, max(1, height // 4)), columns


def _levels(plane: NDArray[np.bool_], rows: int, columns: int) -> NDArray[np.uint8]:
    """Return for each cell whether none (0), some (1) or all (2) of its probe positions differ."""
    import numpy as np

    starts = np.arange(0, plane.shape[0], rows), np.arange(0, plane.shape[1], columns)
    counts = np.add.reduceat(np.add.reduceat(plane.astype(np.int64), starts[0], axis=0), starts[1], axis=1)
    # the last cells may be cut by the edge of the scan
    sizes = np.diff(np.append(starts[0], plane.shape[0]))[:, None] * np.diff(np.append(starts[1], plane.shape[1]))
    return np.where(counts == sizes, np.uint8(2), (counts > 0).astype(np.uint8))


def _blocks(level: NDArray[np.uint8]) -> list[str]:
    """Return lines of upper halves, each in one colour on a ground of another; a run of the same is coloured once."""
    cells = level.tolist()
    lines = []
    for row in range(0, len(cells), 2):
        upper = cells[row]
        # below the last row there is the terminal's own ground
        lower = cells[row + 1] if row + 1 < len(cells) else [-1] * len(upper)
        runs = groupby(zip(upper, lower, strict=True))
        lines.append("".join(_shade(*pair) + "▀" * len(list(run)) for pair, run in runs) + _RESET)
    return lines


def _shade(top: int, bottom: int) -> str:
    ground = f"48;5;{_COLOURS[bottom]}" if bottom >= 0 else "49"
    return f"\x1b[38;5;{_COLOURS[top]};{ground}m"


def _legend(change: ValueChange, ndim: int, rows: int, columns: int, some: bool, blocks: bool) -> str:
    dims = [text.shortened(dim) for dim, _ in change.scan] or ["y", "x"][-ndim:]
    of = f"{dims[-2]} down, {dims[-1]} across" if ndim > 1 else f"{dims[-1]} across"
    over = f"; over all {', '.join(dims[:-2])}" if ndim > 2 else ""
    if rows == columns == 1:
        return f"({of}{over}; {'bright' if blocks else '#'} differs)"
    cell = f"{rows} x {columns}" if ndim > 1 else str(columns)
    marks = ("bright: all differ", "orange: some") if blocks else ("#: all differ", "+: some")
    shown = f"{marks[0]}, {marks[1]}" if some else marks[0]
    return f"({of}{over}; a {'cell' if blocks else 'letter'} is {cell} positions; {shown})"
