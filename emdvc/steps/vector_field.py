"""Vector fields over a scan: their derivatives, and how the detector is turned against the scan."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emdvc.errors import Code, StepError
from emdvc.steps import trigonometry

Map = NDArray[np.float64]

#: Below this part of the field's derivatives a difference is rounding, and decides nothing.
_ROUNDING = 1e-9
#: What white noise exceeds once in a thousand times, in units of 1 / sqrt(probe positions), by simulation: how far its
#: least share of curl lies below one half, and how far those of the two handednesses lie apart.
_NOISE_DEPTH, _NOISE_DIFFERENCE = 2.0, 1.5


@dataclass(frozen=True, slots=True)
class Field:
    """A vector at each probe position.

    Parameters
    ----------
    y, x
        Components along the scan's axes, shape (y, x), at least two probe positions each way.
    steps
        Distance of probe positions along y and x.
    """

    y: Map
    x: Map
    steps: tuple[float, float] = (1.0, 1.0)

    def flipped(self) -> Field:
        """Return the field mirrored: its y component has changed sign."""
        return Field(-self.y, self.x, self.steps)

    def turned(self, cosine: float, sine: float) -> Field:
        """Return the field with every vector turned from x towards y."""
        return Field(sine * self.x + cosine * self.y, cosine * self.x - sine * self.y, self.steps)

    def divergence(self) -> Map:
        """Return dFx/dx + dFy/dy."""
        return _derivative(self.x, 1, self.steps[1]) + _derivative(self.y, 0, self.steps[0])

    def curl(self) -> Map:
        """Return dFy/dx - dFx/dy, which the gradient of a potential does not have."""
        return _derivative(self.y, 1, self.steps[1]) - _derivative(self.x, 0, self.steps[0])


def _derivative(values: Map, axis: int, step: float) -> Map:
    """Return the central difference, at the edges the one-sided one."""
    along = np.moveaxis(values, axis, 0)
    found = np.empty(along.shape)
    found[1:-1] = (along[2:] - along[:-2]) / (2.0 * step)
    found[0] = (along[1] - along[0]) / step
    found[-1] = (along[-1] - along[-2]) / step
    return np.moveaxis(found, 0, axis)


def total(values: Map) -> float:
    """Return the sum of an array, correctly rounded: the same on every machine and in any order."""
    return math.fsum(values.reshape(-1).tolist())


@dataclass(frozen=True, slots=True)
class Derivatives:
    """Sums over the scan of the squared curl, the squared divergence, and their product.

    Turned by an angle t, a field has the curl ``cos t curl + sin t div``, so these three say how much curl it has at
    any angle; the sum of the squares of both does not depend on it.
    """

    curl: float
    divergence: float
    mixed: float

    @classmethod
    def of(cls, field: Field) -> Derivatives:
        """Return the sums for a field."""
        curl, divergence = field.curl(), field.divergence()
        return cls(total(curl * curl), total(divergence * divergence), total(curl * divergence))

    def share(self, cosine: float, sine: float) -> float:
        """Return what part of the squared derivatives is curl when the field is turned: 0 for a gradient, at most 1."""
        curl = cosine * cosine * self.curl + 2.0 * sine * cosine * self.mixed + sine * sine * self.divergence
        return max(0.0, curl / (self.curl + self.divergence))

    def least_share(self) -> float:
        """Return the share of curl at the angle where it is least: 0.5 where it is the same at all angles."""
        a, b = (self.divergence - self.curl) / 2.0, self.mixed
        return max(0.0, 0.5 - math.sqrt(a * a + b * b) / (self.curl + self.divergence))

    def least_curl(self) -> tuple[float, float]:
        """Return cosine and sine of the angle of least curl, above -90 and up to 90 degrees.

        The squared curl is ``m - a cos 2t - b sin 2t``, with a half the difference of the squared divergence and curl,
        and b minus their product: its minimum is known in closed form.

        Raises
        ------
        StepError
            Curl and divergence are equal at every angle.
        """
        a, b = (self.divergence - self.curl) / 2.0, -self.mixed
        length = math.sqrt(a * a + b * b)
        if length <= _ROUNDING * (self.curl + self.divergence):
            raise StepError(
                "the curl of the field is the same at every angle: it does not tell the scan rotation",
                code=Code.STEP_PARAMETER,
                hint="give it: --set rotation=ANGLE",
            )
        double_cosine, double_sine = a / length, b / length
        if double_cosine >= 0.0:
            cosine = math.sqrt((1.0 + double_cosine) / 2.0)
            return cosine, double_sine / (2.0 * cosine)
        sine = math.copysign(math.sqrt((1.0 - double_cosine) / 2.0), double_sine if double_sine else 1.0)
        return abs(double_sine) / (2.0 * abs(sine)), sine


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a measured field becomes one along the scan's axes: mirrored where `flip`, then turned.

    Parameters
    ----------
    cosine, sine
        Of the angle by which it is turned, from x towards y.
    flip
        Whether its y component changes sign first.
    degrees
        The angle, as it was given or from -180 to 180.
    """

    cosine: float
    sine: float
    flip: bool
    degrees: float

    def apply(self, field: Field) -> Field:
        """Return a field along the scan's axes."""
        return (field.flipped() if self.flip else field).turned(self.cosine, self.sine)

    def reversed(self) -> Orientation:
        """Return the orientation half a turn on, which has the same curl."""
        return _towards(-self.cosine, -self.sine, self.flip)


