from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emdvc.formats.contract import Opened, ReadOptions
from emdvc.formats.region import whole
from emdvc.formats.registry import open_file


@pytest.fixture
def opening():
    """Open files, and close them after the test."""
    opened: list[Opened] = []

    def open_(path: Path | str, **options) -> Opened:
        opened.append(open_file(path, ReadOptions.from_dict(options)))
        return opened[-1]

    yield open_
    for one in opened:
        one.close()


@pytest.fixture
def values_of():
    """Read a variable whole."""

    def read(opened: Opened, name: str | None = None) -> np.ndarray:
        array = opened.variable(name).array
        return array.read(whole(array))

    return read
