"""Pictures of a difference: before, after and signed difference, drawn by the same rules as pictures of results."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from emdvc.compare.dataset import DatasetDifference
from emdvc.render.difference import images as difference_images
from emdvc.render.difference import lines as difference_lines
from emdvc.render.difference.drawn import DifferencePicture
from emdvc.render.difference.views import ChangedMap, ImagePair, View, views

#: Longest side of an image that stands alone, unless another is asked for.
SIDE = 400

__all__ = ["DifferencePicture", "each", "file_name", "pictures", "write"]


def each(dataset: DatasetDifference, *, side: int = SIDE) -> Iterator[DifferencePicture]:
    """Yield the pictures of a difference one by one, as they are drawn; parameters as for :func:`pictures`."""
    for view in views(dataset):
        yield _draw(view, dataset, side)


def pictures(dataset: DatasetDifference, *, side: int = SIDE) -> tuple[DifferencePicture, ...]:
    """Return the pictures of a difference; none where no numbers were compared.

    Parameters
    ----------
    dataset
        The difference.
    side
        Longest side in pixels of the images that stand alone; 0: there are only combined pictures.
    """
    return tuple(each(dataset, side=side))


def write(folder: Path, dataset: DatasetDifference) -> list[Path]:
    """Write the pictures of a difference as PNG files and return their paths; each is there whole or not at all.

    A file is named after the dataset's path and the picture, as in ``results-com.zarr-com_y-map.png``.

    Parameters
    ----------
    folder
        Where to; it is made if need be.
    dataset
        The difference.

    Raises
    ------
    OSError
        The folder cannot be written.
    """
    found = []
    for drawn in each(dataset, side=0):
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"{file_name(str(dataset.path))}-{file_name(drawn.name)}.png"
        partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
        try:
            partial.write_bytes(drawn.combined)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        found.append(target)
    return found


def file_name(text: str) -> str:
    """Return a text as part of a file's name that every system takes."""
    return re.sub(r"[^\w.]+", "-", text.replace("\\", "/")).strip("-.") or "dataset"


def _draw(view: View, dataset: DatasetDifference, side: int) -> DifferencePicture:
    if isinstance(view, ImagePair):
        return difference_images.draw(view, dataset, side=side)
    if isinstance(view, ChangedMap):
        return difference_lines.draw_changed(view, dataset)
    return difference_lines.draw_lines(view, dataset)
