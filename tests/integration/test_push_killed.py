"""Transfers that are killed at random points: afterwards one more command, and everything is there, byte for byte."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Iterator

import pytest
from moving_places import Moved, Place, begin, damaged, end, place, project, wait_for_bytes
from s3_servers import ceph_s3  # noqa: F401 - fixture

#: Apache takes part in ``benchmarks/faults.py``, where all is done more often.
KINDS = ("folder", "ssh", "wsgidav", "s3")
#: Many small files and two that take a while.
SIZES = [64 << 10] * 16 + [2 << 20] * 2
#: Megabits a second: all of it takes more than a second.
WIDTH = 40


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory, machine: pytest.MonkeyPatch) -> Moved:
    return project(tmp_path_factory.mktemp("moved") / "project", SIZES)


@pytest.fixture(params=[pytest.param(kind, marks=[] if kind == "folder" else pytest.mark.server) for kind in KINDS])
def where(request: pytest.FixtureRequest) -> Iterator[Place]:
    ceph = request.getfixturevalue("ceph_s3") if request.param == "s3" else None
    with place(request.param, mbit=WIDTH, ceph=ceph) as found:
        yield found


@pytest.mark.slow
def test_killed_and_done_again(where: Place, moved: Moved) -> None:
    where.write_settings(moved.folder)
    where.watched = moved.cache
    kept = moved.contents()
    for victim in ("client", "server"):
        _interrupted("push", victim, where, moved)
        assert damaged(where.contents()) == []  # nothing half under the name of the whole
    assert end(begin(["push"], moved.folder, where.env))[0] == 0
    assert where.contents() == kept
    before = where.moved()
    status, said = end(begin(["push"], moved.folder, where.env))
    assert (status, "nothing to send" in said) == (0, True), said
    assert where.moved() - before < moved.size / 10  # a second push sends nothing

    moved.empty()
    for victim in ("client", "server"):
        _interrupted("pull", victim, where, moved)
        assert damaged(moved.contents()) == []
    status, said = end(begin(["pull"], moved.folder, where.env))
    assert status == 0, said
    assert moved.contents() == kept
    assert not (moved.cache.parent / "emdvc-parts").exists()
    assert len(list((moved.folder / "raw" / "scan").iterdir())) == len(SIZES)


@pytest.mark.slow
@pytest.mark.parametrize("where", [kind for kind in KINDS if kind != "folder"], indirect=True)
@pytest.mark.server
def test_a_frozen_server_is_an_error_within_the_patience(where: Place, moved: Moved) -> None:
    where.write_settings(moved.folder)
    process = begin(["push"], moved.folder, {**where.env, "EMDVC_PATIENCE": "1.5"})
    assert wait_for_bytes(where, where.moved() + 1_000_000, process)
    where.freeze()
    began = time.monotonic()
    plain = _plain_push(moved, where) if where.kind == "ssh" else None
    try:
        status, said = end(process)
        assert time.monotonic() - began < 6
        assert status == 2, said
        assert "EM-REMOTE-SILENT" in said
        assert "nothing moved for 1.5 s" in said
        if plain is not None:
            time.sleep(4)
            assert plain.poll() is None  # DVC waits for ever
    finally:
        if plain is not None:
            plain.kill()
            plain.wait()
        where.thaw()
    assert end(begin(["push"], moved.folder, where.env))[0] == 0
    assert where.contents() == moved.contents()


def _plain_push(moved: Moved, where: Place) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["dvc", "push"],
        cwd=moved.folder,
        env={**os.environ, **where.env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _interrupted(command: str, victim: str, where: Place, moved: Moved) -> None:
    """Kill the client or the server at a random point of a transfer; start the server again."""
    process = begin([command], moved.folder, where.env)
    share = random.uniform(0.05, 0.9) if victim == "client" else random.uniform(0.05, 0.5)
    came = wait_for_bytes(where, where.moved() + round(moved.size * share), process)
    if victim == "client" or where.kind == "folder":
        process.kill()
    else:
        where.kill()
        time.sleep(0.2)
        where.start()
    status, said = end(process)
    assert came or status == 0 or where.kind == "folder", said
