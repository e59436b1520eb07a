"""Which part of a dataset is wanted: probe positions and detector pixels, as typed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from emdvc.errors import UsageError
from emdvc.formats.contract import Region
from emdvc.model.axis import Axis, Role

#: What ``--scan`` counts over: probe positions, or the frames of a stack.
SCAN = (Role.SCAN, Role.STACK)
_PART = re.compile(r"\s*(?P<start>\d*)\s*(?P<colon>:?)\s*(?P<stop>\d*)\s*")

#: First and last-but-one sample along one dimension; None for the end that was not said.
Span = tuple[int | None, int | None]


@dataclass(frozen=True, slots=True)
class Selection:
    """A part of a dataset.

    Parameters
    ----------
    scan
        One span for each dimension of the scan (or of a stack), slowest first; none for all of it.
    detector
        The same for the dimensions of what is recorded at each probe position.
    """

    scan: tuple[Span, ...] = ()
    detector: tuple[Span, ...] = ()

    @classmethod
    def parse(cls, scan: str | None, detector: str | None) -> Selection:
        """Return what was typed: ``0:64,0:64``; ``12,40`` for one position; ``:`` for all along a dimension.

        Raises
        ------
        UsageError
            It is no such text.
        """
        return cls(_spans(scan, "--scan"), _spans(detector, "--detector"))

    def region(self, dims: Sequence[str], shape: Sequence[int], axes: Mapping[str, Axis], name: str) -> Region:
        """Return the region of an array.

        Parameters
        ----------
        dims, shape
            Of the array.
        axes
            Of the dataset, by dimension.
        name
            Of the dataset, for messages.

        Raises
        ------
        UsageError
            There are not as many dimensions as were typed, or not as many samples.
        """
        scan = [dim for dim in dims if axes[dim].role in SCAN]
        spans = dict(_assigned(self.scan, scan, "--scan", name))
        spans |= dict(_assigned(self.detector, [dim for dim in dims if dim not in scan], "--detector", name))
        return tuple(
            _slice(spans.get(dim, (None, None)), size, dim, name) for dim, size in zip(dims, shape, strict=True)
        )

    def within(self, main: Mapping[str, slice], dims: Sequence[str], shape: Sequence[int]) -> Region:
        """Return the region of another array of the dataset: that of the main one along the dimensions they share.

        Parameters
        ----------
        main
            Dimension -> region of the main array.
        dims, shape
            Of the other array.
        """
        shared = [(main.get(dim, slice(0, size)), size) for dim, size in zip(dims, shape, strict=True)]
        return tuple(part if part.stop <= size else slice(0, size) for part, size in shared)


def _spans(text: str | None, option: str) -> tuple[Span, ...]:
    if text is None:
        return ()
    found = []
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None or not part.strip():
            raise UsageError(
                f"'{text}' is no region",
                evidence=f"'{part}' is neither START:STOP nor one number",
                hint=_EXAMPLE[option],
            )
        start, stop = (int(match[end]) if match[end] else None for end in ("start", "stop"))
        if not match["colon"] and start is not None:
            stop = start + 1
        if start is not None and stop is not None and stop <= start:
            raise UsageError(f"'{text}' is empty", evidence=f"{start} is not before {stop}", hint=_EXAMPLE[option])
        found.append((start, stop))
    return tuple(found)


_EXAMPLE = {
    "--scan": "write --scan START:STOP,START:STOP, as in --scan 0:64,0:64 (y, x), or --scan 12,40 for one pattern",
    "--detector": "write --detector START:STOP,START:STOP, as in --detector 32:96,32:96 (ky, kx)",
}


def _assigned(spans: tuple[Span, ...], dims: list[str], option: str, name: str) -> list[tuple[str, Span]]:
    if not spans:
        return []
    if len(spans) != len(dims):
        has = f"{name} has {', '.join(dims)}" if dims else f"{name} has no such dimension"
        count = f"{len(spans)} part{'s' if len(spans) != 1 else ''}"
        raise UsageError(f"{option} names {count}", evidence=has, hint=_EXAMPLE[option])
    return list(zip(dims, spans, strict=True))


def _slice(span: Span, size: int, dim: str, name: str) -> slice:
    start = span[0] if span[0] is not None else 0
    stop = span[1] if span[1] is not None else size
    if stop > size or start >= size:
        raise UsageError(
            f"{name} ends at {dim} = {size - 1}",
            evidence=f"asked for {start}:{stop}",
            hint=f"{dim} runs from 0 to {size}",
        )
    return slice(start, stop)
