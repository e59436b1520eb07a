"""The remotes of a project, and what each is for."""

from __future__ import annotations

from dataclasses import dataclass

from emdvc.history.project import Project
from emdvc.history.remotes import profiles, routing
from emdvc.history.remotes.kinds import kind_of
from emdvc.history.remotes.profiles import Profile
from emdvc.history.storage.settings import default_name, remote_names, remote_settings


@dataclass(frozen=True, slots=True)
class Listed:
    """A remote, and what it is for.

    Parameters
    ----------
    name, url
        As they are set.
    kind
        Kind of storage, as a person calls it.
    profile
        What may be done to what lies there.
    default
        Whether it is the default remote.
    routes
        What it is the remote of: ``raw``, ``results``.
    writes
        Whether data is sent to it from here.
    """

    name: str
    url: str
    kind: str
    profile: Profile
    default: bool
    routes: tuple[routing.Route, ...]
    writes: bool

    @property
    def purpose(self) -> str:
        """What goes there, in words."""
        said = ["raw data" if route == "raw" else route for route in self.routes]
        if self.default:
            said.append("everything else" if said else "all data that names no other")
        if not self.writes:
            said = ["reading only"]
        return " and ".join(said) or "only what is named for it"


def listed(project: Project) -> list[Listed]:
    """Return the remotes of a project, the default one first.

    Raises
    ------
    ProjectError
        DVC's settings are damaged.
    """
    default, routes = default_name(project), routing.routes(project)
    found = []
    for name in remote_names(project):
        url = remote_settings(project, name).url
        kind, profile = kind_of(url), profiles.of(project, name)
        of_it = tuple(route for route, other in routes.items() if other == name)
        found.append(
            Listed(name, url, kind.name, profile, name == default, of_it, kind.writes and not profile.read_only)
        )
    return sorted(found, key=lambda one: (not one.default, one.name))
