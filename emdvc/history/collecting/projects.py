"""Which projects use a remote or a shared cache: each leaves a small file there, so that nobody deletes what it needs.

The file lies below ``emdvc-projects/`` and says where the project's history is, what it ever sent there, and what
single clones have sent whose commits no git remote has yet.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from emdvc.errors import Code, EmdvcError, EnvironmentFault
from emdvc.formats import sidecar as sidecars
from emdvc.history import git
from emdvc.history.collecting import repository
from emdvc.history.collecting.place import Place
from emdvc.history.collecting.repository import Digests
from emdvc.history.project import Project
from emdvc.history.raw.pointers import mapping

#: Folder of a place that holds the files of projects.
FOLDER = "emdvc-projects"


@dataclass(slots=True)
class Registered:
    """What a project left in a place.

    Parameters
    ----------
    name
        What a person calls it.
    git
        URL of its history, or its own folder where no server has it; None where nobody else can read it.
    sent
        Digests that it recorded at any time (a directory's alone, not those of its files).
    raw
        Those of raw data.
    clones
        Clone -> when it was last here, and the digests that it alone records.
    """

    name: str
    git: str | None = None
    sent: set[str] = field(default_factory=set)
    raw: set[str] = field(default_factory=set)
    clones: dict[str, tuple[str, set[str]]] = field(default_factory=dict)

    def text(self) -> str:
        """Return the file's text."""
        content: dict[str, Any] = {
            "version": 1,
            "name": self.name,
            "git": self.git,
            "sent": sorted(self.sent),
            "raw": sorted(self.raw),
            "clones": {name: {"seen": seen, "needs": sorted(needs)} for name, (seen, needs) in self.clones.items()},
        }
        return (
            "# A project that uses this place: `emdvc gc` deletes nothing that it needs. Remove the file when the\n"
            "# project is gone for good.\n" + sidecars.dump_yaml(content)
        )

    @classmethod
    def parse(cls, text: str) -> Registered | None:
        """Return what a text says; None where it is no such file."""
        said = mapping(text)
        if said.get("version") != 1:
            return None
        clones = said.get("clones") or {}
        return cls(
            str(said.get("name") or "a project"),
            str(said["git"]) if said.get("git") else None,
            {str(one) for one in said.get("sent") or ()},
            {str(one) for one in said.get("raw") or ()},
            {str(name): (str(one.get("seen")), set(map(str, one.get("needs") or ()))) for name, one in clones.items()},
        )


def register(project: Project, place: Place, known: Digests | None = None) -> None:
    """Say in a place that a project uses it, and what of what lies there is its own; nothing is written twice.

    To be called after a push, before the history is pushed, and where a shared cache is taken into use.

    Raises
    ------
    EnvironmentFault
        The place does not answer, or takes nothing.
    """
    root = project.git_root
    if git.head(root) is None:
        return
    key = f"{FOLDER}/{identity(project)}.yaml"
    known = known or repository.recorded(root, 0)
    before = place.read([key]).get(key)
    found = (Registered.parse(before.decode("utf-8", "replace")) if before else None) or Registered(project.root.name)
    found.git = _where(project, place)
    found.sent |= known.needed.keys()
    found.raw |= known.raw
    clone = _clone(project)
    alone = repository.not_shared(root) if found.git and "origin" in git.remotes(root) else set(known.needed)
    seen, needs = found.clones.get(clone, ("", set()))
    today = datetime.now(UTC).date().isoformat()
    if alone != needs or seen != today:
        found.clones[clone] = (today, alone)
    text = found.text()
    if before is None or before.decode("utf-8", "replace") != text:
        place.write(key, text, project.journal_dir)


def registered(place: Place) -> dict[str, Registered]:
    """Return the projects that use a place, by the name of their file.

    Raises
    ------
    EnvironmentFault
        One of the files is damaged: what that project needs is not known.
    """
    keys = [key for key in place.listing(FOLDER) if re.fullmatch(rf"{FOLDER}/[0-9a-f]+\.yaml", key)]
    found = {}
    for key, content in place.read(keys).items():
        one = Registered.parse(content.decode("utf-8", "replace"))
        if one is None:
            raise _unreadable(
                place, key, "its file there is damaged", f"its owner runs: emdvc push, after {key} is gone"
            )
        found[key] = one
    return found


def needed_by_others(project: Project, place: Place, days: float) -> Digests:
    """Return what the other projects that use a place need, and what other clones of this one do.

    Raises
    ------
    EnvironmentFault
        One of them cannot be read: then nothing may be deleted.
    """
    own = f"{FOLDER}/{identity(project)}.yaml"
    answer = Digests()
    for key, one in registered(place).items():
        answer.raw |= one.raw
        for clone, (seen, needs) in one.clones.items():
            if key != own or (clone != _clone(project) and _days_ago(seen) <= max(days, 1)):
                answer.needed |= dict.fromkeys(needs, repository.Use(f"{one.name} (clone {clone})"))
        if key == own:
            answer.past |= dict.fromkeys(one.sent, repository.Use("a commit that is gone"))
        elif one.git:
            answer |= _read(one, key, place)
    return answer


def identity(project: Project) -> str:
    """Return one text for all clones of a project: made of where its history is, else of its first commit."""
    root = project.git_root
    url = _url(root)
    first = url or git.git(["rev-list", "--max-parents=0", "HEAD"], root).split()[-1]
    return hashlib.sha256(f"{first} {project.prefix}".encode()).hexdigest()[:16]


def _where(project: Project, place: Place) -> str | None:
    # the name of a folder says something only on the machine that it is on
    return _url(project.git_root) or (str(project.git_root) if place.folder is not None else None)


def _url(root: Path) -> str | None:
    url = git.config("remote.origin.url", root)
    if url is None:
        return None
    if re.match(r"\w+://", url):
        return re.sub(r"^(\w+://)[^/@]*:[^/@]*@", r"\1", url)  # no passwords
    return url if ":" in url and not Path(url).exists() else str((root / url).resolve())


def _clone(project: Project) -> str:
    file = project.journal_dir / "clone"
    with suppress(OSError):
        return file.read_text(encoding="utf-8").strip()
    name = uuid.uuid4().hex[:12]
    project.journal_dir.mkdir(parents=True, exist_ok=True)
    sidecars.write_text(file, f"{name}\n")
    return name


def _days_ago(seen: str) -> float:
    try:
        return (datetime.now(UTC).date() - datetime.fromisoformat(seen).date()).days
    except ValueError:
        return 0.0


def _read(one: Registered, key: str, place: Place) -> Digests:
    """Return what another project's history needs, read from where it says that it is."""
    assert one.git is not None
    there = Path(one.git)
    try:
        if there.is_absolute() and (there / ".git").exists():
            return Digests(repository.recorded(there, 90).needed)
        with tempfile.TemporaryDirectory(prefix="emdvc-gc-", ignore_cleanup_errors=True) as folder:
            git.run(["clone", "--quiet", "--mirror", "--", one.git, folder], Path(folder))
            return Digests(repository.recorded(Path(folder), 0, workspaces=False).needed)
    except EmdvcError as error:
        hint = f"get access to it; only when the project is gone for good: remove {place.url.rstrip('/')}/{key}"
        raise _unreadable(place, one.name, f"{one.git}: {error.evidence or error.cause}", hint) from error


def _unreadable(place: Place, name: str, evidence: str, hint: str) -> EnvironmentFault:
    return EnvironmentFault(
        f"what the project {name} needs of {place.name} is not known: nothing is deleted",
        code=Code.DATA_NEEDED,
        evidence=evidence,
        hint=hint,
    )
