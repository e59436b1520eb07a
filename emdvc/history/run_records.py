"""Who computed a result, when, and with which versions.

A result's bytes and its sidecar must not depend on the machine, so none of this stands in them. A run leaves a small
file in the project's temporary folder, which git ignores; ``emdvc save`` attaches it to the commit that holds the
result, as a git note. The name of the machine and the folder are not recorded: they say nothing about the result, and
a history is often public.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from emdvc.errors import EmdvcError
from emdvc.formats import sidecar as sidecars
from emdvc.history import git
from emdvc.history.project import Project, main_root
from emdvc.history.snapshot import Snapshot
from emdvc.model.sidecar import Sidecar

#: Kind of the entries in the notes of a commit.
KIND = "runs"
#: Packages whose versions are noted.
PACKAGES = ("emdvc", "numpy", "numba", "dvc")
#: Records that wait for a commit at most; the oldest make room.
_MOST = 1000


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run of a step, as far as one of its results is concerned.

    Parameters
    ----------
    path
        The result, relative to the project.
    digests
        Content digest of each of its arrays, by name.
    step, version
        What was run.
    who
        The author that git knew; empty where it knew none.
    when
        End of the run, ISO 8601 in UTC.
    seconds
        That the run took, with all its results.
    versions
        Of Python and of :data:`PACKAGES`, by name.
    system, processor
        Of the machine.
    """

    path: PurePosixPath
    digests: Mapping[str, str]
    step: str = ""
    version: int | None = None
    who: str = ""
    when: str = ""
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)
    system: str = ""
    processor: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {**asdict(self), "path": str(self.path)}

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> RunRecord | None:
        """Return the record that a mapping holds; None where it holds none."""
        digests, versions = mapping.get("digests"), mapping.get("versions")
        if not isinstance(mapping.get("path"), str) or not isinstance(digests, dict):
            return None
        seconds, version = mapping.get("seconds"), mapping.get("version")
        return cls(
            PurePosixPath(mapping["path"]),
            {str(name): str(digest) for name, digest in digests.items()},
            str(mapping.get("step") or ""),
            version if isinstance(version, int) else None,
            str(mapping.get("who") or ""),
            str(mapping.get("when") or ""),
            float(seconds) if isinstance(seconds, int | float) else 0.0,
            {str(name): str(one) for name, one in versions.items()} if isinstance(versions, dict) else {},
            str(mapping.get("system") or ""),
            str(mapping.get("processor") or ""),
        )


def digests_of(sidecar: Sidecar) -> dict[str, str]:
    """Return the content digest of each array of a dataset."""
    return {name: info.digest for name, info in sidecar.variables.items()}


def remember(
    project: Project | None,
    output: Path,
    sidecar: Sidecar,
    seconds: float,
    *,
    versions: Mapping[str, str] | None = None,
) -> None:
    """Note a run that has just written a result. It never fails: a run is worth more than its record.

    Parameters
    ----------
    project
        The project, or the folder of one of its pipelines; None outside one, where nothing is noted.
    output, sidecar
        The result, and the sidecar that was written with it.
    seconds
        That the run took.
    versions
        What ran, where that was another program; by default Python and :data:`PACKAGES` of this process.
    """
    if project is None:
        return
    with suppress(OSError, EmdvcError, ValueError):
        whole = Project.find(project.root)
        record = _record(whole, output, sidecar, seconds, versions)
        folder = _folder(whole)
        folder.mkdir(parents=True, exist_ok=True)
        name = json.dumps([str(record.path), dict(record.digests)], sort_keys=True)
        path = folder / f"{hashlib.sha256(name.encode()).hexdigest()[:24]}.json"
        sidecars.write_text(path, json.dumps(record.to_dict(), sort_keys=True) + "\n")


