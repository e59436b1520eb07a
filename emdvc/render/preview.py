"""What of a dataset is shown in a terminal: little enough to be read at once, whatever the dataset's size."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emdvc.model.axis import Role
from emdvc.model.sidecar import Sidecar
from emdvc.render import terminal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emdvc.formats.contract import LazyArray, ReadOptions

#: Bytes that are read for a preview at most.
_MOST = 64 << 20
#: Frames that are summed at most.
_FRAMES = 8


def lines(path: Path, sidecar: Sidecar, options: ReadOptions | None = None) -> list[str]:
    """Return the preview of a dataset's main array; no line where there is nothing small to show.

    Of a scan it is the sum of a few of its diffraction patterns, or, as a line of bars, of its spectra; of a stack the
    middle image; of a map or an image the array itself.

    Parameters
    ----------
    path
        The data.
    sidecar
        What is known of it.
    options
        How to read a file that has no sidecar.

    Raises
    ------
    EmdvcError
        The data cannot be read.
    """
    from emdvc.formats import registry
    from emdvc.formats.contract import ReadOptions

    opened = registry.open_file(path, options or ReadOptions.from_dict(sidecar.source.get("options") or {}))
    try:
        names = [variable.name for variable in opened.variables]
        variable = opened.variable(sidecar.main if sidecar.main in names else None)
        roles = [opened.axes[dim].role for dim in variable.dims]
        values = small(variable.array, roles)
    finally:
        opened.close()
    if values is None:
        return []
    diffraction = bool(roles) and roles[-1] in (Role.DETECTOR, Role.SPECTRUM)
    return terminal.picture(values, colours=terminal.supported(), wide=diffraction)


def small(array: LazyArray, roles: list[Role]) -> NDArray[Any] | None:
    """Return an image or a line of an array, read in a few pieces; None where even one is too large."""
    core, frames = frames_read(array, roles)
    if frames == 0:
        return None
    leading = array.shape[:-core]
    count = prod(leading)
    total = None
    for index in range(frames):
        # evenly through the dataset, away from its ends: the first frames are often bad
        position = _unravel((2 * index + 1) * count // (2 * frames), leading)
        region = (*(slice(i, i + 1) for i in position), *(slice(0, n) for n in array.shape[-core:]))
        frame = array.read(region).reshape(array.shape[-core:]).astype("c16" if array.dtype.kind == "c" else "f8")
        total = frame if total is None else total + frame
    return total


def frames_read(array: LazyArray, roles: list[Role]) -> tuple[int, int]:
    """Return how many of an array's last axes are shown, and how many frames of them are read: 0 where none can be."""
    if not array.shape or 0 in array.shape or array.dtype.kind not in "uifbc":
        return 0, 0
    # two axes of one kind are an image; a spectrum or a profile over a scan is a line
    core = 2 if len(roles) > 1 and (roles[-2] == roles[-1] or len(roles) == 2) else 1
    piece = max(prod(array.shape[-core:]), prod(array.chunks)) * array.dtype.itemsize
    # frames of a scan add up to a better picture; those of a tilt series do not
    scanned = all(role == Role.SCAN for role in roles[:-core])
    return core, min(_FRAMES if scanned else 1, prod(array.shape[:-core]), _MOST // max(1, piece))


def _unravel(flat: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    position = []
    for size in reversed(shape):
        flat, i = divmod(flat, size)
        position.append(i)
    return tuple(reversed(position))
