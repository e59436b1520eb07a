"""A project as small as one can be: pointers, a cache and a remote that is a folder, written without DVC."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from emdvc.history.cache_place import object_path
from emdvc.history.project import Project


@dataclass(frozen=True)
class PushedProject:
    """A project, the folder of its cache's objects, and that of its remote ``lab``."""

    project: Project
    cache: Path
    store: Path

    @property
    def root(self) -> Path:
        return self.project.root

    def keep(self, content: bytes, suffix: str = "") -> str:
        """Put an object into the cache; return its name."""
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest() + suffix
        path = object_path(self.cache, md5)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_bytes(content)
            path.chmod(0o444)
        return md5

    def record(self, path: str, content: bytes | Mapping[str, bytes], **more: object) -> str:
        """Record a file, or a folder of files, as ``dvc add`` does; `more` is said of the output."""
        if isinstance(content, bytes):
            md5, size = self.keep(content), len(content)
        else:
            entries = [{"md5": self.keep(content[name]), "relpath": name} for name in sorted(content)]
            md5, size = self.keep(json.dumps(entries).encode(), ".dir"), sum(map(len, content.values()))
        said = {"md5": md5, "size": size, "hash": "md5", "path": Path(path).name, **more}
        lines = [
            f"{'- ' if not number else '  '}{key}: {_text(value)}" for number, (key, value) in enumerate(said.items())
        ]
        pointer = self.root / f"{path}.dvc"
        pointer.parent.mkdir(parents=True, exist_ok=True)
        pointer.write_text("outs:\n" + "\n".join(lines) + "\n")
        return md5

    def commit(self, message: str = "x") -> None:
        for words in (["add", "-A"], ["commit", "-qm", message]):
            subprocess.run(["git", *words], cwd=self.root, check=True)

    def stored(self, remote: Path | None = None) -> set[str]:
        """Return the names of the objects that a remote has."""
        return {path.parent.name + path.name for path in ((remote or self.store) / "files" / "md5").glob("??/*")}

    def at(self, md5: str) -> Path:
        """Return where an object lies on the remote."""
        return self.store / "files" / "md5" / md5[:2] / md5[2:]

    def forget(self, md5: str) -> None:
        """Remove an object from the cache."""
        object_path(self.cache, md5).unlink()

    def forget_all(self) -> None:
        """Remove all objects from the cache."""
        for path in self.cache.glob("??/*"):
            path.unlink()


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def pushed_project(folder: Path) -> PushedProject:
    """Make one."""
    root = folder / "project"
    (root / ".dvc").mkdir(parents=True)
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    (root / ".dvc" / ".gitignore").write_text("/cache\n/tmp\n/config.local\n")
    (folder / "store").mkdir()
    (root / ".dvc" / "config").write_text(
        f"[core]\n    remote = lab\n['remote \"lab\"']\n    url = {folder / 'store'}\n"
    )
    return PushedProject(Project(root, root), root / ".dvc" / "cache" / "files" / "md5", folder / "store")
