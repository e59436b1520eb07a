"""Differential phase contrast: the deflection of the beam along the scan's axes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from emdvc.errors import Code, MetadataError, StepError
from emdvc.kernels.angles import directions
from emdvc.steps import deflection
from emdvc.steps.contract import Input, Outcome, Output, Wanted, WholeStep
from emdvc.steps.deflection import DeflectionParameters
from emdvc.steps.scan_rotation import record_of
from emdvc.steps.values import Angle
from emdvc.steps.vector_field import Field, Orientation, both_hands, orientation, stands_out, total


class Dpc(WholeStep):
    """Differential phase contrast (DPC) from the centres of mass of a scan's patterns.

    The deflection F of the beam (its position less the `background`) is measured along the detector's axes; mirrored
    (``Fy -> -Fy``) where `flip`, and turned by `rotation` from x towards y, it runs along the scan's. Both are taken
    from the parameters, else from the record (``diffraction.rotation``, ``diffraction.flip``), else they are the ones
    that leave least curl, as in `scan_rotation` (refused where noise would lead to them as well); the result's record
    says what was used. Half a turn leaves the same
    curl: ``half_turn=atoms`` takes the one by which the deflection points to peaks, as it does to atoms (the third
    moment of its divergence is negative).

    A thin specimen gives ``F = grad(phase) / 2 pi`` as a spatial frequency, averaged over the probe. The electric field
    pushes electrons against itself, so that the divergence of F is proportional to minus the projected charge density.
    The curl of a gradient is 0: what it shows is noise, descan, or a wrong rotation.

    Derivatives are central differences per `scan.step` (per probe position where it is not recorded), one-sided at the
    edges. All operations are ones that IEEE 754 rounds in one way only: the same bits on every machine.

    Source: Waddell and Chapman, Optik 54, 83 (1979); Close, Chen, Shibata and Findlay, Ultramicroscopy 159, 124 (2015).
    """

    name = "dpc"
    version = 1
    summary = "differential phase contrast: deflection along the scan's axes, its divergence and curl"
    core = ("y", "x")
    of = ("center_of_mass",)
    example: ClassVar[Mapping[str, Any]] = {"unit": "mrad"}
    gives = (
        Output("deflection_y", ("y", "x"), "mrad", signed=True, title="deflection, y"),
        Output("deflection_x", ("y", "x"), "mrad", signed=True, title="deflection, x"),
        Output("magnitude", ("y", "x"), "mrad", title="deflection, magnitude"),
        Output("angle", ("y", "x"), "deg", signed=True, title="deflection, direction from x towards y"),
        Output("divergence", ("y", "x"), "mrad/nm", signed=True, title="divergence (minus the charge density)"),
        Output("curl", ("y", "x"), "mrad/nm", signed=True, title="curl"),
    )

    class Parameters(DeflectionParameters):
        """What is subtracted from the beam's position, and how the detector lies against the scan."""

        rotation: Angle | None = None
        """Angle by which the deflection is turned, from x towards y; default: the recorded one, else by the curl."""
        flip: bool | None = None
        """Whether y is mirrored before the deflection is turned; default: as recorded, else by the curl."""
        half_turn: Literal["nearest", "atoms"] = "nearest"
        """Of the two angles of least curl: the one above -90 and up to 90 deg, or the one that makes atoms attract."""

    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return the calibrations, and the orientation unless the parameters give it."""
        keys = deflection.metadata(parameters)
        if parameters.rotation is None:
            keys += ("diffraction.rotation",)
        if parameters.flip is None:
            keys += ("diffraction.flip",)
        return tuple(sorted(keys))

    def references(self, parameters: Any) -> Mapping[str, Wanted]:
        """Return where the descan comes from."""
        return deflection.references(parameters)

    def signals(self, parameters: Any) -> tuple[str, ...]:
        """Return the names of the centres of mass."""
        return deflection.CENTRES

    def compute(self, parameters: Any, source: Input, arrays: Mapping[str, NDArray[Any]]) -> Outcome:
        """Return the deflection along the scan's axes and its derivatives.

        Raises
        ------
        StepError
            The deflection does not tell the rotation or the handedness, and nothing else does.
        MetadataError
            A calibration is missing.
        """
        measured = deflection.deflection(parameters, source, arrays)
        lies = _orientation(parameters, source, measured)
        field = lies.apply(measured)
        _, length = deflection.scan_steps(source)
        found = {
            "deflection_y": field.y,
            "deflection_x": field.x,
            "magnitude": np.sqrt(field.y * field.y + field.x * field.x),
            "angle": directions(field.y, field.x),
            "divergence": field.divergence(),
            "curl": field.curl(),
        }
        units = {"angle": "deg", "divergence": f"{parameters.unit}/{length}", "curl": f"{parameters.unit}/{length}"}
        outputs = tuple(
            Output(one.name, one.dims, units.get(one.name, parameters.unit), signed=one.signed, title=one.title)
            for one in self.gives
        )
        return Outcome(outputs, found, record=record_of(lies))


def _orientation(parameters: Any, source: Input, measured: Field) -> Orientation:
    given = parameters.rotation
    angle = given if given is not None else source.metadata.quantity("diffraction.rotation")
    flip = parameters.flip if parameters.flip is not None else _recorded_flip(source)
    found = orientation(measured, float(angle.to("deg").values[0]) if angle is not None else None, flip)
    if angle is not None and flip is not None:
        return found
    _refuse_noise(source, measured, found, known=flip is not None)
    if angle is None and parameters.half_turn == "atoms":
        divergence = found.apply(measured).divergence()
        if total(divergence * divergence * divergence) > 0.0:
            return found.reversed()
    return found


def _refuse_noise(source: Input, measured: Field, found: Orientation, *, known: bool) -> None:
    hands = both_hands(measured)
    best, other = hands[found.flip].least_share(), hands[not found.flip].least_share()
    if not stands_out(best, None if known else other, measured.y.size):
        raise StepError(
            f"the deflection of {source.name} does not tell the scan rotation: noise has as little curl",
            code=Code.STEP_PARAMETER,
            evidence=f"least share of curl {best:.3f}, of the other handedness {other:.3f}; of noise about "
            f"{0.5 - 0.7 / math.sqrt(measured.y.size):.3f}",
            hint="give it: --set rotation=ANGLE --set flip=no (scan_rotation shows the curl at each angle)",
        )


def _recorded_flip(source: Input) -> bool | None:
    found = source.metadata.value("diffraction.flip")
    if found is not None and not isinstance(found, bool):
        raise MetadataError(
            f"diffraction.flip of {source.name} is true or false", evidence=f"it is {found!r}", hint="--set flip=no"
        )
    return found
