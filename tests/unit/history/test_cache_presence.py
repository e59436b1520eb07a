"""Objects of the cache are looked at one by one only when something in its folders has changed."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from emdvc.history.project import Project
from emdvc.history.workspace import cache_presence
from emdvc.history.workspace.cache_presence import CachePresence
from emdvc.history.workspace.ignored import Ignored
from emdvc.history.workspace.index import WorkspaceIndex


class Cache:
    """A cache with a directory of ten files in it."""

    def __init__(self, root: Path) -> None:
        self.project = Project(root, root)
        self.folder = root / "cache"
        contents = {f"c/{number}": str(number).encode() for number in range(10)}
        entries = [{"md5": self.put(content), "relpath": name} for name, content in contents.items()]
        self.list = self.put(json.dumps(entries).encode(), ".dir")
        self.looked_at = 0

    def put(self, content: bytes, ending: str = "") -> str:
        md5 = hashlib.md5(content).hexdigest() + ending
        file = self.file(md5)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod(0o444)
        return md5

    def file(self, md5: str) -> Path:
        return self.folder / md5[:2] / md5[2:]

    def whole(self, monkeypatch: pytest.MonkeyPatch) -> tuple[bool, int]:
        """Return whether the directory is there, and how many objects were looked at to say so."""
        index = WorkspaceIndex(self.project, Ignored(self.project.root))
        presence = CachePresence(self.project, self.folder, index)
        looked_at: list[str] = []
        asked = presence.holds_object

        def counted(md5: str) -> bool:
            looked_at.append(md5)
            return asked(md5)

        monkeypatch.setattr(presence, "holds_object", counted)
        found = presence.holds(self.list)
        presence.save()
        return found, len(looked_at)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    monkeypatch.setattr(cache_presence, "SETTLED", 0)
    found = Cache(tmp_path)
    time.sleep(0.02)
    return found


@pytest.mark.skipif(os.name == "nt", reason="there objects are always looked at")
def test_objects_are_looked_at_once(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache.whole(monkeypatch) == (True, 11)
    assert cache.whole(monkeypatch) == (True, 1)
    cache.put(b"of another dataset")
    assert cache.whole(monkeypatch) == (True, 11)


def test_a_lost_object_is_missed(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache.whole(monkeypatch)[0]
    lost = cache.file(hashlib.md5(b"7").hexdigest())
    lost.chmod(0o644)
    lost.unlink()
    assert not cache.whole(monkeypatch)[0]
    assert not cache.whole(monkeypatch)[0]
    cache.put(b"7")
    assert cache.whole(monkeypatch)[0]


def test_an_object_that_anybody_may_write_to_is_read(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    file = cache.file(hashlib.md5(b"7").hexdigest())
    file.chmod(0o644)
    assert cache.whole(monkeypatch)[0]
    # another process replaces it
    file.unlink()
    file.write_bytes(b"8")
    assert not cache.whole(monkeypatch)[0]


@pytest.mark.parametrize("content", [b"[", b"{}", b'[{"md5": "x"}]'])
def test_a_damaged_list_is_missed(cache: Cache, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    file = cache.file(cache.list)
    file.chmod(0o644)
    file.write_bytes(content)
    file.chmod(0o444)
    assert not cache.whole(monkeypatch)[0]