def waiting(project: Project) -> list[tuple[Path, RunRecord]]:
    """Return the records that are not yet attached to a commit, with their files, oldest first."""
    found = []
    for path in _folder(project).glob("*.json"):
        with suppress(OSError, ValueError):
            said = json.loads(path.read_bytes())
            record = RunRecord.from_dict(said) if isinstance(said, dict) else None
            if record is not None:
                found.append((path, record))
    return sorted(found, key=lambda pair: (pair[1].when, pair[0].name))


def attach(project: Project) -> int:
    """Attach to the last commit the records of results that are in it as they were computed; return how many.

    Others wait for a commit that holds their result.

    Raises
    ------
    EnvironmentFault
        Git refused the note.
    """
    from emdvc.history import notes

    found = waiting(project)
    head = git.head(project.git_root) if found else None
    if head is None:
        return 0
    with Snapshot(project, head.oid) as snapshot:
        held = [(path, record) for path, record in found if _holds(snapshot, record)]
    if held:
        notes.extend(head.oid, KIND, [record.to_dict() for _, record in held], project.git_root)
    done = {path for path, _ in held}
    rest = [path for path, _ in found if path not in done]
    for path in (*done, *rest[: max(0, len(rest) - _MOST)]):
        path.unlink(missing_ok=True)
    return len(held)


def by_result(entries: Iterable[Mapping[str, Any]]) -> dict[tuple[PurePosixPath, str], list[RunRecord]]:
    """Return the records of notes by result: its path and the digest of all its arrays; the latest run first."""
    found: dict[tuple[PurePosixPath, str], list[RunRecord]] = {}
    for entry in entries:
        record = RunRecord.from_dict(entry)
        if record is not None:
            found.setdefault((record.path, key(record.digests)), []).append(record)
    return {result: sorted(records, key=lambda one: one.when, reverse=True) for result, records in found.items()}


def key(digests: Mapping[str, str]) -> str:
    """Return one text for the digests of a result's arrays."""
    return json.dumps(dict(digests), sort_keys=True)


def _holds(snapshot: Snapshot, record: RunRecord) -> bool:
    with suppress(EmdvcError):
        return digests_of(snapshot.sidecar(record.path, resolved=False)) == dict(record.digests)
    return False


def _folder(project: Project) -> Path:
    # a folder that DVC makes for an experiment goes away with its run; the result comes to the project that it is for
    return Project(main_root(project.root), project.git_root).journal_dir / "ran"


def _record(
    project: Project, output: Path, sidecar: Sidecar, seconds: float, versions: Mapping[str, str] | None
) -> RunRecord:
    provenance = sidecar.provenance
    version = provenance.get("version")
    return RunRecord(
        project.relative(output),
        digests_of(sidecar),
        str(provenance.get("step") or ""),
        version if isinstance(version, int) else None,
        _author(project),
        datetime.now(UTC).isoformat(timespec="seconds"),
        round(seconds, 3),
        _versions() if versions is None else dict(versions),
        f"{platform.system()} {platform.machine()}".strip(),
        _processor(),
    )


def _author(project: Project) -> str:
    name = os.environ.get("GIT_AUTHOR_NAME", "").strip()
    if name:
        return name
    done = git.run(["var", "GIT_AUTHOR_IDENT"], project.git_root, accept=(0, 1, 128))
    return done.stdout.decode("utf-8", "replace").partition("<")[0].strip() if done.returncode == 0 else ""


def _versions() -> dict[str, str]:
    from importlib import metadata

    found = {"python": platform.python_version()}
    for name in PACKAGES:
        loaded = getattr(sys.modules.get(name), "__version__", None)  # reading what is installed takes longer
        if isinstance(loaded, str):
            found[name] = loaded
            continue
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _processor() -> str:
    """Return the processor's name; of Python's own ways to ask, some start another program."""
    if sys.platform == "win32":
        return os.environ.get("PROCESSOR_IDENTIFIER", "")
    with suppress(OSError), Path("/proc/cpuinfo").open("rb") as file:
        for line in file.read(4096).decode("utf-8", "replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("model name", "Model", "cpu model"):
                return " ".join(value.split())
    return platform.machine()
