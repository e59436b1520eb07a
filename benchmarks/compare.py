"""emdvc, NumPy and the peers in turn: medians of seconds and ratios."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from benchmarks import ours
from benchmarks.data import Data
from benchmarks.environments import HERE, PEERS, Conversation, Peer, Skipped, conversation, python_of
from benchmarks.numpy_forms import forms
from benchmarks.operations import OPERATIONS, Disagreement, Operation, bytes_of, check

#: Rows that results are compared for, and that say how long the rest would take.
FEW = 2
#: Seconds that one run may take; where it would take longer, only some rows are measured.
PATIENCE = 4.0


@dataclass
class Compared:
    """What was measured of one operation.

    Parameters
    ----------
    operation
        Which.
    speed
        emdvc's bytes of counts per second: the median over all runs.
    ratios
        How many times as fast emdvc is, by peer, from runs in turn.
    speeds
        Bytes of counts per second, by peer.
    remarks
        How a peer's result agrees, or why it is not compared.
    seconds
        Every run of each: the numbers behind all this.
    """

    operation: Operation
    speed: float = 0.0
    ratios: dict[str, float] = field(default_factory=dict)
    speeds: dict[str, float] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Session:
    """One measurement of all operations.

    Parameters
    ----------
    data
        The phantoms.
    threads
        Number of threads.
    runs
        Repetitions, after one that is not counted.
    """

    data: Data
    threads: int
    runs: int

    def rows(self, operation: Operation) -> int:
        """Return how many rows of its data are measured."""
        total = int(self.data.phantoms[operation.source].shape[0])
        return max(2, round(total * operation.share) // 2 * 2)


def compare(session: Session, peers: Sequence[str], names: Sequence[str]) -> tuple[list[Compared], dict[str, Any]]:
    """Measure operations against NumPy and some peers, and return them with what is known of the peers.

    Parameters
    ----------
    session
        Data, threads and repetitions.
    peers
        Names of the packages.
    names
        Names of the operations.
    """
    found = {operation.name: Compared(operation) for operation in OPERATIONS if operation.name in names}
    for source in dict.fromkeys(one.operation.source for one in found.values()):
        counts = session.data.array(source)
        made = forms()
        for one in found.values():
            if one.operation.source == source:
                _against_numpy(session, one, counts, made.get(one.operation.name))
    told: dict[str, Any] = {}
    for peer in PEERS:
        if peer.name not in peers:
            continue
        try:
            script = HERE / "peers" / f"run_{peer.key}.py"
            with conversation(python_of(peer), script, session.data.case) as asked:
                told[peer.name] = {"versions": asked.versions}
                _against(session, found, peer, asked)
        except Skipped as error:
            told[peer.name] = {"skipped": str(error), **told.get(peer.name, {})}
            print(f"{peer.name}: skipped: {error}", file=sys.stderr, flush=True)
    return list(found.values()), told


def _against_numpy(session: Session, one: Compared, counts: Any, form: Any) -> None:
    operation, rows = one.operation, session.rows(one.operation)
    part = counts[:rows]
    phantom = session.data.phantoms[operation.source]
    run = ours.operation(operation.name, ours.as_dataset(phantom, part), session.threads)
    runs: dict[str, Callable[[], Any]] = {"emdvc": run}
    sizes = {"emdvc": bytes_of(operation, rows, counts.shape)}
    if form is not None:
        few = counts[:FEW]
        mine = ours.operation(operation.name, ours.as_dataset(phantom, few), session.threads)()
        one.remarks["NumPy"] = check(operation, mine, form(few)(), phantom)
        some = _affordable(_timed(form(few)), FEW, rows)
        one.remarks["NumPy"] += _part(some, rows)
        runs["NumPy"], sizes["NumPy"] = form(counts[:some]), bytes_of(operation, some, counts.shape)
    times = _in_turn({name: partial(_timed, run) for name, run in runs.items()}, session.runs)
    _note(one, times, sizes)
    one.speed = one.speeds.pop("emdvc")
    print(f"{operation.name}: emdvc {one.speed / 1e9:.3f} GB/s {_told(one)}", file=sys.stderr, flush=True)


def _against(session: Session, found: Mapping[str, Compared], peer: Peer, asked: Conversation) -> None:
    for one in found.values():
        operation = one.operation
        if operation.name not in asked.operations:
            continue
        counts, phantom = session.data.array(operation.source), session.data.phantoms[operation.source]
        total = session.rows(operation)
        few = min(FEW, total)
        try:
            first, theirs = asked.result(operation.name, few)
            few_counts = ours.as_dataset(phantom, counts[:few])
            mine = ours.operation(operation.name, few_counts, session.threads)()
            one.remarks[peer.name] = check(operation, mine, theirs, phantom)
            # what takes so long has not spent it on warming up
            slow = first > PATIENCE
            rows = _affordable(first if slow else asked.seconds(operation.name, few), few, total)
            run = ours.operation(operation.name, ours.as_dataset(phantom, counts[:total]), session.threads)
            times = _in_turn(
                {
                    "emdvc": partial(_timed, run),
                    peer.name: partial(asked.seconds, operation.name, rows),
                },
                1 if slow else session.runs,
            )
        except (Skipped, Disagreement) as error:
            one.remarks[peer.name] = f"not compared: {error}"
            print(f"{operation.name}: {peer.name}: not compared: {error}", file=sys.stderr, flush=True)
            continue
        sizes = {"emdvc": bytes_of(operation, total, counts.shape), peer.name: bytes_of(operation, rows, counts.shape)}
        one.remarks[peer.name] += _part(rows, total) + (", one run" if slow else "")
        _note(one, times, sizes)
        one.speeds.pop("emdvc")
        print(f"{operation.name}: {_told(one)}", file=sys.stderr, flush=True)


def _affordable(seconds: float, few: int, total: int) -> int:
    """Return how many rows a run may take, after one over a few of them."""
    if seconds * total / few <= PATIENCE:
        return total
    return min(total, max(few, int(few * PATIENCE / seconds) // few * few))


def _part(rows: int, total: int) -> str:
    return f"; on {rows} of {total} rows" if rows < total else ""


def _note(one: Compared, times: Mapping[str, list[float]], sizes: Mapping[str, int]) -> None:
    speeds = {name: sizes[name] / statistics.median(values) for name, values in times.items()}
    for name, speed in speeds.items():
        one.speeds[name] = speed
        if name != "emdvc":
            one.ratios[name] = speeds["emdvc"] / speed
            one.seconds[name] = times[name]
            one.seconds[f"emdvc beside {name}"] = times["emdvc"]
    if len(times) == 1:
        one.seconds["emdvc"] = times["emdvc"]


def _in_turn(runs: Mapping[str, Callable[[], float]], repetitions: int) -> dict[str, list[float]]:
    """Return the seconds of each: all run once to warm up, then take turns."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(repetitions + 1):
        for name, run in runs.items():
            seconds = run()
            if turn:
                times[name].append(seconds)
    return times


def _timed(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _told(one: Compared) -> str:
    return ", ".join(f"{ratio:.1f} x {name}" for name, ratio in one.ratios.items())
