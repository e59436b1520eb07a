"""Whether a remote is set as it should be: what is fetched is checked, nothing secret is committed."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from urllib.parse import urlsplit

from emdvc.history.finding import Finding
from emdvc.history.project import Project
from emdvc.history.remotes.adding import LOCAL, SHARED
from emdvc.history.remotes.kinds import SECRETS, kind_of
from emdvc.history.remotes.profiles import Profile
from emdvc.history.remotes.url import section_of
from emdvc.history.settings_file import SettingsFile
from emdvc.history.storage.contract import RemoteSettings


def check(project: Project, settings: RemoteSettings, profile: Profile) -> Iterator[Finding]:
    """Yield what is found in the settings of a remote; nothing is asked over the network."""
    name, kind, fine = settings.name, kind_of(settings.url), True
    committed = SettingsFile(project.root / SHARED).get(section_of(name))
    bare = sorted(SECRETS & committed.keys())
    if bare or urlsplit(committed.get("url", "")).password:
        what = ", ".join(bare) or "a password in the URL"
        hint = (
            f"change it there, then: emdvc remote add {name} URL --ask-password; and dvc remote modify --unset {name} "
        )
        yield Finding(
            "secrets", "fail", f"{what} stands in {SHARED}, which everybody reads", hint + (bare or ["url"])[0]
        )
        fine = False
    local = project.root / LOCAL
    if (
        local.exists()
        and _others_read(local.stat().st_mode)
        and SECRETS & SettingsFile(local).get(section_of(name)).keys()
    ):
        yield Finding("secrets", "warn", f"everybody on this machine can read {LOCAL}", f"chmod 600 {LOCAL}")
        fine = False
    if settings.flag("verify") is not True:
        text = "what is fetched is not checked by DVC; a damaged file would be taken for the data"
        yield Finding("settings", "warn", text, f"dvc remote modify {name} verify true")
        fine = False
    other = {
        key: value for key, value in kind.settings.items() if key != "verify" and settings.options.get(key) is None
    }
    if other:
        text = (
            f"{', '.join(other)} not set; {', '.join(f'{key} {value}' for key, value in other.items())} measured best"
        )
        yield Finding("settings", "warn", text, f"emdvc remote add {name} {settings.url}")
        fine = False
    if kind.package is not None and find_spec(kind.package) is None:
        text = f"{kind.name} remotes need a package that is not installed"
        yield Finding("package", "fail", text, f"pip install 'emdvc[{kind.name.lower()}]'")
        fine = False
    if fine:
        yield Finding("settings", "ok", f"{kind.name}, {profile.name}; what is fetched is checked")


def _others_read(mode: int) -> bool:
    import os

    return os.name != "nt" and bool(mode & 0o077)
