"""That a project uses locks, and where they are noted: in ``.emdvc/config.yaml``, so that everybody's emdvc looks.

::

    locks:
      project: 5f0c1e...
      remotes: [lab]
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from emdvc.errors import Code, EnvironmentFault, ProjectError
from emdvc.formats import sidecar as sidecars
from emdvc.history import git
from emdvc.history.locking import KEY, uses_locks
from emdvc.history.locking.note import Person
from emdvc.history.project import Project
from emdvc.history.storage.settings import CONFIG, default_name
from emdvc.history.yaml_files import YamlFile, flow


@dataclass(frozen=True, slots=True)
class Setting:
    """What the project says.

    Parameters
    ----------
    project
        The name of its folder on a remote: the same for all clones and branches.
    remotes
        Where its locks are noted. New ones go to the first.
    """

    project: str
    remotes: tuple[str, ...]


def setting(project: Project) -> Setting | None:
    """Return what the project says of locks; None where nobody has ever locked anything: that costs a small file.

    Raises
    ------
    MetadataError
        The file is no YAML.
    """
    if not uses_locks(project):
        return None
    content = sidecars.load_yaml(project.path(CONFIG).read_text(encoding="utf-8"), str(CONFIG))
    said = (content if isinstance(content, dict) else {}).get(KEY)
    remotes = said.get("remotes") if isinstance(said, dict) else None
    if (
        not isinstance(said, dict)
        or not isinstance(remotes, list)
        or not re.fullmatch(r"[0-9a-f]{8,64}", str(said.get("project")))
    ):
        raise ProjectError(
            "what the project says of locks is damaged",
            code=Code.PROJECT_BROKEN,
            evidence=f"`{KEY}:` in {CONFIG} needs `project` and a list of `remotes`",
            hint=f"git checkout HEAD -- {CONFIG}; or take `{KEY}:` out of it: emdvc lock PATH writes it anew",
        )
    return Setting(str(said["project"]), tuple(str(name).lower() for name in remotes))


def usual(project: Project, remote: str | None = None) -> Setting | None:
    """Return what the project says, or would say after its first lock; None where it has no remote.

    Parameters
    ----------
    project
        The project.
    remote
        Where new locks are to be noted; None: where they are, else on the default remote.
    """
    said = setting(project)
    name = remote or (said.remotes[0] if said and said.remotes else default_name(project))
    if name is None:
        return None
    others = [one for one in (said.remotes if said else ()) if one != name]
    return Setting(said.project if said else identity(project), (name, *others))


def write(project: Project, made: Setting) -> bool:
    """Write what is not there yet; return whether anything was written. The order of the remotes stays as it is."""
    said = setting(project)
    if said is not None and set(made.remotes) <= set(said.remotes):
        return False
    known = said.remotes if said else ()
    project.path(CONFIG).parent.mkdir(parents=True, exist_ok=True)
    file = YamlFile(project.path(CONFIG))
    remotes = [*known, *(name for name in made.remotes if name not in known)]
    file.content[KEY] = {"project": made.project, "remotes": flow(remotes)}
    file.write()
    return True


def identity(project: Project) -> str:
    """Return one text for all clones of a project, made of its first commit: clones may have it by different URLs."""
    root = project.git_root
    if git.head(root) is None:
        hint = 'emdvc save -m "first"'
        raise ProjectError("the project has no commit yet: nobody else can have it", hint=hint)
    shallow = git.git(["rev-parse", "--is-shallow-repository"], root) == "true"
    if shallow:
        raise ProjectError(
            "this clone does not know the project's first commit",
            evidence="it is shallow, and the project does not use locks yet",
            hint="git fetch --unshallow",
        )
    first = git.git(["rev-list", "--max-parents=0", "HEAD"], root).split()[-1]
    return hashlib.sha256(f"{first} {project.prefix}".encode()).hexdigest()[:16]


def me(project: Project) -> Person:
    """Return who we are for git.

    Raises
    ------
    EnvironmentFault
        Git does not know.
    """
    done = git.run(["var", "GIT_AUTHOR_IDENT"], project.git_root, accept=(0, 1, 128))
    said = done.stdout.decode("utf-8", "replace")
    name, _, rest = said.partition("<")
    email = rest.partition(">")[0].strip()
    if done.returncode or not email:
        raise EnvironmentFault(
            "git does not know who you are",
            code=Code.PROGRAM_FAILED,
            evidence="a lock tells colleagues whom to talk to",
            hint='git config --global user.name "Your Name" && git config --global user.email you@example.org',
        )
    return Person(name.strip(), email)
