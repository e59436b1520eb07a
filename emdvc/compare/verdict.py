"""How much a difference matters, in one word."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Verdict(StrEnum):
    """What kind of difference two states show, from the weakest to the strongest."""

    #: Nothing differs.
    IDENTICAL = "identical"
    #: The same numbers in other bytes: compressed, chunked or sharded in another way.
    ENCODING = "encoding only"
    #: Only what is written about the data differs: a name, a note, where a value came from.
    METADATA = "metadata"
    #: The numbers differ by less than the tolerance that was asked for.
    WITHIN_TOLERANCE = "within tolerance"
    #: Counts differ as two exposures of the same thing do: by Poisson noise.
    NOISE_EQUIVALENT = "noise-equivalent"
    #: The numbers are the same, but what they mean differs: a length, an angle, an energy, a unit.
    CALIBRATION = "calibration"
    #: The numbers differ.
    VALUES = "values"
    #: Shape, number type, dimensions or the set of arrays differ, or a whole dataset came or went.
    STRUCTURE = "structure"


_ORDER = list(Verdict)


def strongest(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the strongest of some verdicts; of none: identical."""
    return max(verdicts, key=_ORDER.index, default=Verdict.IDENTICAL)
