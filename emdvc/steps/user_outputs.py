"""What a user's own step says of its outputs, and how these look once the function was called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from emdvc.steps import contract


@dataclass(frozen=True, slots=True)
class Sum:
    """A number or an array that is summed over all frames, returned by a user's step in place of one per frame.

    Whole numbers are summed exactly, in 64 bits. Floats are summed in the order of the frames.

    Parameters
    ----------
    value
        What one frame contributes; of a step with ``per="block"``, what the block does.
    """

    value: Any


@dataclass(frozen=True, slots=True)
class Output:
    """What a user's step says of an array that it gives.

    Parameters
    ----------
    unit
        Unit of its values.
    dims
        Its dimensions for one frame (of a step with ``per="whole"``: all of them); default: none for a number, those
        of a frame for an array of that shape, else a name for each.
    title
        What a reader calls it; default: its name.
    signed
        Whether zero is the middle of its scale, for pictures.
    dtype
        Type of its numbers; default: that of what the function returns for a made-up frame.
    """

    unit: str = ""
    dims: tuple[str, ...] | None = None
    title: str = ""
    signed: bool = False
    dtype: str | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """How one of the arrays that a function returns looks for a single frame.

    Parameters
    ----------
    output
        The output that it is.
    shape
        Without the number of frames.
    dtype
        Type of its numbers.
    summed
        Whether it is a :class:`Sum`.
    """

    output: contract.Output
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    summed: bool
