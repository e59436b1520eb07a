"""The radial profile of each diffraction pattern."""

from __future__ import annotations

from typing import Any

from emdvc.steps import contract, rings
from emdvc.steps.binned_means import BinnedMeans
from emdvc.steps.contract import Input, Plan


class RadialProfile(rings.RingStep):
    """Mean counts per pixel on rings around the undiffracted beam, for each pattern and for all of them.

    Ring i holds the pixels whose middle lies at ``i w <= r < (i + 1) w``, with w = outer / bins; its coordinate k is
    the ring's middle radius. Ring sums are exact; the division by the number of pixels is the only rounding. ``pixels``
    gives that number, so that the Poisson error of a ring is sqrt(profile / pixels).

    Where the lenses or a tilted camera made ellipses of the rings, `ratio` a / b and `angle`, or the result of
    ``ellipse_fit``, make them round again: u along the major axis, v across it, ``r^2 = u^2 b / a + v^2 a / b``,
    so that r is the geometric mean sqrt(a b) of the semi-axes. Each pixel still counts once: nothing is interpolated.

    Source of the distortion: Capitani et al., Ultramicroscopy 106, 66 (2006).
    """

    name = "radial_profile"
    version = 1
    summary = "mean counts on rings around the undiffracted beam"
    core = ("ky", "kx")

    class Parameters(rings.RingParameters, contract.Parameters):
        """The rings."""

    def prepare(self, parameters: Any, source: Input) -> Plan:
        """Return the rings for an input.

        Raises
        ------
        StepError
            No ring fits the detector.
        """
        chosen = rings.rings(parameters, source)
        scanned = len(source.dims) > len(self.core)
        return BinnedMeans(source, chosen.labels(source), chosen.axis(), ("radial profile", "ring"), scanned)
