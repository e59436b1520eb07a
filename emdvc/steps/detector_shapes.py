"""Shapes of virtual detectors: what each needs, and which parameters belong to it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from emdvc.model.quantity import Quantity
from emdvc.steps import geometry
from emdvc.steps.values import Angle, DataPath, Extent, Position, Radius

_BY_SHAPE = {
    "annulus": ("inner", "outer"),
    "disk": ("outer",),
    "sector": ("inner", "outer", "start", "stop"),
    "segments": ("inner", "outer", "segments", "rotation"),
    "rectangle": ("size", "rotation"),
    "point": (),
    "mask": ("mask",),
}
_NEEDED = {
    "disk": ("outer",),
    "sector": ("start", "stop"),
    "segments": ("segments",),
    "rectangle": ("size",),
    "mask": ("mask",),
}
_OWN = ("inner", "outer", "start", "stop", "segments", "rotation", "size", "mask")


class Shape(BaseModel):
    """The parameters of one detector."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, use_attribute_docstrings=True)

    inner: Radius | None = None
    """Inner radius; a pixel belongs to the detector from it on."""
    outer: Radius | None = None
    """Outer radius; a pixel belongs to the detector below it."""
    shape: Literal["annulus", "disk", "sector", "segments", "rectangle", "point", "mask"] = "annulus"
    """What the detector looks like."""
    start: Angle | None = None
    """Azimuth where a sector starts, from +kx towards +ky; a pixel belongs to the sector from it on."""
    stop: Angle | None = None
    """Azimuth where a sector stops; a pixel belongs to the sector below it."""
    segments: int | None = Field(default=None, ge=2, le=360)
    """Number of equal segments of a segmented detector, each a map of its own: NAME_0 and on."""
    rotation: Angle | None = None
    """Azimuth where segment 0 starts (by default 0), or by which a rectangle is turned, from +kx towards +ky."""
    size: Extent | None = None
    """Height and width (y, x) of a rectangle."""
    mask: DataPath | None = None
    """Image of the detector (ky, kx): truth values, or weights."""
    edge: Literal["hard", "antialiased"] = "hard"
    """Whether a pixel at the edge counts whole or not at all, or by the part of it that the detector covers."""
    center: Position | None = None
    """Middle of the detector (y, x); by default the undiffracted beam."""

    def is_said(self) -> bool:
        """Say whether anything but the centre was given."""
        fields = Shape.model_fields
        return any(getattr(self, name) != field.default for name, field in fields.items() if name != "center")

    def check(self) -> None:
        """Check that the parameters belong to the shape.

        Raises
        ------
        ValueError
            One lacks, or belongs to another shape.
        """
        for name in _OWN:
            if getattr(self, name) is not None and name not in _BY_SHAPE[self.shape]:
                fit = [shape for shape, names in _BY_SHAPE.items() if name in names]
                raise ValueError(f"`{name}` belongs to the shape {' or '.join(fit)}, not to {self.shape}")
        for name in _NEEDED.get(self.shape, ()):
            if getattr(self, name) is None:
                raise ValueError(f"the shape {self.shape} needs `{name}`")
        if self.shape == "annulus" and self.inner is None and self.outer is None:
            raise ValueError("a detector needs an inner radius, an outer radius, or both")
        if self.edge == "antialiased" and self.shape in ("point", "mask"):
            raise ValueError(f"the shape {self.shape} has no edge to soften")
        if self.size is not None and min(self.size.values) <= 0:
            raise ValueError(f"the rectangle is empty: its size is {self.size}")
        if self.shape == "sector" and self.azimuths()[1] == 0:
            raise ValueError(f"the sector is empty: it starts at {self.start} and stops at {self.stop}")

    def azimuths(self) -> tuple[float, float]:
        """Return where a sector starts, from 0 to 360 degrees, and how far it reaches, from 0 to 360 degrees."""
        start, stop = degrees(self.start), degrees(self.stop)
        return start % 360.0, (stop - start) % 360.0

    def unit(self) -> str:
        """Return the unit that the detector's lengths are compared in.

        Raises
        ------
        StepError
            They are given in different kinds of units.
        """
        return geometry.radius_unit(self.inner, self.outer, self.size)

    def metadata(self, center: Quantity | None) -> tuple[str, ...]:
        """Return the metadata keys that the detector depends on.

        Parameters
        ----------
        center
            Centre of all detectors, where the parameters say one.
        """
        if self.shape == "mask":
            return ()
        return geometry.metadata_for(self.unit(), self.center if self.center is not None else center)

    def title(self) -> str:
        """Return what a reader calls the detector."""
        match self.shape:
            case "sector":
                return f"{self._radii()}, azimuth {self.start} to {self.stop}"
            case "segments":
                return f"{self._radii()}, {self.segments} segments"
            case "rectangle":
                return f"rectangle {self.size}"
            case "point":
                return f"pixel at {self.center}" if self.center is not None else "central pixel"
            case "mask":
                return f"mask {self.mask}"
            case _:
                return self._radii()

    def _radii(self) -> str:
        if self.inner is None and self.outer is None:
            return "all radii"
        if self.inner is None:
            return f"r < {self.outer}"
        if self.outer is None:
            return f"r >= {self.inner}"
        return f"{self.inner} to {self.outer}"


def degrees(angle: Quantity | None) -> float:
    """Return an angle in degrees; 0 where none is given."""
    return 0.0 if angle is None else float(angle.to("deg").values[0])
