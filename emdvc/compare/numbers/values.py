"""What differs in the numbers of one array: how many, where, by how much, and whether noise explains it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from emdvc.compare.plain import finite
from emdvc.compare.verdict import Verdict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far two numbers may be apart and still count as the same: any of the three is enough.

    Parameters
    ----------
    rtol, atol
        ``|after - before| <= atol + rtol * |before|``.
    ulp
        Steps between neighbouring floating-point numbers of the array's type.
    """

    rtol: float = 0.0
    atol: float = 0.0
    ulp: int = 0

    def __bool__(self) -> bool:
        """Say whether anything is tolerated."""
        return bool(self.rtol or self.atol or self.ulp)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"rtol": self.rtol, "atol": self.atol, "ulp": self.ulp}


@dataclass(frozen=True, slots=True)
class Noise:
    """Whether counts differ as two Poisson draws of the same rates do.

    Parameters
    ----------
    p_value
        Of all tests together: small where noise does not explain the difference.
    masked
        Detector pixels left out: dead or stuck in everything that was compared.
    """

    p_value: float
    masked: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"p_value": self.p_value, "masked_pixels": self.masked}


@dataclass(frozen=True, slots=True)
class Seen:
    """What was read while comparing, small enough to be drawn; all arrays in double precision unless said.

    A scan is summarised over its differing probe positions only, for only those were read. Of an array without
    probe positions `before_mean` and `after_mean` are the array itself.

    Parameters
    ----------
    changed
        Bool, shape of the scan: which probe positions differ; None where the array has no probe positions.
    before_map, after_map
        Sum of each probe position's numbers (of a map: the number itself), shape of the scan; NaN where it was not
        read. None as for `changed`.
    before_mean, after_mean
        Mean over the differing probe positions of what stands at one (pattern, spectrum, profile), shape of the other
        axes; None where a probe position holds a single number, or where it is too large.
    """

    changed: NDArray[np.bool_] | None = None
    before_map: NDArray[np.float64] | None = None
    after_map: NDArray[np.float64] | None = None
    before_mean: NDArray[np.float64] | None = None
    after_mean: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class ValueChange:
    """The numbers of one array, before and after.

    Parameters
    ----------
    variable
        Name of the array.
    verdict
        ``encoding only`` where no number differs (also where their type does), ``within tolerance``,
        ``noise-equivalent`` or ``values``; ``structure`` where the numbers are the same in another arrangement.
    differing, compared, total
        Numbers that differ, that were compared (in chunks that differ), and that the array holds. Where a comparison
        was stopped early (:attr:`complete` is false), `differing` is what was found until then.
    positions, scan
        Probe positions that differ, and the lengths of the scan by name of its dimensions; no scan: 0 and empty.
    box
        Where they lie: for each dimension of the scan the first and the last index; empty where none differs.
    largest, mean, rms
        Of ``after - before`` over the differing numbers, in the array's unit: the largest absolute value, the mean, the
        root mean square.
    sum_ratio
        Sum after over sum before, of the differing probe positions (of the differing numbers without a scan); None
        where the sum before is zero.
    nan_before, nan_after
        Numbers that are NaN on one side.
    arrangement
        How the numbers are the same in another order, as in ``y and x exchanged``, ``ky reversed``, ``cut to y 0:63``;
        empty where they are not.
    tolerance, outside
        What was tolerated, and the numbers that differ by more.
    noise
        Result of the test for noise; None where it was not made (no counts).
    chunks, chunks_of
        Chunk files that differ, and that the array has; 0 where they are not known.
    complete
        Whether everything that may differ was compared.
    seen
        What can be drawn; not part of the JSON.
    """

    variable: str
    verdict: Verdict
    differing: int = 0
    compared: int = 0
    total: int = 0
    positions: int = 0
    scan: tuple[tuple[str, int], ...] = ()
    box: tuple[tuple[str, int, int], ...] = ()
    largest: float = 0.0
    mean: float = 0.0
    rms: float = 0.0
    sum_ratio: float | None = None
    nan_before: int = 0
    nan_after: int = 0
    arrangement: str = ""
    tolerance: Tolerance = Tolerance()
    outside: int = 0
    noise: Noise | None = None
    chunks: int = 0
    chunks_of: int = 0
    complete: bool = True
    unit: str = ""
    seen: Seen | None = field(default=None, compare=False, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the change as plain values."""
        return {
            "variable": self.variable,
            "verdict": str(self.verdict),
            "differing": self.differing,
            "compared": self.compared,
            "total": self.total,
            "positions": self.positions,
            "scan": [{"dim": dim, "size": size} for dim, size in self.scan],
            "box": [{"dim": dim, "first": first, "last": last} for dim, first, last in self.box],
            "largest": finite(self.largest),
            "mean": finite(self.mean),
            "rms": finite(self.rms),
            "sum_ratio": finite(self.sum_ratio),
            "nan_before": self.nan_before,
            "nan_after": self.nan_after,
            "unit": self.unit,
            "arrangement": self.arrangement,
            "tolerance": self.tolerance.to_dict() if self.tolerance else None,
            "outside": self.outside,
            "noise": self.noise.to_dict() if self.noise else None,
            "chunks": self.chunks,
            "chunks_of": self.chunks_of,
            "complete": self.complete,
        }
