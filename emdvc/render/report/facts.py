"""What a report says in words, the same on a page and in Markdown: dates, people, versions, sums over the project."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from emdvc.compare.extent import field_of_view
from emdvc.compare.report.state import DatasetState, Report, Verification
from emdvc.history.run_records import RunRecord
from emdvc.render import columns as text
from emdvc.render import sheet

#: Names of packages as their authors write them.
_NAMES = {"python": "Python", "numpy": "NumPy", "dvc": "DVC", "numba": "Numba"}
_FIRST = ("emdvc", "python", "numpy", "numba", "dvc")


def date(iso: str) -> str:
    """Return a time as ``2026-11-21 18:16 UTC``; of another zone with its distance from UTC."""
    try:
        when = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    zone = when.strftime("%z")
    shown = "UTC" if zone in ("+0000", "") else f"{zone[:3]}:{zone[3:]}"
    return f"{when:%Y-%m-%d %H:%M} {shown}"


def duration(seconds: float) -> str:
    """Return a time span as ``2.4 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def counted(count: int, word: str, plural: str = "") -> str:
    """Return a number with its noun."""
    return f"{count} {word if count == 1 else plural or word + 's'}"


def data_size(dataset: DatasetState) -> str:
    """Return how large a dataset is on disk; empty where nothing says so."""
    record = dataset.recorded
    if record is None or record.size is None:
        return ""
    return text.size(record.size) + (f" in {counted(record.files, 'file')}" if record.files else "")


def shape(dataset: DatasetState) -> str:
    """Return shape and number type of the main array, as in ``32 x 32 x 128 x 128 uint16``."""
    info = dataset.sidecar.variables.get(dataset.sidecar.main)
    return f"{text.shape(info.shape)} {info.dtype}" if info is not None else ""


def view(dataset: DatasetState) -> str:
    """Return what the main array's axes cover, as in ``y, x 16 nm; ky, kx 2.48 1/Å``; empty where uncalibrated."""
    shown: dict[str, list[str]] = {}
    for axis in sheet.ordered_axes(dataset.sidecar):
        covered = field_of_view(axis)
        if covered is not None:
            shown.setdefault(f"{covered:.4g}", []).append(axis.dim)
    return "; ".join(f"{', '.join(dims)} {covered}" for covered, dims in shown.items())


def versions(record: RunRecord) -> str:
    """Return the versions of a run: ``emdvc 0.1.0, Python 3.11.7, ...``."""
    names = [name for name in _FIRST if name in record.versions]
    names += sorted(set(record.versions) - set(names))
    return ", ".join(f"{_NAMES.get(name, name)} {record.versions[name]}" for name in names)


def machine(record: RunRecord) -> str:
    """Return system and processor of a run."""
    return ", ".join(part for part in (record.system, record.processor) if part)


def run_rows(report: Report) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield result, step, who and when, versions, machine, of every result; where no run is noted, what git knows."""
    for dataset in report.datasets:
        if dataset.kind != "result":
            continue
        provenance, path = dataset.sidecar.provenance, str(dataset.path)
        version = provenance.get("version")
        step = str(provenance.get("step") or "") + (f" {version}" if version is not None else "")
        if dataset.runs:
            last = dataset.runs[0]
            who = f"{last.who or 'someone'}, {date(last.when)}, in {duration(last.seconds)}"
            again = len(dataset.runs) - 1
            if again:
                who += f"; {counted(again, 'earlier run')} gave the same numbers"
            yield path, step, who, versions(last), machine(last)
        else:
            yield path, step, f"not recorded; {brought(dataset)}", "", ""


def brought(dataset: DatasetState) -> str:
    """Return who committed what a dataset is now."""
    commit = dataset.commit
    if commit is None:
        return "the history that is here does not tell who committed it"
    return f"committed by {commit.author}, {date(commit.date)}, {commit.short}"


def verification(found: Verification) -> str:
    """Return the sentence about a verification."""
    many = counted(len(found.stages or {}), "stage")
    what = f"{many} computed again" if found.scope == "stages" else "Every byte read again"
    result = "all was as recorded" if found.ok else "NOT all was as recorded"
    where = "at this commit" if not found.later else f"{counted(found.later, 'commit')} before this one"
    if found.later:
        where += f", at {found.commit[:7]}"
    by = "".join([f" by {found.who}" if found.who else "", f", {date(found.when)}" if found.when else ""])
    version = f", emdvc {found.version}" if found.version else ""
    return f"{what} {where}{by}{version}: {result}."


def not_verified() -> str:
    """Return the sentence where nobody has verified."""
    return "Nobody has noted a verification of this state (emdvc verify)."


def stage_verdict(report: Report, dataset: DatasetState) -> str:
    """Return what the last verification found for a result that is still the same; empty without one."""
    for found in report.verified:
        if found.scope == "stages" and dataset.path in found.same and dataset.stage is not None:
            return (found.stages or {}).get(dataset.stage, "")
    return ""


def at_a_glance(report: Report) -> list[tuple[str, str]]:
    """Return the facts that stand first."""
    commit = report.commit
    raw = [one for one in report.datasets if one.kind == "raw"]
    results = [one for one in report.datasets if one.kind != "raw"]
    size = sum(one.recorded.size or 0 for one in raw if one.recorded is not None)
    waiting = [stage.name for stage in report.stages if not stage.ran]
    pairs = [
        ("commit", f"{report.called(commit)} “{commit.subject}”, by {commit.author}, {date(commit.date)}"),
        ("branch", report.branch or ""),
        ("raw data", f"{counted(len(raw), 'dataset')}" + (f", {text.size(size)}" if size else "")),
        ("results", f"{counted(len(results), 'dataset')} of {counted(len(report.stages), 'stage')}"),
        ("not run yet", ", ".join(waiting)),
        ("reproduced", " ".join(map(verification, report.verified)) or not_verified()),
    ]
    if report.before is not None and report.difference is not None:
        before, many = report.before, len(report.difference.datasets)
        changed = f"{counted(many, 'dataset')} of {report.difference.compared}" if many else "no dataset"
        pairs.insert(
            2, ("compared with", f"{report.called(before)} “{before.subject}”, {date(before.date)}: {changed} changed")
        )
    return [(name, value) for name, value in pairs if value]
