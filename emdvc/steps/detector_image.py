"""Images of the detector that another file holds: masks, and which pixels count."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emdvc.errors import StepError
from emdvc.steps.contract import Input, Reference


def detector_image(image: Reference, shape: tuple[int, int]) -> NDArray[Any]:
    """Return an image of the detector, which must have its shape.

    Raises
    ------
    StepError
        It has another.
    """
    name = next(iter(image.arrays))
    # a picture's own dimensions are as good: it is one of the detector where the sizes agree
    dims = ("y", "x") if image.dims[name] == ("y", "x") else ("ky", "kx")
    return image.array(dims, shape)


def counted_pixels(source: Input, role: str) -> NDArray[np.bool_] | None:
    """Return where the image that a step refers to is not zero, shape (ky, kx); None where it refers to none.

    Raises
    ------
    StepError
        The image has another shape than the detector, or is zero everywhere.
    """
    if role not in source.references:
        return None
    image = source.references[role]
    counted: NDArray[np.bool_] = detector_image(image, (source.size("ky"), source.size("kx"))) != 0
    if not counted.any():
        raise StepError(f"no pixel counts: {image.name} is zero everywhere")
    return counted
