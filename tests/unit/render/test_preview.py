from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emdvc.compare import state
from emdvc.model.axis import Role
from emdvc.render import preview, terminal


class Counted:
    """An array that counts what is read of it."""

    def __init__(self, values: Any, chunks: tuple[int, ...] | None = None) -> None:
        self._values, self.shape, self.dtype = values, values.shape, values.dtype
        self.chunks = chunks or (1,) * (values.ndim - 2) + values.shape[-2:]
        self.read_samples = 0

    def read(self, region: tuple[slice, ...]) -> Any:
        piece = self._values[region]
        self.read_samples += piece.size
        return np.ascontiguousarray(piece)


SCAN = [Role.SCAN, Role.SCAN, Role.DETECTOR, Role.DETECTOR]


def test_of_a_scan_a_few_patterns_are_read() -> None:
    array = Counted(np.ones((32, 32, 8, 8), np.uint16))
    found = preview.small(array, SCAN)
    assert found is not None and found.tolist() == np.full((8, 8), 8.0).tolist()
    assert array.read_samples == 8 * 64


def test_of_a_stack_the_middle_is_shown() -> None:
    stack = np.arange(5)[:, None, None] * np.ones((5, 4, 4))
    found = preview.small(Counted(stack), [Role.STACK, Role.IMAGE, Role.IMAGE])
    assert found is not None and set(found.ravel()) == {2.0}


def test_pieces_that_are_too_large_are_not_read() -> None:
    array = Counted(np.ones((4, 4, 2, 2), np.uint8), chunks=(4096, 4096, 4, 4))
    assert preview.small(array, SCAN) is None and array.read_samples == 0


@pytest.mark.parametrize("values", [np.zeros((0, 4)), np.array(3), np.array(["a"])])
def test_what_cannot_be_shown(values: Any) -> None:
    array = Counted(values, values.shape or ())
    assert preview.small(array, [Role.IMAGE] * values.ndim) is None


def test_a_real_scan(realdata: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "supported", lambda: terminal.Colours.NONE)
    path = realdata / "merlin_4x2_6bit.mib"
    lines = preview.lines(path, state.find(str(path)).sidecar)
    assert 10 < len(lines) <= 24 and any("@" in line for line in lines)
