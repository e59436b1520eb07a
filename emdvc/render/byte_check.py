"""Copies of objects that are not what was recorded, for readers: where they lie, whom they concern, what helps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from emdvc.history.verify.byte_check import ByteCheck, Fault
from emdvc.history.verify.copies import Place
from emdvc.history.verify.repairing import Repaired
from emdvc.history.verify.wanted_objects import Use
from emdvc.render.columns import size
from emdvc.render.textconv.chunks import stored_arrays

#: Files of a Zarr store that tell which region a chunk file holds.
_METADATA = ("zarr.json", ".zarray", ".zattrs")
#: Uses of one object that are named; --json has all.
_USES = 3


@dataclass(frozen=True, slots=True)
class BytesAnswer:
    """What was found by reading every object, and what was mended.

    Parameters
    ----------
    check
        What was found, as it is now.
    faults
        Every copy that was not good before anything was mended.
    repaired
        Those that are good again.
    """

    check: ByteCheck
    faults: tuple[Fault, ...]
    repaired: tuple[Repaired, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether everything is good now."""
        return not self.check.faults() and not self.check.lost() and not self.check.unknown()

    def ok_for(self, revision: str) -> bool:
        """Whether everything is good now that a revision needs, by the name under which it was checked."""
        check = self.check
        wrong = [one.uses for one in check.faults()] + [one.uses for one in check.lost()]
        wrong += [check.wanted.uses({md5})[md5] for md5 in check.unknown()]
        return not any(revision in use.out.revisions for uses in wrong for use in uses)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        check = self.check
        mended = {(one.place, one.md5): one.source for one in self.repaired}
        return {
            "ok": self.ok,
            "revisions": [revision or "workspace" for revision in check.revisions],
            "objects": len(check.objects()),
            "places": [_place(check, place) for place in check.places],
            "faults": [
                {
                    "object": fault.md5,
                    "place": fault.place,
                    "where": fault.where,
                    "kind": fault.kind,
                    "bytes": fault.copy.size,
                    "expected_bytes": fault.expected,
                    "detail": fault.copy.detail or None,
                    "needed_by": [_use(check, use) for use in fault.uses],
                    "good_copies": list(fault.good),
                    "repaired_from": mended.get((fault.place, fault.md5)),
                }
                for fault in self.faults
            ],
            "lost": [
                {
                    "object": one.md5,
                    "needed_by": [_use(check, use) for use in one.uses],
                    "good_copies": list(one.good),
                }
                for one in check.lost()
            ],
            "unknown": [{"object": md5, "needed_by": _users(check, md5)} for md5 in check.unknown()],
        }


def _place(check: ByteCheck, place: Place) -> dict[str, Any]:
    counts = check.copies[place.name].values()
    return {
        "name": place.name,
        "bytes_read": check.bytes_read(place.name),
        "good": sum(copy.state == "good" for copy in counts),
        "absent": sum(copy.state == "absent" for copy in counts),
        "only_here": check.only_in(place.name),
    }


def _users(check: ByteCheck, md5: str) -> list[dict[str, Any]]:
    return [_use(check, use) for use in check.wanted.uses({md5})[md5]]


def _use(check: ByteCheck, use: Use) -> dict[str, Any]:
    return {
        "path": str(use.out.path),
        "file": use.inside or None,
        "region": _region(check, use) or None,
        "revisions": list(use.out.revisions),
    }


def _region(check: ByteCheck, use: Use) -> str:
    """Return which part of which array a chunk file holds; empty for any other file."""
    files = check.wanted.lists.get(use.out.md5, {})
    near = {path: md5 for path, md5 in files.items() if path.rpartition("/")[2] in _METADATA}
    if not use.inside or not near or use.inside in near:
        return ""
    for array in stored_arrays(near, check.content)[0]:
        region = array.keys.region(use.inside)
        if region is not None:
            return f"{array.name}: {array.spoken(region)}"
    return ""


