"""``python -m benchmarks.faults``: transfers killed or frozen at random points, many times, on every kind of storage.

Each trial of a row begins a push (or a pull), kills the server (or the client) at a random point of it, starts the
server again, and gives the same command once more. Then every object is compared with its md5, read from the storage
itself. What was sent more than once is counted on the line between them.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE.parent)]

from moving_places import KINDS, Moved, Place, begin, damaged, end, place, project, wait_for_bytes  # noqa: E402
from own_machine import own_machine  # noqa: E402

#: Files of the dataset: many small ones, and a large one; on S3 so large that it is sent in parts.
SIZES = {"": [128 << 10] * 24 + [16 << 20], "s3": [128 << 10] * 24 + [72 << 20]}
#: Megabits a second of the line.
WIDTH = 400
#: Seconds that a silent server is waited for in the trials with a frozen one.
PATIENCE = 2.0


@dataclass
class Row:
    """What came of the trials of one kind."""

    kind: str
    work: str
    victim: str
    trials: int = 0
    hit: int = 0
    complete: int = 0
    half: int = 0
    twice: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=20, help="of each row")
    parser.add_argument("--kinds", default=",".join(KINDS), help=f"of {','.join(KINDS)}")
    parser.add_argument("--rows", default="", help="only these, as push:client,pull:server,push:frozen")
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    random.seed(options.seed)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="emdvc-faults-") as name, own_machine(Path(name) / "machine"):
        for kind in options.kinds.split(","):
            moved = project(Path(name) / kind, SIZES.get(kind, SIZES[""]))
            with _s3(kind, Path(name)) as ceph, place(kind, mbit=WIDTH, ceph=ceph) as where:
                rows += _kind(where, moved, options.trials, options.rows.split(",") if options.rows else [])
    print(_table(rows))


def _kind(where: Place, moved: Moved, trials: int, only: list[str]) -> list[Row]:
    where.write_settings(moved.folder)
    where.watched = moved.cache
    kept = moved.contents()
    rows = []
    victims = ("client",) if where.kind == "folder" else ("server", "client")
    for work in ("push", "pull"):
        for victim in victims:
            if only and f"{work}:{victim}" not in only:
                continue
            if work == "pull" and not where.contents():
                assert end(begin(["push"], moved.folder, where.env))[0] == 0
            row = Row(where.kind, work, victim)
            for _ in range(trials):
                where.clear() if work == "push" else moved.empty()
                _trial(row, where, moved, kept)
            rows.append(row)
            print(*_lines([row]), file=sys.stderr, flush=True)
    if where.kind != "folder" and (not only or "push:frozen" in only):
        row = Row(where.kind, "push", "frozen server")
        for _ in range(trials):
            where.clear()
            _frozen(row, where, moved, kept)
        rows.append(row)
        print(*_lines([row]), file=sys.stderr, flush=True)
    return rows


def _trial(row: Row, where: Place, moved: Moved, kept: dict[str, bytes]) -> None:
    target = moved.contents if row.work == "pull" else where.contents
    size = sum(map(len, kept.values()))
    at = where.moved()
    process = begin([row.work], moved.folder, where.env)
    if wait_for_bytes(where, at + round(size * random.uniform(0.02, 0.95)), process):
        row.hit += 1
    if row.victim == "client":
        process.kill()
    else:
        where.kill()
        time.sleep(random.uniform(0.1, 1.0))
        where.start()
    end(process)
    row.half += bool(damaged(target()))
    left = _left(where) if row.work == "push" else 0
    status, said = end(begin([row.work], moved.folder, where.env))
    row.trials += 1
    if status == 0 and target() == kept:
        row.complete += 1
    else:
        print(f"{row}: {said}", file=sys.stderr)
    row.twice.append(max(0, where.moved() - at - size) if where.line is not None else left)


def _left(where: Place) -> int:
    """Return the bytes that a killed client has left in a folder and that are not gone on with: of the small files."""
    if where.kind != "folder" or where.store is None:
        return 0
    parts = where.store.glob("emdvc-tmp/*.part")
    return sum(path.stat().st_size for path in parts if "." not in path.stem)


def _frozen(row: Row, where: Place, moved: Moved, kept: dict[str, bytes]) -> None:
    at, size = where.moved(), sum(map(len, kept.values()))
    process = begin(["push"], moved.folder, {**where.env, "EMDVC_PATIENCE": str(PATIENCE)})
    row.hit += wait_for_bytes(where, at + round(size * random.uniform(0.02, 0.8)), process)
    where.freeze()
    began = time.monotonic()
    status, said = end(process)
    row.seconds.append(time.monotonic() - began)
    where.thaw()
    named = status == 2 and "EM-REMOTE-SILENT" in said
    status, again = end(begin(["push"], moved.folder, where.env))
    row.trials += 1
    row.half += bool(damaged(where.contents()))
    if named and status == 0 and where.contents() == kept:
        row.complete += 1
    else:
        print(f"{row}: {said}\n{again}", file=sys.stderr)


@contextmanager
def _s3(kind: str, folder: Path) -> Iterator[object]:
    from s3_servers import CephS3, _free_port

    if kind != "s3":
        yield None
        return
    (folder / "ceph").mkdir()
    server = CephS3(folder / "ceph", _free_port())
    try:
        server.start()
        yield server
    finally:
        server.end()


def _table(rows: list[Row]) -> str:
    names = "storage|what|killed or frozen|trials|in the midst|whole after one more try|half objects"
    names = f"{names}|sent twice, median|at most|error after"
    head = [f"| {names.replace('|', ' | ')} |", "| --- | --- | --- |" + " ---: |" * 7]
    return "\n".join([*head, *_lines(rows)])


def _lines(rows: list[Row]) -> list[str]:
    lines = []
    for row in rows:
        twice = sorted(row.twice)
        median, most = (f"{n / 1e6:.1f} MB" for n in (twice[len(twice) // 2], twice[-1])) if twice else ("", "")
        after = f"{min(row.seconds):.1f} to {max(row.seconds):.1f} s" if row.seconds else ""
        cells = [row.kind, row.work, row.victim, row.trials, row.hit, row.complete, row.half, median, most, after]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


if __name__ == "__main__":
    main()
