"""Why a result differs between two revisions: what dvc.lock, sidecars and scripts say of both, read as text.

Nothing is checked out, no data is read, and DVC is not needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from emdvc.compare.causes.cause import Cause, CauseKind
from emdvc.compare.causes.keys import command_cause, key_causes
from emdvc.compare.causes.lineage import Lineage
from emdvc.compare.causes.provenance import provenance_causes, version_cause
from emdvc.compare.causes.recipe_parts import Part
from emdvc.compare.causes.scripts import script_causes
from emdvc.formats.sidecar import SUFFIX
from emdvc.history.recorded import LockedStage, stage_address
from emdvc.history.snapshot import Snapshot, data_path
from emdvc.history.stages import POINTER_KEYS

_ORDER = list(CauseKind)


def causes(
    old: Snapshot, new: Snapshot, path: PurePosixPath, *, before_path: PurePosixPath | None = None
) -> tuple[Cause, ...]:
    """Return why a result differs between two revisions: direct causes first, each once.

    An input that is itself a result is followed to its own causes. Raw data has no causes, nor has a result that came
    or went. Of a result that changed though nothing did that it depends on, that is said (:attr:`CauseKind.NONE`), and
    likewise where one side records no run of its stage (:attr:`CauseKind.UNRECORDED`).

    Parameters
    ----------
    old, new
        The two revisions; either may be the workspace.
    path
        The result, relative to the project.
    before_path
        What it was called in the old revision, where it was renamed.

    Raises
    ------
    MetadataError
        A dvc.lock is damaged.
    """
    search = new.once(f"causes since {id(old)}", lambda _: Search(Lineage(old), Lineage(new)))
    return search.of(path, before_path)


class Search:
    """The causes of results between two revisions, each result looked at once.

    Parameters
    ----------
    old, new
        The two revisions.
    """

    def __init__(self, old: Lineage, new: Lineage) -> None:
        self.old = old
        self.new = new
        self._found: dict[PurePosixPath, tuple[Cause, ...]] = {}

    def of(self, path: PurePosixPath, before_path: PurePosixPath | None = None) -> tuple[Cause, ...]:
        """Return the causes of one result, as :func:`causes`."""
        if path not in self._found:
            self._found[path] = ()  # of a cycle, which DVC does not allow, nothing is known
            self._found[path] = _in_order(self._search(path, before_path or path))
        return self._found[path]

    def _search(self, path: PurePosixPath, former: PurePosixPath) -> list[Cause]:
        if not self._changed(path, former):
            return []
        stages = self.old.stage(former), self.new.stage(path)
        found = list(self._of_stage(stages[0], stages[1], path, former)) if stages[0] and stages[1] else []
        if not found:
            found = list(self._of_provenance(path, former))
        if not found and stages[0] and stages[1]:
            # what is only written in another way is named when nothing else is left
            found = list(key_causes(self.old, self.new, stages[0], stages[1], Part(path), spelling=True))
        if not found and self._numbers_differ(path, former):
            recorded = [True if stage else None for stage in stages]
            found = [
                Cause(CauseKind.NONE, str(path))
                if recorded[0] == recorded[1]
                else Cause(CauseKind.UNRECORDED, str(path), before=recorded[0], after=recorded[1])
            ]
        return found

    def _changed(self, path: PurePosixPath, former: PurePosixPath) -> bool:
        """Say whether a result is there in both revisions, computed, and another one."""
        sides = ((self.old, former), (self.new, path))
        computed = [side.stage(name) is not None or side.provenance(name) is not None for side, name in sides]
        texts = [side.own_text(name) for side, name in sides]
        return all(computed) and (self.old.md5(former) != self.new.md5(path) or texts[0] != texts[1])

    def _numbers_differ(self, path: PurePosixPath, former: PurePosixPath) -> bool:
        digests = [side.digests(name) for side, name in ((self.old, former), (self.new, path))]
        if all(digests):
            return digests[0] != digests[1]
        return self.old.md5(former) != self.new.md5(path)

    def _of_stage(
        self, before: LockedStage, after: LockedStage, path: PurePosixPath, former: PurePosixPath
    ) -> Iterator[Cause]:
        part = Part.of(self.old, self.new, before, after, path)
        yield from key_causes(self.old, self.new, before, after, part)
        yield from (self._input(path) for path in _others_in_place(before, after))
        renamed = dict(_moved(before, after))
        for dep in dict.fromkeys((*before.deps, *after.deps)):
            if before.deps.get(dep) != after.deps.get(dep) and dep not in renamed:
                yield from self._of_input(dep, before, after)
        yield from version_cause(self.old.provenance(former), self.new.provenance(path))
        yield from command_cause(before, after)

    def _of_input(self, dep: PurePosixPath, before: LockedStage, after: LockedStage) -> Iterator[Cause]:
        md5s = before.deps.get(dep), after.deps.get(dep)
        if None in md5s:
            yield Cause(CauseKind.INPUT, str(dep), after="now read" if md5s[0] is None else "no longer read")
            return
        dep = data_path(dep)  # a sidecar stands for a result that is read in place
        stage = self.new.stage(dep)
        if stage is not None or self.new.provenance(dep) is not None:
            upstream = self.of(dep)
            name = stage_address(stage.name, stage.folder) if stage is not None else str(dep)
            if upstream:
                yield from (replace(cause, through=(*cause.through, name)) for cause in upstream)
                return
        yield from script_causes(self.old, self.new, dep, md5s) or [self._input(dep)]

    def _input(self, path: PurePosixPath) -> Cause:
        return Cause(CauseKind.INPUT, str(path), after=_what(self.old.digests(path), self.new.digests(path)))

    def _of_provenance(self, path: PurePosixPath, former: PurePosixPath) -> Iterator[Cause]:
        """Yield the causes of a result that was computed by hand, as its sidecar tells."""
        for cause in provenance_causes(self.old, self.new, path, former):
            upstream = self.of(PurePosixPath(cause.where)) if cause.kind is CauseKind.INPUT else ()
            yield from (replace(one, through=(*one.through, cause.where)) for one in upstream) if upstream else (cause,)


def _others_in_place(before: LockedStage, after: LockedStage) -> Iterator[PurePosixPath]:
    """Yield the raw data that a stage reads in place and of which other bytes, or other numbers, are recorded."""
    for file, keys in after.params.items():
        then = before.params.get(file, {})
        known = [key for key in POINTER_KEYS if key in keys and key in then]
        if file.name.endswith(SUFFIX) and any(keys[key] != then[key] for key in known):
            yield data_path(file)


def _moved(before: LockedStage, after: LockedStage) -> Iterator[tuple[PurePosixPath, PurePosixPath]]:
    """Yield the inputs that have the same bytes under another name, each with the other name."""
    gone = {md5: dep for dep, md5 in before.deps.items() if dep not in after.deps and md5}
    for dep, md5 in after.deps.items():
        if dep not in before.deps and md5 in gone:
            yield dep, gone[md5]
            yield gone[md5], dep


def _what(before: dict[str, str], after: dict[str, str]) -> str | None:
    """Return in a word what differs of an input, as far as the sidecars tell."""
    if not (before and after):
        return None
    return "encoding only" if before == after else "values"


def _in_order(found: Iterable[Cause]) -> tuple[Cause, ...]:
    """Return causes once each, by the shortest way; direct ones first."""
    kept: dict[tuple[str, str, str], Cause] = {}
    for cause in sorted(found, key=lambda cause: (len(cause.through), _ORDER.index(cause.kind))):
        kept.setdefault((str(cause.kind), cause.where, cause.key), cause)
    return tuple(kept.values())
