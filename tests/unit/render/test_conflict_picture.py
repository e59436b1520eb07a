"""The picture of a region: labels have their colours, who changed what is told apart, small and large regions fit."""

from __future__ import annotations

import zlib
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import zarr
from edited_project import POINTER, EditedProject
from numpy.typing import NDArray

from emdvc.history import git
from emdvc.history.merging.asking import conflict_file
from emdvc.history.merging.contract import Choices, Place, Three
from emdvc.history.merging.datasets.pointer import merge_pointer
from emdvc.model.axis import Axis, Role
from emdvc.render import conflict_picture
from emdvc.render import palette as inks
from emdvc.render.conflict_panel import LabelColours, LabelPanel, WhoPanel
from emdvc.render.palette import Palette
from emdvc.render.raster import Fit

AXES = (Axis("y", 4, Role.SCAN), Axis("x", 4, Role.SCAN))
PLAIN = Fit(1, 1, 1, 1)


def shown(canvas: NDArray[np.uint8], labels: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the image of a panel: below its heading, within its outline."""
    rows, columns = labels.shape
    top = np.flatnonzero((canvas[:, : columns + 2] == inks.SOFT // 2).all(axis=1))[0] + 1
    return canvas[top : top + rows, 1 : columns + 1]


def test_each_label_has_a_colour_of_its_own_in_all_panels() -> None:
    labels = np.array([[0, 1, 2, 9], [0, 1, 2, 9], [0, 0, 0, 0], [9, 9, 9, 9]])
    colours = LabelColours(labels, 64)
    image = shown(LabelPanel("ours", (), labels, PLAIN, AXES, colours).paint(Palette(set())), labels)
    assert np.unique(image).tolist() == [64, 65, 66, 67]
    assert (image == 64).tolist() == (labels == 0).tolist()
    other = shown(LabelPanel("theirs", (), labels[::-1], PLAIN, AXES, colours).paint(Palette(set())), labels)
    assert other.tolist() == image[::-1].tolist()
    assert len(np.unique(LabelColours.table(), axis=0)) == len(LabelColours.table())


def test_labels_without_a_ground_and_negative_ones() -> None:
    for values in ([3, 4], [-1, 0, 1], [5]):
        indices = LabelColours(np.array(values), 64).indices(np.array(values))
        assert len(set(indices.tolist())) == len(values)
        assert all((index == 64) == (value == 0) for index, value in zip(indices.tolist(), values, strict=True))


def test_who_changed_what() -> None:
    ours, theirs, disputed = (np.zeros((4, 4), bool) for _ in range(3))
    ours[0], theirs[:, 0], disputed[0, 0] = True, True, True
    canvas = WhoPanel(ours, theirs, disputed, PLAIN, AXES).paint(Palette(set(), second_line=True))
    image = shown(canvas, ours.astype(np.int64))
    assert image[0, 0] == inks.INK
    assert len({int(image[0, 0]), int(image[0, 1]), int(image[1, 0]), int(image[1, 1])}) == 4


def merged(project: EditedProject, sides: list[NDArray[np.generic]]) -> Path:
    """Write the conflict file of an array that three states hold."""

    def store(values: NDArray[np.generic], place: Path) -> None:
        names = ["frame", "y", "x"][-values.ndim :]
        group = zarr.open_group(place, mode="a", zarr_format=3)
        chunks = tuple(min(size, 16) for size in values.shape)
        array = group.create_array(
            "labels", shape=values.shape, chunks=chunks, dtype=values.dtype, dimension_names=names
        )
        array[...] = values

    def made(values: NDArray[np.generic]) -> bytes:
        return project.pointer(project.state(lambda place: store(values, place)))

    three = Three(POINTER, *map(made, sides))
    place = Place(project.project)
    result = merge_pointer(three, place, Choices())
    assert result.conflicts
    (project.project.root / POINTER).write_bytes(result.content or b"")
    git.add([POINTER], project.project.git_root)
    return conflict_file.write(project.project, three, place, result)


def size_of(png: bytes) -> tuple[int, int]:
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("shape", [(40, 40), (3, 40, 40)])
def test_a_picture_is_drawn_beside_the_conflict_file(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    sides = [np.zeros(shape, dtype) for _ in range(3)]
    sides[0][..., 5:30, 5:30] = 1
    sides[1][...] = sides[2][...] = sides[0]
    sides[1][..., 8:12, 8:14] = 2
    sides[2][..., 10:13, 10:20] = 3
    project = EditedProject(tmp_path / "project")
    path = merged(project, list(sides))
    [drawn] = conflict_picture.draw_missing(project.project)
    png = drawn.read_bytes()
    width, height = size_of(png)
    assert 1000 < width < 1400
    assert 350 < height < 700
    assert zlib.crc32(png) == zlib.crc32(conflict_picture.draw(project.project, conflict_file.read(path)) or b"")
    assert f"# picture: {drawn.name}\n" in path.read_text(encoding="utf-8")
    assert conflict_picture.draw_missing(project.project) == []


def test_where_chunks_cannot_be_had_the_conflict_file_says_so(tmp_path: Path) -> None:
    sides = [np.full((8, 8), value, "uint8") for value in (1, 2, 3)]
    project = EditedProject(tmp_path / "project")
    path = merged(project, list(sides))
    kept = conflict_file.read(path)
    project.cache.rename(tmp_path / "gone")
    assert conflict_picture.write(project.project, kept) is None
    assert "# picture: none: " in path.read_text(encoding="utf-8")
    assert not (path.parent / conflict_file.picture_of(PurePosixPath(POINTER)).name).exists()


def test_a_line_is_no_image(tmp_path: Path) -> None:
    sides = [np.full(8, value, "uint8") for value in (1, 2, 3)]
    project = EditedProject(tmp_path / "project")
    path = merged(project, list(sides))
    assert conflict_picture.draw_missing(project.project) == []
    assert "# picture: none: what is asked about is no image\n" in path.read_text(encoding="utf-8")
