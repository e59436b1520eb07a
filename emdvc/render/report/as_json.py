"""The state of a project as plain values, for ``--json``."""

from __future__ import annotations

from typing import Any

from emdvc.compare.extent import described
from emdvc.compare.report.state import DatasetState, Report
from emdvc.history.git import Commit
from emdvc.model.quantity import Quantity
from emdvc.render import sheet


def as_dict(report: Report) -> dict[str, Any]:
    """Return the report."""
    return {
        "title": report.title,
        "commit": _commit(report.commit),
        "branch": report.branch,
        "experiments": [one.to_dict() for one in report.experiments],
        "before": _commit(report.before),
        "datasets": [_dataset(dataset) for dataset in report.datasets],
        "stages": [stage.to_dict() for stage in report.stages],
        "parameters": {key: _plain(value) for key, value in report.parameters},
        "verified": [found.to_dict() for found in report.verified],
        "difference": report.difference.to_dict() if report.difference is not None else None,
        "problems": list(report.problems),
    }


def _dataset(dataset: DatasetState) -> dict[str, Any]:
    sidecar, record = dataset.sidecar, dataset.recorded
    return {
        "path": str(dataset.path),
        "kind": dataset.kind,
        "what": sheet.what(sidecar),
        "stage": dataset.stage,
        "md5": record.md5 if record is not None else None,
        "bytes": record.size if record is not None else None,
        "main": sidecar.main,
        "variables": {name: info.to_dict() for name, info in sidecar.variables.items()},
        "axes": {dim: described(axis) for dim, axis in sidecar.axes.items()},
        "record": sidecar.record,
        "provenance": sidecar.provenance,
        "statistics": sidecar.statistics,
        "picture": str(dataset.picture) if dataset.picture is not None else None,
        "runs": [run.to_dict() for run in dataset.runs],
        "commit": _commit(dataset.commit),
    }


def _commit(commit: Commit | None) -> dict[str, str] | None:
    if commit is None:
        return None
    return {"id": commit.oid, "subject": commit.subject, "author": commit.author, "date": commit.date}


def _plain(value: Any) -> Any:
    return value.to_dict() if isinstance(value, Quantity) else value
