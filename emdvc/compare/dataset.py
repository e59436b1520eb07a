"""Two states of one dataset, compared by their sidecars: every typed difference, and one verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath, PurePosixPath
from typing import Any, TypeVar

from emdvc.compare.axes import AxisChange, compare_axes
from emdvc.compare.causes.cause import Cause
from emdvc.compare.measure import same_measure
from emdvc.compare.numbers.values import ValueChange
from emdvc.compare.record import KeyChange, compare_records
from emdvc.compare.variables import StatisticChange, VariableChange, compare_statistics, compare_variables
from emdvc.compare.verdict import Verdict, strongest
from emdvc.model.sidecar import Sidecar

#: Keys of a source that tell of its bytes.
_BYTES = ("files", "replaced")
#: Parts of a difference that hold one entry for each thing that differs.
_LISTS = ("record", "axes", "variables", "values", "causes", "statistics", "provenance", "source", "vendor")


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
    unread
        Why the numbers were not compared though they may differ; empty when they were.
    before_sidecar, after_sidecar
        The whole sidecars, resolved, for who draws the difference; not part of the JSON.
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
    unread: str = ""
    before_sidecar: Sidecar | None = field(default=None, compare=False, repr=False)
    after_sidecar: Sidecar | None = field(default=None, compare=False, repr=False)

    @property
    def verdict(self) -> Verdict:
        """The strongest of all single verdicts."""
        if self.status in ("added", "removed"):
            return Verdict.STRUCTURE
        if self.bytes_differ and not self.values and not self._described:
            return Verdict.VALUES  # all that is known of it are its bytes
        looked_at = {change.variable for change in self.values}
        # figures, provenance and the vendor's tree tell of the data but are not the data
        aside = (self.provenance, self.vendor)
        return strongest(
            (
                *(change.verdict for change in self.record),
                *(change.verdict for change in self.axes),
                # where the numbers were read, they are what counts, not their digest
                *(
                    change.without("digest").verdict if change.name in looked_at else change.verdict
                    for change in self.variables
                ),
                *(change.verdict for change in self.values),
                *(Verdict.METADATA for change in self.statistics if change.variable not in self._told),
                *(Verdict.METADATA for changes in aside if changes),
                # the files are the bytes, and why they were replaced; who read them is written about them
                *(Verdict.ENCODING if change.key.startswith(_BYTES) else Verdict.METADATA for change in self.source),
                *((Verdict.ENCODING,) if self.bytes_differ else ()),
                *((Verdict.METADATA,) if self.status == "renamed" else ()),
            )
        )

    @property
    def _described(self) -> bool:
        """Whether a sidecar tells of the arrays; also where none was kept."""
        kept = [one for one in (self.before_sidecar, self.after_sidecar) if one is not None]
        return not kept or any(one.variables for one in kept)

    @property
    def _told(self) -> frozenset[str]:
        """Arrays of which something else says already that their numbers differ."""
        return frozenset({change.name for change in self.variables} | {change.variable for change in self.values})

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
            **{name: [change.to_dict() for change in getattr(self, name)] for name in _LISTS},
            "bytes_differ": self.bytes_differ,
            "before_path": str(self.before_path) if self.before_path is not None else None,
            "unread": self.unread,
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
        status = "added" if before is None else "removed"
        return DatasetDifference(path, status, there.kind, before_sidecar=before, after_sidecar=after)
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
        variables=compare_variables(_as_named(before.variables, before, after), after.variables),
        statistics=compare_statistics(_as_named(before.statistics, before, after), after.statistics),
        provenance=_plain_changes(before.provenance, after.provenance),
        source=_plain_changes(_by_path(before.source), _by_path(after.source)),
        vendor=compare_records(before.vendor, after.vendor),
        before_sidecar=before,
        after_sidecar=after,
    )


_Kept = TypeVar("_Kept")


def _as_named(kept: Mapping[str, _Kept], before: Sidecar, after: Sidecar) -> Mapping[str, _Kept]:
    """Return what is kept by the names of arrays with the main array of a file under the name that it has in another.

    In many formats an array has no name, and is called after its file.
    """
    named = before.main in kept and not set(before.variables) & set(after.variables)
    if after.kind != "raw" or not named or not after.main:
        return kept
    return {after.main if name == before.main else name: value for name, value in kept.items()}


def _plain_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[KeyChange, ...]:
    """Return the keys that differ; parameters such as ``20 mrad`` and ``0.02 rad`` are the same."""
    changes = compare_records(before, after)
    return tuple(change for change in changes if not same_measure(change.before, change.after))


def _by_path(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return a source with its files keyed by their paths, so that a change names the file."""
    mapping = dict(source)
    replaced = mapping.get("replaced")
    if isinstance(replaced, list):  # what `emdvc add --replace` notes, one entry after the other
        mapping["replaced"] = {str(number): entry for number, entry in enumerate(replaced, 1)}
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