def bytes_text(answer: BytesAnswer) -> str:
    """Return every fault with where it lies, whom it concerns and what helps, then what was read."""
    lines: list[str] = []
    mended = {(one.place, one.md5): one.source for one in answer.repaired}
    for fault in answer.faults:
        what = f"{fault.kind} in {_name(fault.place)}"
        lines += [f"{what}: {fault.where}", *_uses(answer.check, fault.uses)]
        lines.append(f"  {_size(fault)}")
        lines.append(f"  {_remedy(fault.uses, fault.good, mended.get((fault.place, fault.md5)))}")
    for lost in answer.check.lost():
        lines += [f"lost: {lost.md5} is {_nowhere(answer.check)}", *_uses(answer.check, lost.uses)]
        lines.append(f"  {_remedy(lost.uses, lost.good, None)}")
    for md5 in answer.check.unknown():
        lines.append(f"not checked: the files of {md5}, for no good list of them was found")
    return "\n".join([*lines, *([""] if lines else []), *_summary(answer)])


def _uses(check: ByteCheck, uses: Sequence[Use]) -> list[str]:
    rest = len(uses) - _USES
    return [*(_needed(check, use) for use in uses[:_USES]), *([f"  and by {rest} more"] if rest > 0 else [])]


def _needed(check: ByteCheck, use: Use) -> str:
    part = f", its file {use.inside}" if use.inside else ", its list of files" if use.out.is_directory else ""
    region = _region(check, use)
    return f"  needed by {use.out.path}{part}{f' ({region})' if region else ''}; {', '.join(use.out.revisions)}"


def _size(fault: Fault) -> str:
    if fault.copy.detail:
        return f"it cannot be read: {fault.copy.detail}"
    if fault.expected is not None and fault.expected != fault.copy.size:
        return f"{fault.copy.size} bytes of {fault.expected}"
    return f"{fault.copy.size} bytes, whose md5 is not {fault.md5.removesuffix('.dir')}"


def _remedy(uses: Sequence[Use], good: Sequence[str], source: str | None) -> str:
    """Return the commands that bring back a good copy, or which copy has done so."""
    repair = f"emdvc verify --bytes --repair {uses[0].out.path}"
    if source is not None:
        return f"repaired from {_name(source)}"
    if good:
        return f"{_name(good[0])} has a good copy: {repair}"
    stage = next((use.out.stage for use in uses if use.out.stage), None)
    if stage is not None:  # DVC would not replace the corrupt copy in its cache by what it computes
        return (
            f"no good copy was found; compute it again: dvc repro --force --no-commit --single-item {stage} && {repair}"
        )
    return f"no good copy was found; whoever has one runs in their own clone: {repair}"


def _nowhere(check: ByteCheck) -> str:
    names = [_name(place.name) for place in check.places]
    places = [f"{'in' if number == 0 else 'on'} {name}" for number, name in enumerate(names)]
    return f"neither {' nor '.join(places)}" if len(places) > 1 else f"not {places[0]}, and there is no remote"


def _summary(answer: BytesAnswer) -> list[str]:
    check = answer.check
    objects = len(check.objects())
    read = ", ".join(f"{size(check.bytes_read(place.name))} in {_name(place.name)}" for place in check.places)
    lines = [f"{objects} object{'s' if objects != 1 else ''} of {_revisions(check)}, read: {read}"]
    away = sum(copy.state == "absent" for copy in check.copies[check.places[0].name].values())
    if away and not check.everywhere and len(check.places) == 1:
        lines.append(f"{away} {'is' if away == 1 else 'are'} not in the cache")
    for place in check.places:
        only = check.only_in(place.name)
        if only:
            verb = "is" if only == 1 else "are"
            lines.append(f"{only} {verb} only {'here' if place.name == 'cache' else f'on {place.name}'}")
    bad, lost = len(check.faults()), len(check.lost())
    if answer.ok:
        good = f", {len(answer.repaired)} of them repaired" if answer.repaired else ""
        lines.append(f"every copy is as recorded{good}")
    else:
        told = [f"{bad} corrupt cop{'ies' if bad != 1 else 'y'}"] * bool(bad) + [f"{lost} lost"] * bool(lost)
        told += [f"{len(check.unknown())} unreadable list{'s' if len(check.unknown()) != 1 else ''}"] * bool(
            check.unknown()
        )
        lines.append(", ".join(told))
    return lines


def _name(place: str) -> str:
    return f"the {place}" if place in ("cache", "workspace") else f"remote {place}"


def _revisions(check: ByteCheck) -> str:
    names = [revision or "the workspace" for revision in check.revisions]
    if len(names) > 3:
        return f"{len(names)} revisions"
    return " and ".join(names)
