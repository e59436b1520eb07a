"""``python -m benchmarks``: every hot step against its peers and against what the machine can do, in one run."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from benchmarks import sections
from benchmarks.compare import Session, compare
from benchmarks.data import Data, phantoms
from benchmarks.environments import HERE, PEERS
from benchmarks.operations import names
from benchmarks.status import status
from benchmarks.table import as_numbers, page
from emdvc.engine.cores import default_threads

#: Sections besides the operations.
SECTIONS: dict[str, Callable[[Session], Any]] = {
    "streamed": sections.streamed,
    "machine": sections.machine,
    "scaling": sections.scaling,
    "memory": sections.memory,
    "compilation": lambda _: sections.compiled(),
    "status": status,
}
PAGE = HERE.parent / "docs" / "explanation" / "benchmarks.md"


def main() -> int:
    """Measure what is asked for, print the page, and write it."""
    asked = _parser().parse_args()
    chosen = asked.only or ["operations", *SECTIONS]
    operations = names() if "operations" in chosen else tuple(name for name in names() if name in chosen)
    peers = () if asked.quick else tuple(asked.peers.split(",")) if asked.peers else tuple(peer.name for peer in PEERS)
    scan = asked.scan or (32 if asked.quick else 256)
    patterns, spectra = (4, 16) if asked.quick else (48, min(scan, 256))
    with tempfile.TemporaryDirectory(prefix="emdvc-benchmarks-") as temporary:
        folder = Path(asked.data or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        data = Data(folder, phantoms(scan, patterns, spectra))
        session = Session(data, asked.threads, asked.runs or (1 if asked.quick else 5))
        results = _circumstances(session)
        if operations:
            compared, results["peers"] = compare(session, peers, operations)
            _put(results, "operations", {one.operation.name: as_numbers(one) for one in compared})
        for name, measure in SECTIONS.items():
            if name in chosen:
                print(f"measuring: {name}", file=sys.stderr, flush=True)
                _put(results, name, measure(session))
    paths = _paths(asked)
    if paths is not None and asked.only and paths[1].is_file():
        results = _merged(json.loads(paths[1].read_text(encoding="utf-8")), results)
    print(page(results))
    if paths is not None:
        paths[0].write_text(page(results), encoding="utf-8")
        paths[1].write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small data, one run, no peers: that all of it works")
    parser.add_argument(
        "--only",
        action="append",
        choices=["operations", *SECTIONS, *names()],
        metavar="SECTION",
        help="a section or an operation; may be given several times; the rest of an earlier result is kept",
    )
    parser.add_argument(
        "--peers", metavar="NAMES", help=f"with commas between; default: {','.join(p.name for p in PEERS)}"
    )
    parser.add_argument("--scan", type=int, metavar="N", help="probe positions along each side; default: 256")
    parser.add_argument("--runs", type=int, metavar="N", help="repetitions of each; default: 5")
    parser.add_argument("--threads", type=int, default=default_threads(), metavar="N")
    parser.add_argument("--data", type=Path, metavar="DIR", help="keep the phantoms here for the next run")
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="where the page and the numbers go; default: docs/ and benchmarks/"
    )
    return parser


def _paths(asked: argparse.Namespace) -> tuple[Path, Path] | None:
    """Return where the page and the numbers go; a quick run has none worth keeping."""
    if asked.output is not None:
        asked.output.mkdir(parents=True, exist_ok=True)
        return asked.output / "benchmarks.md", asked.output / "results.json"
    return None if asked.quick else (PAGE, HERE / "results.json")


def _circumstances(session: Session) -> dict[str, Any]:
    shapes = {name: " x ".join(map(str, one.shape)) for name, one in session.data.phantoms.items()}
    return {
        "date": _today(),
        "versions": {
            **{name: version(name) for name in ("emdvc", "numpy", "numba", "zarr", "numcodecs")},
            "python": platform.python_version(),
        },
        "session": {
            "processors": psutil.cpu_count(),
            "memory": psutil.virtual_memory().total,
            "threads": session.threads,
            "runs": session.runs,
            "shapes": shapes,
        },
        "peers": {},
        "sections": {},
    }


def _put(results: dict[str, Any], name: str, found: Any) -> None:
    results["sections"][name] = {"date": _today(), "found": found}


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


def _merged(earlier: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    """Return earlier results with what was measured anew in their place."""
    found = {**later, "peers": {**earlier["peers"], **later["peers"]}}
    runs = min(one["session"]["runs"] for one in (earlier, later))
    found["session"] = {**later["session"], "runs": runs}
    found["sections"] = {**earlier["sections"], **later["sections"]}
    if "operations" in earlier["sections"] and "operations" in later["sections"]:
        old, new = (one["sections"]["operations"]["found"] for one in (earlier, later))
        for name, one in new.items():
            # every ratio comes from runs in turn: those of other peers hold as they are
            for kind in ("ratios", "speeds", "remarks", "seconds"):
                one[kind] = {**old.get(name, {}).get(kind, {}), **one[kind]}
        found["sections"]["operations"]["found"] = {**old, **new}
    return found


if __name__ == "__main__":
    sys.exit(main())
