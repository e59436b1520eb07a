"""Two states of one dataset, compared by their sidecars: every typed difference, and one verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath, PurePosixPath
from typing import Any

from emdvc.compare.axes import AxisChange, compare_axes
from emdvc.compare.causes import Cause
from emdvc.compare.record import KeyChange, compare_records
from emdvc.compare.values import ValueChange
from emdvc.compare.variables import StatisticChange, VariableChange, compare_statistics, compare_variables
from emdvc.compare.verdict import Verdict, strongest
from emdvc.errors import MetadataError
from emdvc.model.quantity import Quantity
from emdvc.model.sidecar import Sidecar


@dataclass(frozen=True, slots=True)
class DatasetDifference:
    """What differs between two states of a dataset; false when nothing does.

    Parameters
    ----------
    path
        The dataset.
    status
        ``added``, ``removed``, ``renamed``, or ``changed`` (also when nothing differs).
    kind
        ``raw`` or ``result``.
    record
        Acquisition record, by key.
    axes, variables, statistics
        Axes, arrays, and the arrays' figures.
    provenance
        How a result came to be: step version, parameters, digests of its inputs.
    source
        What raw data were read from: reader, files with their checksums.
    vendor
        The vendor's metadata tree.
    values
        The numbers of the arrays that were looked at; empty where the sidecars alone were compared.
    bytes_differ
        Whether the recorded bytes differ, whatever the numbers do.
    causes
        Why a result changed.
    before_path
        What a renamed dataset was called; None else.
    """

    path: PurePath
    status: str = "changed"
    kind: str = "raw"
    record: tuple[KeyChange, ...] = ()
    axes: tuple[AxisChange, ...] = ()
    variables: tuple[VariableChange, ...] = ()
    statistics: tuple[StatisticChange, ...] = ()
    provenance: tuple[KeyChange, ...] = ()
    source: tuple[KeyChange, ...] = ()
    vendor: tuple[KeyChange, ...] = ()
    values: tuple[ValueChange, ...] = ()
    bytes_differ: bool = False
    causes: tuple[Cause, ...] = ()
    before_path: PurePath | None = None

    @property
    def verdict(self) -> Verdict:
        """The strongest of all single verdicts."""
        if self.status != "changed":
            return Verdict.STRUCTURE
        # figures, provenance, files and the vendor's tree tell of the data but are not the data
        aside = (self.statistics, self.provenance, self.source, self.vendor)
        return strongest(
            (
                *(change.verdict for change in self.record),
                *(change.verdict for change in self.axes),
                *(change.verdict for change in self.variables),
                *(Verdict.METADATA for changes in aside if changes),
            )
        )

    def __bool__(self) -> bool:
        """Say whether anything differs."""
        return self.verdict is not Verdict.IDENTICAL

    def to_dict(self) -> dict[str, Any]:
        """Return the difference as plain values."""
        return {
            "path": str(self.path),
            "status": self.status,
            "kind": self.kind,
            "verdict": str(self.verdict),
            **{
                name: [change.to_dict() for change in getattr(self, name)]
                for name in ("record", "axes", "variables", "statistics", "provenance", "source", "vendor")
            },
        }


def compare(
    before: Sidecar | None,
    after: Sidecar | None,
    path: PurePath | str = "",
    *,
    volatile: Iterable[str] = (),
    own: frozenset[str] | None = None,
) -> DatasetDifference:
    """Return the difference of two states of a dataset.

    Parameters
    ----------
    before, after
        The sidecars, resolved (:func:`emdvc.formats.sidecar.read_resolved`); None where the dataset is absent.
    path
        What the dataset is called.
    volatile
        Keys of the record that change without meaning anything.
    own
        Keys that the dataset's own sidecars hold. Others are inherited: a change of one is told only when an axis
        follows it. None: all are its own.
    """
    path = PurePosixPath(path) if isinstance(path, str) else path
    if before is None or after is None:
        there = before or after
        if there is None:
            return DatasetDifference(path)
        return DatasetDifference(path, "added" if before is None else "removed", there.kind)
    record = compare_records(before.record, after.record, volatile=volatile, own=own)
    axes = compare_axes(before.axes, after.axes, frozenset(change.key for change in record if not change.origin_only))
    # what is inherited is shown where it stands; here only when an axis follows it
    followed = {key for axis in axes for key in axis.because}
    order = after.variables[after.main].dims if after.main in after.variables else ()
    return DatasetDifference(
        path,
        kind=after.kind,
        record=tuple(change for change in record if not change.inherited or change.key in followed),
        axes=tuple(sorted(axes, key=lambda axis: order.index(axis.dim) if axis.dim in order else len(order))),
        variables=compare_variables(before.variables, after.variables),
        statistics=compare_statistics(before.statistics, after.statistics),
        provenance=_plain_changes(before.provenance, after.provenance),
        source=_plain_changes(_by_path(before.source), _by_path(after.source)),
        vendor=compare_records(before.vendor, after.vendor),
    )


def _plain_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[KeyChange, ...]:
    """Return the keys that differ; parameters such as ``20 mrad`` and ``0.02 rad`` are the same."""
    changes = compare_records(before, after)
    return tuple(change for change in changes if not _same_typed(change.before, change.after))


def _same_typed(before: Any, after: Any) -> bool:
    if not (isinstance(before, str) and isinstance(after, str) and before[:1].isdigit() and after[:1].isdigit()):
        return False
    try:
        return Quantity.parse(before).same(Quantity.parse(after))
    except (MetadataError, ValueError):
        return False


def _by_path(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return a source with its files keyed by their paths, so that a change names the file."""
    mapping = dict(source)
    files = mapping.get("files")
    if isinstance(files, list):
        # one part of a dotted key cannot hold the path's own dots apart, and need not: it is only shown
        mapping["files"] = {
            str(entry.get("path", index)): {key: value for key, value in entry.items() if key != "path"}
            if isinstance(entry, dict)
            else entry
            for index, entry in enumerate(files)
        }
    return mapping
