"""The history of a dataset for a reader: a line for each commit, what changed most first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from emdvc.compare.log.gather import Log, LogEntry
from emdvc.compare.log.verified import Verified
from emdvc.compare.record import KeyChange
from emdvc.compare.verdict import Verdict
from emdvc.render import columns as text
from emdvc.render.columns import columns
from emdvc.render.difference.causes import cause_line
from emdvc.render.difference.keys import axis_lines, figures, key_change, variable_parts
from emdvc.render.sheet import what as kind_of

if TYPE_CHECKING:
    from emdvc.compare.log.last import LastChange


def as_text(log: Log) -> str:
    """Return the history, a line for each commit: id, date, author, verdict, what changed, whether it was verified."""
    rows = [
        (entry.commit.short, date(entry.commit.date), text.shortened(entry.commit.author), word(entry), sentence(entry))
        for entry in log.entries
    ]
    return "\n".join(columns(rows, indent=""))


def as_dict(log: Log) -> dict[str, Any]:
    """Return the history as plain values, for ``--json``."""
    return {
        "path": str(log.path),
        "revision": log.revision,
        "entries": [{**entry.to_dict(), "what": what(entry)} for entry in log.entries],
        "more": log.more,
        "uncommitted": log.uncommitted,
    }


def last_rows(last: LastChange) -> list[tuple[str, str]]:
    """Return what a data sheet says of the last change: when, who, how much it mattered, what; and who verified it."""
    rows = []
    if last.uncommitted:
        rows.append(("workspace", "not committed yet"))
    entry = last.entry
    if entry is not None:
        parts = filter(None, (word(entry), what(entry)))
        when = f"{date(entry.commit.date)}, {text.shortened(entry.commit.author)}"
        rows.append(("last change", f"{when}: {', '.join(parts)}  ({entry.commit.short})"))
    if entry is not None and entry.verified is not None:
        found = entry.verified
        by = text.shortened(", ".join(filter(None, (date(found.when), found.who))))
        rows.append(("verified" if found.ok else "NOT REPRODUCED", f"{by}: {found.verdict}".removeprefix(": ")))
    return rows


def last_dict(last: LastChange) -> dict[str, Any]:
    """Return the last change as plain values, for ``--json``; of one that is not committed there is no commit."""
    keys = ("commit", "short", "date", "author", "subject", "status", "verdict", "what", "verified")
    entry = last.entry
    found = {**entry.to_dict(), "what": what(entry)} if entry is not None else {}
    return {"uncommitted": last.uncommitted, **{key: found.get(key) for key in keys}}


def date(stamp: str) -> str:
    """Return a time for a reader, in the time zone of who made the change: ``2026-11-21 18:24``."""
    return stamp[:16].replace("T", " ")


def word(entry: LogEntry) -> str:
    """Return the verdict, or that the dataset came, went or was renamed."""
    status = entry.difference.status
    if status == "changed" or (status == "renamed" and entry.verdict not in (Verdict.METADATA, Verdict.IDENTICAL)):
        return str(entry.verdict)
    return status


def sentence(entry: LogEntry) -> str:
    """Return what changed, why, and whether it was computed again."""
    parts = [what(entry)]
    causes = entry.difference.causes
    if causes:
        others = len(causes) - 1
        parts.append(
            f"because {_printable(cause_line(causes[0]).replace('  (', ' ('))}"
            + (f" and {others} more" if others else "")
        )
    if entry.verified is not None:
        parts.append(mark(entry.verified))
    return "; ".join(filter(None, parts))


def mark(verified: Verified) -> str:
    """Return what came of computing a result again, as in ``[verified: bit-identical]``."""
    return f"[{'verified' if verified.ok else 'NOT REPRODUCED'}: {verified.verdict}]"


def what(entry: LogEntry) -> str:
    """Return in one line what a commit changed, the strongest first."""
    found = entry.difference
    if found.status == "added":
        return _new(entry)
    if found.status == "removed":
        return ""
    parts = [f"renamed from {text.shortened(str(found.before_path))}"] if found.before_path is not None else []
    changes = _structure(entry) or _values(entry) or _calibration(entry) or _metadata(entry)
    if entry.verdict is Verdict.ENCODING:
        changes = ["other bytes, the same numbers" + _chunks(entry, ": {} of {} chunks")]
    if not (changes or parts):
        changes = ["the sidecar is written in another way"]
    return _printable("; ".join([*parts, *_shortened(changes)]).replace("  (", " ("))


def _printable(line: str) -> str:
    """Return a line without anything that a terminal would obey: a sidecar may hold any text."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in line)


def _shortened(changes: Sequence[str]) -> list[str]:
    """Return the first of several changes, and how many more there are."""
    return [changes[0] + (f" and {len(changes) - 1} more" if len(changes) > 1 else "")] if changes else []


def _new(entry: LogEntry) -> str:
    sidecar = entry.after.sidecar
    info = sidecar.variables.get(sidecar.main) if sidecar is not None else None
    if sidecar is None or info is None:
        return ""
    return f"{kind_of(sidecar)}, {text.shape(info.shape)} {info.dtype}"


def _structure(entry: LogEntry) -> list[str]:
    if entry.verdict is not Verdict.STRUCTURE:
        return []
    changes = [
        f"{change.name}: {'; '.join(variable_parts(change))}"
        for change in entry.difference.variables
        if change.verdict is Verdict.STRUCTURE
    ]
    axes = [axis for axis in entry.difference.axes if axis.verdict is Verdict.STRUCTURE]
    return changes or axis_lines(axes)


def _values(entry: LogEntry) -> list[str]:
    if entry.verdict is not Verdict.VALUES:
        return []
    chunked = _chunks(entry, "{} of {} chunks")
    changed = [change.name for change in entry.difference.variables if change.verdict is Verdict.VALUES]
    figure = [
        line
        for name in changed
        for line in figures([one for one in entry.difference.statistics if one.variable == name])[:1]
    ]
    parts = [part for part in (chunked, *figure[:1]) if part]
    return ["; ".join(parts) or "the numbers differ"]


def _chunks(entry: LogEntry, form: str) -> str:
    # one file holds all numbers: that it changed is known
    many = entry.chunks is not None and entry.chunks.total > 1 and entry.chunks.changed > 0
    return form.format(entry.chunks.changed, entry.chunks.total) if many and entry.chunks is not None else ""


def _calibration(entry: LogEntry) -> list[str]:
    if entry.verdict is not Verdict.CALIBRATION:
        return []
    found = entry.difference
    keys = [_key(change) for change in found.record if change.verdict is Verdict.CALIBRATION]
    axes = axis_lines([axis for axis in found.axes if not axis.because and axis.verdict is Verdict.CALIBRATION])
    units = [
        f"{change.name}: {'; '.join(variable_parts(change))}"
        for change in found.variables
        if change.verdict is Verdict.CALIBRATION
    ]
    return keys + axes + units


def _metadata(entry: LogEntry) -> list[str]:
    found = entry.difference
    changes = [_key(change) for change in (*found.record, *found.provenance)]
    changes += axis_lines([axis for axis in found.axes if not axis.because])
    changes += [f"source.{_key(change)}" for change in found.source if not change.key.startswith("files")]
    changes += [f"vendor.{_key(change)}" for change in found.vendor]
    if not changes and (entry.before.text is None) != (entry.after.text is None):
        changes.append("described by a sidecar" if entry.before.text is None else "its sidecar was removed")
    return changes or [f"{one.variable}: {figures([one])[0]}" for one in found.statistics if figures([one])]


def _key(change: KeyChange) -> str:
    return f"{change.key} {key_change(change)}"
