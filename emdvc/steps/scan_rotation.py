"""How the detector is turned and mirrored against the scan, found from the curl of the deflection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emdvc.model.axis import Axis, Role
from emdvc.model.quantity import Origin, Quantity
from emdvc.steps import deflection, trigonometry
from emdvc.steps.contract import Input, Outcome, Output, Wanted, WholeStep
from emdvc.steps.deflection import DeflectionParameters
from emdvc.steps.vector_field import Orientation, both_hands, orientation, stands_out


class ScanRotation(WholeStep):
    """Rotation and handedness of the detector against the scan, from the centres of mass of a scan's patterns.

    A thin specimen deflects the beam by the gradient of its projected potential, and a gradient has no curl. The
    deflection F, measured along the detector's axes, is mirrored (``Fy -> -Fy``) or not, and turned by an angle t from
    x towards y; then its curl is ``cos t curl F + sin t div F``. Summed over the scan, the squares of curl and
    divergence together do not depend on t, so that the angle of least curl follows in closed form from three sums. The
    handedness is the one that leaves less curl. A transposed detector is one that is mirrored and turned by 90 degrees.

    ``curl`` and ``curl_mirrored`` are the share of curl, ``sum curl^2 / sum (curl^2 + div^2)``, at each whole degree.
    ``residual`` is what is left at the angle found, ``residual_other`` the least that the other handedness leaves.
    Noise adds curl and divergence alike: it moves both towards 0.5 and not the angle. ``determined`` is 1 where white
    noise of as many probe positions would lead to such a low residual, and to two residuals so far apart, less than
    once in a thousand times (``0.5 - residual > 2 / sqrt(N)``, difference above ``1.5 / sqrt(N)``, by simulation). Half
    a turn more leaves the same curl: ``rotation`` is the angle above -90 and up to 90 degrees, and the picture must
    tell which of the two is right (atoms attract electrons).

    Derivatives are central differences; one-sided at the edges. Sums are correctly rounded, angles too: the same bits
    on every machine.

    Source: Savitzky et al. (py4DSTEM), Microscopy and Microanalysis 27, 712 (2021), who search the angles.
    """

    name = "scan_rotation"
    version = 1
    summary = "rotation and handedness of the detector against the scan, from the curl of the deflection"
    core = ("y", "x")
    of = ("center_of_mass",)
    Parameters = DeflectionParameters
    gives = (
        Output("curl", ("turn",), "", title="share of curl at each angle"),
        Output("curl_mirrored", ("turn",), "", title="share of curl at each angle, mirrored"),
        Output("rotation", (), "deg", title="rotation of the detector against the scan"),
        Output("mirrored", (), "", title="1 where the detector is mirrored"),
        Output("residual", (), "", title="share of curl that is left"),
        Output("residual_other", (), "", title="least share of curl of the other handedness"),
        Output("determined", (), "", title="1 where noise would not do the same"),
    )

    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return the calibrations behind the derivatives."""
        return deflection.metadata(parameters)

    def references(self, parameters: Any) -> Mapping[str, Wanted]:
        """Return where the descan comes from."""
        return deflection.references(parameters)

    def signals(self, parameters: Any) -> tuple[str, ...]:
        """Return the names of the centres of mass."""
        return deflection.CENTRES

    def compute(self, parameters: Any, source: Input, arrays: Mapping[str, NDArray[Any]]) -> Outcome:
        """Return the rotation, the handedness, and how well they are determined.

        Raises
        ------
        StepError
            The deflection determines neither.
        """
        field = deflection.deflection(parameters, source, arrays)
        found = orientation(field)
        hands = both_hands(field)
        best, other = hands[found.flip].least_share(), hands[not found.flip].least_share()
        sure = stands_out(best, other, field.y.size)
        turns = [trigonometry.of_degrees(float(angle)) for angle in range(-89, 91)]
        curl, mirrored = (np.array([hand.share(*turn) for turn in turns]) for hand in hands)
        arrays_out = {
            "curl": curl,
            "curl_mirrored": mirrored,
            "rotation": np.array(found.degrees),
            "mirrored": np.array(found.flip, np.uint8),
            "residual": np.array(best),
            "residual_other": np.array(other),
            "determined": np.array(sure, np.uint8),
        }
        scale, offset = Quantity(1.0, "deg", Origin.DERIVED), Quantity(-89.0, "deg", Origin.DERIVED)
        axis = Axis("turn", len(turns), Role.STACK, scale=scale, offset=offset)
        return Outcome(self.gives, arrays_out, {"turn": axis}, record_of(found) if sure else {})


def record_of(found: Orientation) -> Mapping[str, Any]:
    """Return what a record says of an orientation."""
    return {
        "diffraction": {"rotation": Quantity(found.degrees, "deg", Origin.DERIVED).to_dict(), "flip": found.flip},
    }
