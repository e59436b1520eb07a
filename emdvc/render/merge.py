"""What came of a merge, on one screen: what came in, what was merged, what is asked, and the next command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from emdvc.history.change import Changes, KeyChange
from emdvc.history.merging.joining.merge_branch import Joined
from emdvc.render import columns

#: Lines of one heading; --json has them all.
_MOST = 12
_LOCK = "dvc.lock"


def lines(joined: Joined) -> list[str]:
    """Return the answer as lines."""
    said = [_first(joined)]
    for heading, rows in (
        ("came in", [(one.short, f"{one.author}: {one.subject}") for one in joined.commits]),
        ("changed here" if not joined.dry_run else "would change here", _changes(joined.changes)),
        ("merged by itself", _notes(joined)),
        ("asked", _asked(joined)),
        ("data", _data(joined)),
    ):
        if rows:
            shown = rows[:_MOST] if heading != "asked" else rows
            said += [heading, *columns.columns(shown)]
            if len(rows) > len(shown):
                said.append(f"  and {len(rows) - len(shown)} more")
    return [*said, *_next(joined)]


def _first(joined: Joined) -> str:
    into = joined.into or "the commit that is checked out"
    here = f" ({joined.commit.short})" if joined.commit is not None else ""
    match joined.how:
        case "already":
            return f"{joined.branch} is merged already: {into} has all of it"
        case "aborted":
            return f"the merge of {joined.branch} was aborted: {into} is as it was{here}"
        case "conflicts":
            many = len(joined.unmerged)
            would = "would have" if joined.dry_run else "has"
            return f"merging {joined.branch} into {into} {would} conflicts in {many} file{'s' if many != 1 else ''}"
        case "fast-forward":
            was = "would be moved" if joined.dry_run else "moved"
            return (
                f"{into} {was} forward to {joined.branch}{here}: nothing was committed here since, so no merge commit"
            )
    return (
        f"{joined.branch} can be merged into {into}" if joined.dry_run else f"merged {joined.branch} into {into}{here}"
    )


def _changes(changes: Changes) -> list[tuple[str, str]]:
    rows = [("data", f"{one.path} {one.how}") for one in changes.raw]
    rows += [("metadata", f"{one.where}: {one.key} {one}") for one in changes.metadata]
    rows += [("parameter", f"{one.key} {_parameter(one)}") for one in changes.parameters]
    rows += [("stage", f"{one.path} {one.how}") for one in changes.pipeline]
    rows += [("result", f"{one.path} {one.how}") for one in changes.results]
    rows += [("file", f"{one.path} {one.how}") for one in changes.files]
    return rows


def _parameter(change: KeyChange) -> str:
    if change.old is None:
        return f"set to {change.new}"
    return f"removed (was {change.old})" if change.new is None else str(change)


def _notes(joined: Joined) -> list[tuple[str, str]]:
    """Return what the drivers said; of a stage that is to run again once, not of each of its files."""
    locked = {stage for one in joined.told if one.path.endswith(_LOCK) for stage in one.repro}
    notes = [(one.path, text) for one in joined.told for text in one.notes]
    return [
        (path, text.removeprefix(f"{path}: "))  # most notes begin with what they speak of
        for path, text in notes
        if path.endswith(_LOCK) or text.rpartition("dvc repro ")[2] not in locked
    ]


def _asked(joined: Joined) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for one in joined.told:
        for conflict in one.conflicts:
            sides = [
                f"{side} {conflict[side]}" for side in ("base", "ours", "theirs") if conflict.get(side) is not None
            ]
            rows.append((one.path, str(conflict.get("key") or ""), "; ".join(sides) or str(conflict.get("why") or "")))
    # no column for keys where none is asked about
    return rows if any(key for _, key, _ in rows) else [(path, text) for path, _, text in rows]


def _data(joined: Joined) -> list[tuple[str, str]]:
    data = joined.data
    later = "emdvc merge --continue puts it here" if joined.unmerged else "emdvc pull {}"
    rows = [(path, "here") for path in data.placed]
    rows += [(path, "removed: nothing records it any more; the cache keeps it") for path in data.removed]
    rows += [(path, f"NOT HERE: {why}; {later.format(path)}") for path, why in data.lacking]
    return rows + [(path, f"not fetched: emdvc pull {path}") for path in data.left]


def _next(joined: Joined) -> list[str]:
    if joined.dry_run:
        return ["dry run: nothing was changed"]
    if joined.how == "conflicts":
        first = joined.unmerged[0]
        return [
            f"next: emdvc merge --resolve {first} ours|theirs|base|edit (or edit it and git add it), then",
            "      emdvc merge --continue; or emdvc merge --abort",
        ]
    return [f"next: dvc repro {' '.join(joined.repro)}"] if joined.repro else []


def as_dict(joined: Joined) -> dict[str, Any]:
    """Return the answer as plain values, for ``--json``."""
    data, changes = joined.data, joined.changes
    return {
        "branch": joined.branch,
        "into": joined.into,
        "how": joined.how,
        "commit": joined.commit.oid if joined.commit else None,
        "commits": [
            {"oid": one.oid, "short": one.short, "author": one.author, "date": one.date, "subject": one.subject}
            for one in joined.commits
        ],
        "changed": {
            "raw": _dicts(changes.raw),
            "metadata": _dicts(changes.metadata),
            "parameters": _dicts(changes.parameters),
            "stages": _dicts(changes.pipeline),
            "results": _dicts(changes.results),
            "files": _dicts(changes.files),
        },
        "files": [
            {
                "path": one.path,
                "notes": list(one.notes),
                "repro": list(one.repro),
                "conflicts": _conflicts(one.conflicts),
            }
            for one in joined.told
        ],
        "unmerged": list(joined.unmerged),
        "repro": list(joined.repro),
        "data": {
            "placed": list(data.placed),
            "removed": list(data.removed),
            "lacking": [{"path": path, "why": why} for path, why in data.lacking],
            "left": list(data.left),
        },
        "notes": list(joined.complaints),
        "dry_run": joined.dry_run,
    }


def _dicts(changes: Sequence[Any]) -> list[dict[str, Any]]:
    return [change.to_dict() for change in changes]


def _conflicts(conflicts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{name: one.get(name) for name in ("key", "base", "ours", "theirs", "why")} for one in conflicts]
