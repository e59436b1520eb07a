"""How long three lists of files take to be merged, each read and the result written: emdvc beside DVC's own merge."""

from __future__ import annotations

import argparse
import hashlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from emdvc.history.dvc_manifest import manifest
from emdvc.history.merging.datasets.manifests import keep_list, merge_lists

#: Seconds that 100 000 entries may take.
LIMIT = 2.0
SIDE = 320
CHANGES = 500


def lists(side: int = SIDE, changes: int = CHANGES) -> list[dict[str, str]]:
    """Return the lists of a scan of `side` x `side` chunks: base, ours and theirs, which changed other chunks."""

    def md5(*words: object) -> str:
        return hashlib.md5(repr(words).encode(), usedforsecurity=False).hexdigest()

    names = [f"counts/{y}.{x}.0.0" for y in range(side) for x in range(side)]
    base = {name: md5(name) for name in names}
    # a stride that is prime to the number of names spreads the changes
    ours = base | {names[(7919 * n) % len(names)]: md5("ours", n) for n in range(changes)}
    theirs = base | {names[(7919 * n) % len(names)]: md5("theirs", n) for n in range(changes, 2 * changes)}
    return [base, ours, theirs]


def by_emdvc(cache: Path, md5s: list[str]) -> str:
    """Merge the lists with these md5s and return the md5 of the merged one."""
    found = [manifest(cache, md5) or {} for md5 in md5s]
    merged = merge_lists(*found)
    assert not merged.undecided
    return keep_list(cache, merged.files)


def by_dvc(cache: Path, md5s: list[str]) -> str:
    """Do the same with what DVC's merge driver calls."""
    from dvc_data.hashfile.db.local import LocalHashFileDB
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.tree import merge
    from dvc_objects.fs.local import LocalFileSystem

    store = LocalHashFileDB(LocalFileSystem(), str(cache), hash_name="md5")  # type: ignore[no-untyped-call]
    base, ours, theirs = (HashInfo("md5", md5) for md5 in md5s)
    tree = merge(store, base, ours, theirs, allowed=["add", "remove", "change"])  # type: ignore[no-untyped-call]
    store.add(tree.path, tree.fs, tree.oid)
    return str(tree.oid)


def timed(work: Callable[[], str], repeats: int) -> tuple[list[float], str]:
    """Return the seconds of each repeat, and what the last one gave."""
    seconds, answer = [], ""
    for _ in range(repeats):
        start = time.perf_counter()
        answer = work()
        seconds.append(time.perf_counter() - start)
    return seconds, answer


def main(arguments: list[str] | None = None) -> int:
    """Time both; fails where they give different lists, or emdvc is slower than it may be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=SIDE, help="chunks along each side of the scan")
    parser.add_argument("--repeats", type=int, default=5)
    said = parser.parse_args(arguments)
    made = lists(said.side)
    with tempfile.TemporaryDirectory(prefix="emdvc-benchmarks-") as folder:
        # each in a cache of its own: what one wrote must not spare the other the writing
        caches = {work: Path(folder, work.__name__) for work in (by_emdvc, by_dvc)}
        md5s = {work: [keep_list(cache, files) for files in made] for work, cache in caches.items()}
        answers = {}
        for work, cache in caches.items():
            repeats = said.repeats if work is by_emdvc else max(1, said.repeats // 3)
            seconds, answers[work] = timed(lambda work=work, cache=cache: work(cache, md5s[work]), repeats)  # type: ignore[misc]
            middle = statistics.median(seconds)
            sys.stdout.write(
                f"{work.__name__:9} {len(made[0]):7} files  {middle:.3f} s  ({min(seconds):.3f} at best)\n"
            )
            if work is by_emdvc and middle > LIMIT * len(made[0]) / 100_000:
                sys.stdout.write(f"emdvc may take {LIMIT} s for 100 000 files\n")
                return 1
    if len(set(answers.values())) > 1:
        sys.stdout.write(f"the merged lists differ: {sorted(answers.values())}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
