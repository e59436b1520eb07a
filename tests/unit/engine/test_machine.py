"""What a run takes of the machine: processors, memory, locks, and its life under the DVC that started it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import every_output as every
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emdvc.engine import cores, lifeline, memory
from emdvc.engine.file_lock import acquire, release
from emdvc.engine.how import How
from emdvc.errors import UsageError

# --- processors -----------------------------------------------------------------------------------------------------


@pytest.fixture
def own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the locks of this test away from other runs on the machine."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_no_more_blocks_than_processors(own_locks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven threads and two processors: two work at a time, and all get their turn."""
    monkeypatch.setattr(cores, "processors", lambda: (0, 3))
    lock, now, most, turns = threading.Lock(), 0, 0, 0

    def work() -> None:
        nonlocal now, most, turns
        for _ in range(5):
            with cores.one_processor():
                with lock:
                    now += 1
                    most = max(most, now)
                time.sleep(0.002)
                with lock:
                    now -= 1
                    turns += 1

    threads = [threading.Thread(target=work) for _ in range(7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 2
    assert turns == 35
    folder = next(own_locks.glob("emdvc-processors-*"))
    assert sorted(path.name for path in folder.iterdir()) == ["0", "3"]


def test_processors_are_shared_by_number(own_locks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two jobs to which a batch system gave different processors do not wait for each other."""
    monkeypatch.setattr(cores, "processors", lambda: (0, 1))
    with cores.one_processor(), cores.one_processor():
        monkeypatch.setattr(cores, "processors", lambda: (2, 3))
        began = time.monotonic()
        with cores.one_processor():
            assert time.monotonic() - began < 1.0


def test_a_machine_without_a_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none" / "none"))
    with cores.one_processor():
        pass


def test_the_processors_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EMDVC_THREADS", raising=False)
    assert cores.default_threads() == len(set(cores.processors())) >= 1
    if hasattr(os, "sched_setaffinity"):
        allowed = os.sched_getaffinity(0)
        try:
            os.sched_setaffinity(0, {max(allowed)})
            assert cores.processors() == (max(allowed),)
        finally:
            os.sched_setaffinity(0, allowed)


# --- locks ----------------------------------------------------------------------------------------------------------


def test_a_lock_is_held_once(tmp_path: Path) -> None:
    """By another open file of this process, by another process, and no more when that one is killed."""
    path = tmp_path / "lock"
    with path.open("a") as first, path.open("a") as second:
        assert acquire(first)
        assert not acquire(second)
        release(first)
        assert acquire(second)
    script = (
        "import sys, time; from emdvc.engine.file_lock import acquire; file = open(sys.argv[1], 'a');"
        "print(acquire(file), flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "True\n"
    with path.open("a") as mine:
        assert not acquire(mine)
        other.kill()
        other.wait()
        assert acquire(mine)
    other.stdout.close()


# --- memory ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512MB", 512_000_000),
        ("4 GiB", 4 << 30),
        ("2G", 2_000_000_000),
        ("1.5gib", 3 << 29),
        ("1e3", None),
        ("1000", 1000),
        ("64kb", 64_000),
        ("1 TiB", 1 << 40),
        ("0", None),
        ("-1GB", None),
        ("lots", None),
        ("", None),
        ("5 GB/s", None),
    ],
)
def test_sizes(text: str, size: int | None) -> None:
    if size is None:
        with pytest.raises(UsageError, match="no size of memory"):
            memory.parse(text)
    else:
        assert memory.parse(text) == size


@given(st.integers(1, 1 << 32), st.integers(1, 64), st.integers(1, 1 << 40))
def test_blocks_fit_the_memory(block: int, threads: int, allowed: int) -> None:
    """As many as there are threads and one more, never more than fit; an error where not even one does."""
    if allowed < memory.COPIES * block:
        with pytest.raises(UsageError, match="a single block") as caught:
            memory.blocks_at_once(block, threads, allowed)
        # what the hint proposes is enough
        hint = str(caught.value).rpartition("--memory ")[2].strip()
        assert memory.blocks_at_once(block, threads, memory.parse(hint)) >= 1
        return
    found = memory.blocks_at_once(block, threads, allowed)
    assert 1 <= found <= threads + 1
    assert found * memory.COPIES * block <= allowed


def test_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EMDVC_MEMORY", raising=False)
    assert memory.budget(7) == 7
    assert memory.budget(None) == memory.installed() // 4
    assert 0 < memory.installed() <= psutil.virtual_memory().total
    monkeypatch.setenv("EMDVC_MEMORY", "3GiB")
    assert memory.budget(None) == 3 << 30


@pytest.mark.usefixtures("many_blocks")
def test_little_memory_gives_the_same(counts: Path) -> None:
    """One block at a time instead of three, and less than one is refused before a frame is read."""
    recipe = {name: every.PATTERNS[name] for name in ("sum_pattern", "center_of_mass")}
    expected = every.digests(every.run(counts, recipe, How(threads=2)))
    assert every.digests(every.run(counts, recipe, How(threads=2, memory=3 * 4 * 18 * 2048))) == expected
    with pytest.raises(UsageError, match="a single block"):
        every.run(counts, recipe, How(threads=2, memory=1000))


# --- life under DVC -------------------------------------------------------------------------------------------------


class Process:
    """What psutil tells of a process."""

    def __init__(self, environment: dict[str, str] | None, pid: int = 100, name: str = "sh", exe: str = "/bin/sh"):
        self._environment, self.pid, self._name, self._exe = environment, pid, name, exe

    def environ(self) -> dict[str, str]:
        if self._environment is None:
            raise psutil.AccessDenied
        return self._environment

    def name(self) -> str:
        return self._name

    def exe(self) -> str:
        return self._exe


def test_which_parents_are_watched() -> None:
    """Shells with DVC's mark and DVC itself, never what stands above."""
    marked, free, hidden = Process({"DVC_STAGE": "s"}), Process({"HOME": "/"}), Process({})
    closed = Process(None)
    above = [Process({"HOME": "/"}), Process({"HOME": "/"})]
    select = lifeline._up_to_dvc
    assert select([free, *above]) == [free]
    assert select([marked, free, *above]) == [marked, free]
    assert select([marked, marked, free, *above]) == [marked, marked, free]
    assert select([hidden, free, *above]) == [hidden, free]
    assert select([closed, *above]) == [closed]
    assert select([]) == []


@pytest.mark.parametrize(
    ("process", "orphan"),
    [
        (Process({}, 1, "systemd", "/usr/lib/systemd/systemd"), True),
        (Process({}, 1, "dvc", "/usr/local/bin/python3.12"), False),
        (Process({}, 900, "systemd", "/usr/lib/systemd/systemd"), True),
        (Process({}, 900, "dvc", "/usr/bin/dvc"), False),
        (Process({}, 900, "jupyter-lab", "/opt/jupyter"), False),
    ],
)
def test_who_takes_orphans(process: Process, orphan: bool) -> None:
    assert lifeline._takes_orphans(process) is orphan


@pytest.mark.skipif(os.name == "nt", reason="a shell of Unix")
@pytest.mark.parametrize("line", ["{}", "{}; true"])
def test_ends_with_what_started_it(line: str, tmp_path: Path) -> None:
    """With a shell that stays between and one that is replaced by the command; nothing happens without DVC's mark."""
    program = tmp_path / "run.py"
    program.write_text(
        "import os, time\nfrom emdvc.engine.lifeline import follow_parents\nfollow_parents()\n"
        "print(os.getpid(), flush=True)\ntime.sleep(30)\n",
        encoding="utf-8",
    )
    command = line.format(f"{sys.executable} {program}")
    parent = (
        "import os, subprocess, sys\n"
        f"subprocess.run(['/bin/sh', '-c', {command!r}], env={{**os.environ, 'DVC_STAGE': 'maps'}})\n"
    )
    dvc = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    assert dvc.stdout is not None
    run = psutil.Process(int(dvc.stdout.readline()))
    time.sleep(0.5)
    assert run.is_running()
    dvc.kill()
    dvc.wait()
    dvc.stdout.close()
    assert _gone(run, 1.5)


def _gone(process: psutil.Process, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False