def _towards(cosine: float, sine: float, flip: bool) -> Orientation:
    return Orientation(cosine, sine, flip, trigonometry.degrees_of(sine, cosine))


def both_hands(field: Field) -> tuple[Derivatives, Derivatives]:
    """Return the derivatives of a field as it is, and mirrored.

    Raises
    ------
    StepError
        It has neither curl nor divergence.
    """
    hands = Derivatives.of(field), Derivatives.of(field.flipped())
    sizes = [hand.curl + hand.divergence for hand in hands]
    if min(sizes) <= _ROUNDING * _ROUNDING * max(sizes):
        raise StepError(
            "the deflection has neither curl nor divergence, so that it does not tell the scan rotation",
            code=Code.STEP_PARAMETER,
            evidence="it is the same at all probe positions, or grows evenly along them",
            hint="give the rotation and the handedness: --set rotation=ANGLE --set flip=no",
        )
    return hands


def stands_out(best: float, other: float | None, positions: int) -> bool:
    """Say whether shares of curl are such as white noise leaves less than once in a thousand times.

    Parameters
    ----------
    best
        Least share of curl of the handedness that is chosen.
    other
        That of the other one; None where the handedness was known before.
    positions
        Number of probe positions.
    """
    unit = 1.0 / math.sqrt(positions)
    between = max(_NOISE_DIFFERENCE * unit, _ROUNDING)
    return 0.5 - best > _NOISE_DEPTH * unit and (other is None or abs(other - best) > between)


def orientation(field: Field, degrees: float | None = None, flip: bool | None = None) -> Orientation:
    """Return the orientation that leaves least curl.

    Parameters
    ----------
    field
        As measured, along the detector's axes.
    degrees, flip
        The angle and the handedness where they are known.

    Raises
    ------
    StepError
        The field does not determine what is not known: another angle or handedness leaves as little curl.
    """
    turn = trigonometry.of_degrees(degrees) if degrees is not None else None
    if turn is not None and degrees is not None and flip is not None:
        return Orientation(*turn, flip, degrees)
    hands = both_hands(field)
    if flip is None:
        plain, mirrored = (hand.share(*turn) if turn is not None else hand.least_share() for hand in hands)
        if abs(plain - mirrored) <= _ROUNDING:
            raise StepError(
                "the curl of the deflection does not tell whether the detector is mirrored against the scan",
                code=Code.STEP_PARAMETER,
                evidence=f"the share of curl is {plain:.3g} as it is and {mirrored:.3g} mirrored",
                hint="say which: --set flip=yes or --set flip=no",
            )
        flip = mirrored < plain
    if turn is not None and degrees is not None:
        return Orientation(*turn, flip, degrees)
    return _towards(*hands[flip].least_curl(), flip)
