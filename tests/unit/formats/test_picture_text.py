"""A picture says with which calibration it was drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emdvc.formats import picture_text
from emdvc.formats.results import Result, ResultVariable
from emdvc.model.axis import Axis, Role
from emdvc.model.quantity import Quantity
from emdvc.render.picture import draw


def picture(step: float | None) -> bytes:
    scale = Quantity(step, "nm") if step is not None else None
    axes = {dim: Axis(dim, 4, Role.SCAN, scale=scale, calibration="scan.step") for dim in "yx"}
    axes["k"] = Axis("k", 3, Role.DETECTOR, scale=Quantity(1.0, "px"))
    image = ResultVariable("image", ("y", "x"), np.arange(16).reshape(4, 4))
    profile = ResultVariable("profile", ("k",), np.arange(3.0))
    return draw(Result((image, profile), axes, frozenset({"k"})))


@pytest.mark.parametrize(("step", "says"), [(0.5, "x=0.5 nm, y=0.5 nm"), (None, "x=px, y=px")])
def test_the_note_is_read_back(tmp_path: Path, step: float | None, says: str) -> None:
    path = tmp_path / "v.png"
    path.write_bytes(picture(step))
    assert picture_text.read(path) == {picture_text.AXES: says}
    assert picture_text.dims(says) == ("x", "y")


def test_only_what_is_drawn_is_noted(tmp_path: Path) -> None:
    """Profiles over a scan are drawn as their mean: no scale bar shows the scan's step."""
    axes = {dim: Axis(dim, 4, Role.SCAN, scale=Quantity(1.0, "nm"), calibration="scan.step") for dim in "yx"}
    axes["k"] = Axis("k", 3, Role.DETECTOR, scale=Quantity(1.0, "px"))
    profiles = ResultVariable("profile", ("y", "x", "k"), np.arange(48.0).reshape(4, 4, 3))
    (tmp_path / "p.png").write_bytes(draw(Result((profiles,), axes, frozenset({"k"}))))
    assert picture_text.read(tmp_path / "p.png") == {}


def test_another_calibration_is_another_note(tmp_path: Path) -> None:
    assert picture(0.5) != picture(0.25)


def test_what_is_no_picture_has_no_note(tmp_path: Path) -> None:
    path = tmp_path / "v.png"
    path.write_bytes(b"not a picture")
    assert picture_text.read(path) == {}
    path.write_bytes(picture(0.5)[:60])
    assert picture_text.read(path) == {}
