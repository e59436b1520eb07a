"""What one commit changed of a dataset, from what is recorded before and after it: no data is read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from emdvc.compare.dataset import DatasetDifference, compare
from emdvc.compare.log.facts import Facts
from emdvc.compare.log.sidecar_text import differing, only, parsed
from emdvc.compare.measure import same_measure
from emdvc.compare.record import KeyChange, compare_records
from emdvc.compare.verdict import Verdict, strongest
from emdvc.history.project import Project

#: Files of a Zarr store that hold no numbers.
_DESCRIPTIONS = ("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata")


@dataclass(frozen=True, slots=True)
class Chunks:
    """How many files with numbers differ, of how many there are in either state."""

    changed: int
    total: int

    def to_dict(self) -> dict[str, int]:
        """Return plain values."""
        return {"changed": self.changed, "total": self.total}


class Manifests:
    """The lists of the files of datasets that are directories, as far as the local cache has them.

    Parameters
    ----------
    project
        The project.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self._read: dict[str, dict[str, str] | None] = {}

    def chunks(self, before: str | None, after: str | None) -> Chunks | None:
        """Return how many chunks differ between two directories; None where one of them is not known.

        Parameters
        ----------
        before, after
            Their md5s, which end in ``.dir``.
        """
        if before is None or after is None or before == after:
            return None
        old, new = self._manifest(before), self._manifest(after)
        if old is None or new is None:
            return None
        names = [name for name in {**old, **new} if name.rpartition("/")[2] not in _DESCRIPTIONS]
        return Chunks(sum(old.get(name) != new.get(name) for name in names), len(names))

    def _manifest(self, md5: str) -> dict[str, str] | None:
        if not md5.endswith(".dir"):
            return None
        if md5 not in self._read:
            from emdvc.history.cache_place import cache_folder
            from emdvc.history.dvc_manifest import manifest

            self._read[md5] = manifest(cache_folder(self.project), md5)
        return self._read[md5]


def difference_of(
    before: Facts, after: Facts, path: PurePosixPath, former: PurePosixPath | None = None
) -> DatasetDifference:
    """Return what differs between two states of a dataset.

    Parameters
    ----------
    before, after
        What is recorded.
    path
        What the dataset is called.
    former
        What it was called before, where it was renamed.
    """
    kind = _kind(before, after)
    if not (before.there and after.there):
        return replace(
            compare(before.sidecar, after.sidecar, path), status="removed" if before.there else "added", kind=kind
        )
    found = DatasetDifference(path)
    old, new = (parsed(text) for text in differing(before.text or "", after.text or ""))
    if old is not None and new is not None and before.text is not None and after.text is not None:
        first, second = (replace(one, provenance={}, vendor={}).resolved() for one in (old, new))
        found = replace(
            compare(first, second, path),
            # as the comparison has it, without pint, which takes longer to import than all the rest
            provenance=_provenance(old.provenance, new.provenance),
            vendor=compare_records(old.vendor, new.vendor),
            # these are the parts that differ, not whole sidecars
            before_sidecar=None,
            after_sidecar=None,
        )
    return replace(
        found,
        kind=kind,
        status="changed" if former is None else "renamed",
        before_path=former,
        bytes_differ=before.md5 != after.md5,
    )


def verdict_of(difference: DatasetDifference, before: Facts, after: Facts) -> Verdict:
    """Return how much a change matters, also where no sidecar tells of the numbers.

    Bytes that differ are numbers that differ, unless the digests in both sidecars say that these are the same.
    """
    found = [difference.verdict]
    if before.there and after.there:
        digests = [_digests(facts.text) for facts in (before, after)]
        if difference.bytes_differ and not all(digests):
            found.append(Verdict.VALUES)
        if (before.text is None) != (after.text is None):
            found.append(Verdict.METADATA)
    return strongest(found)


def _digests(text: str | None) -> list[str]:
    """Return the digests of a sidecar's arrays; none where one is not known."""
    sidecar = parsed(only("data", text)) if text is not None else None
    digests = [info.digest for info in sidecar.variables.values()] if sidecar is not None else []
    return digests if all(digests) else []


def _provenance(before: dict[str, Any], after: dict[str, Any]) -> tuple[KeyChange, ...]:
    changes = compare_records(before, after)
    return tuple(change for change in changes if not same_measure(change.before, change.after))


def _kind(before: Facts, after: Facts) -> str:
    facts = after if after.there else before
    computed = facts.stage is not None or "\nprovenance:" in f"\n{facts.text or ''}"
    return "result" if computed else "raw"
