"""A file of requirements as an environment: what it may hold, and what of it is the same on every machine."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import TYPE_CHECKING

from emdvc.errors import Code, UsageError

if TYPE_CHECKING:
    from packaging.requirements import Requirement

#: Options of pip that say where packages come from, not which.
_OPTIONS = (
    "--extra-index-url",
    "--find-links",
    "--index-url",
    "--no-binary",
    "--no-index",
    "--only-binary",
    "--pre",
    "--prefer-binary",
    "--require-hashes",
    "--trusted-host",
    "-f ",
    "-i ",
)
#: What pip itself needs: it may or may not be there, and no program runs with it.
_TOOLS = ("pip", "setuptools", "wheel")
# in a marker: what differs between machines or versions of Python
_MACHINE = re.compile(r"\b(sys_platform|platform_\w+|os_name|python_version|python_full_version|implementation_\w+)\b")


def read(path: Path) -> list[Requirement]:
    """Return the packages that a file of requirements names.

    The environment is known by the text of this file alone, so it must not lead to other files.

    Raises
    ------
    UsageError
        There is no such file, or it holds what is none of a package index.
    """
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UsageError(f"there is no file {path}", code=Code.NOT_FOUND, hint=f"pip freeze > {path}") from error
    found = []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        said = re.sub(r"(^|\s)#.*", "", line).strip()
        said = re.sub(r"\s--hash[= ]\S+", "", said)
        if not said or said.startswith(_OPTIONS):
            continue
        try:
            found.append(Requirement(said))
        except InvalidRequirement as error:
            raise UsageError(
                f"{path} holds a line that is no package of an index",
                code=Code.PROGRAM_ENVIRONMENT,
                evidence=said,
                hint=f"write names and versions, as `pip freeze > {path}` does",
            ) from error
    return found


def installed(site: Iterable[Path | str]) -> dict[str, Distribution]:
    """Return the packages in folders of packages, by their canonical name."""
    found = {}
    for one in distributions(path=[str(folder) for folder in site]):
        if one.metadata["Name"]:
            found[_canonical(one.metadata["Name"])] = one
    return found


def versions(packages: Mapping[str, Distribution], roots: Iterable[Requirement] | None = None) -> dict[str, str]:
    """Return name -> version of the packages that a program runs with, in sorted order.

    Parameters
    ----------
    packages
        What is installed.
    roots
        What was asked for. Packages that only one kind of machine or one version of Python needs besides are then left
        out, so that the answer is the same elsewhere. None: all are named.
    """
    if roots is None:
        return {name: packages[name].version for name in sorted(packages) if name not in _TOOLS}
    seen: set[tuple[str, str]] = set()
    waiting = [(one, "") for one in roots]
    while waiting:
        wanted, extra_of_parent = waiting.pop()
        if not _everywhere(wanted, extra_of_parent):
            continue
        name = _canonical(wanted.name)
        if name not in packages:
            continue
        for extra in ("", *wanted.extras):
            if (name, extra) not in seen:
                seen.add((name, extra))
                waiting += [(one, extra) for one in _needs(packages[name])]
    return {name: packages[name].version for name in sorted({name for name, _ in seen})}


def _everywhere(wanted: Requirement, extra: str) -> bool:
    """Say whether a requirement holds on every machine, with an extra of what requires it."""
    if wanted.marker is None:
        return not extra  # what is needed anyway was followed without the extra
    return not _MACHINE.search(str(wanted.marker)) and bool(wanted.marker.evaluate({"extra": extra}))


def _needs(package: Distribution) -> list[Requirement]:
    from packaging.requirements import InvalidRequirement, Requirement

    found = []
    for text in package.requires or ():
        try:
            found.append(Requirement(text))
        except InvalidRequirement:  # of a package from before the standard: pip installed it nevertheless
            continue
    return found


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
