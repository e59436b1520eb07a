"""What would go from a place, and why everything else stays."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from emdvc.errors import Code, DataMissingError
from emdvc.history.collecting import projects
from emdvc.history.collecting.place import CACHE, RUNS, Held, Place
from emdvc.history.collecting.repository import Digests, Use
from emdvc.history.dvc_manifest import parsed_list
from emdvc.history.project import Project
from emdvc.history.storage.remote import key_of

_DAY = 86_400
_DIGEST = re.compile(rb"\b[0-9a-f]{32}(?:\.dir)?\b")
_PATH = re.compile(rb"^\s*-?\s*path:\s*(.+?)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Gone:
    """An object that would go.

    Parameters
    ----------
    name
        Its md5, with ``.dir`` where it is a list of files.
    size
        Bytes.
    dataset
        What it was part of; empty where nobody knows.
    commit
        A commit that would lose it; empty where none is known.
    """

    name: str
    size: int
    dataset: str = ""
    commit: str = ""


@dataclass(slots=True)
class Plan:
    """What would go, and what stays.

    Parameters
    ----------
    place
        Where.
    count, size
        Objects that lie there, and their bytes.
    goes
        Objects that would go.
    runs
        Keys of records of runs that would go: their results go.
    kept
        Why objects that no revision needs stay -> their number and their bytes.
    """

    place: Place
    count: int
    size: int
    goes: list[Gone] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    kept: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def freed(self) -> int:
        """Bytes that would be free."""
        return sum(one.size for one in self.goes)


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person chose.

    Parameters
    ----------
    days
        What commits that nothing leads to any more needed, and results of runs that were never committed, stay so long.
    unknown
        Whether also what no project told of may go from a place that several use.
    raw
        Datasets or digests of raw data that may go.
    fresh
        Hours for which nothing goes that has just come: somebody may be pushing right now.
    """

    days: float = 90
    unknown: bool = False
    raw: tuple[str, ...] = ()
    fresh: float = 24


def plan(
    project: Project, place: Place, digests: Digests, choice: Choice, content: Callable[[str], bytes | None]
) -> Plan:
    """Return what would go.

    Parameters
    ----------
    digests
        What this project records.
    content
        Gives a list of files from wherever it is.

    Raises
    ------
    DataMissingError
        A list of files that is needed is nowhere: which files it names is not known.
    EnvironmentFault
        The place does not answer; another project's needs are not known.
    """
    held = place.objects()
    digests = Digests(dict(digests.needed), dict(digests.past), set(digests.raw))
    if place.shared:
        digests |= projects.needed_by_others(project, place, choice.days)
    runs = _runs(place, choice, held)
    needed = _expanded(digests.needed, content, must=True)
    by_runs = _expanded(runs.kept, content, must=False)
    known = _expanded(digests.past | runs.dropped, content, must=False)
    raw = _expanded(dict.fromkeys(digests.raw, Use("")), content, must=False)
    named = _named(choice.raw, digests, content)
    answer = Plan(place, len(held), sum(one.size for one in held.values()))
    for name, one in sorted(held.items()):
        if name in needed:
            continue
        why = _stays(name, one, place, choice, by_runs, known, raw, named)
        if why is None:
            use = known.get(name, Use(""))
            answer.goes.append(Gone(name, one.size, use.file, use.commit))
        else:
            count, size = answer.kept.get(why, (0, 0))
            answer.kept[why] = count + 1, size + one.size
    going = {gone.name for gone in answer.goes}
    answer.runs = [key for key, outs in runs.old.items() if outs & going]
    return answer


def _stays(
    name: str,
    held: Held,
    place: Place,
    choice: Choice,
    by_runs: Mapping[str, Use],
    known: Mapping[str, Use],
    raw: Mapping[str, Use],
    named: Mapping[str, Use],
) -> str | None:
    """Say why an object that nothing needs stays; None where it goes."""
    if held.arrived is None:
        return "nobody knows when they came"
    if time.time() - held.arrived < choice.fresh * 3600:
        return f"came within the last {choice.fresh:g} hours: somebody may be about to record them"
    if name in raw and name not in named:
        return "are raw data: name them with --raw and --reason"
    if name in by_runs:
        return "are results of runs that spare others the computation"
    if place.shared and held.others:
        return "belong to another user"
    if place.shared and not choice.unknown and name not in known and name not in named:
        return "are of no project that told of itself: --unknown lets them go"
    return None


@dataclass(slots=True)
class _Runs:
    kept: dict[str, Use] = field(default_factory=dict)
    dropped: dict[str, Use] = field(default_factory=dict)
    old: dict[str, set[str]] = field(default_factory=dict)


def _runs(place: Place, choice: Choice, held: Mapping[str, Held]) -> _Runs:
    """Return what the records of runs in a place need; in one that several use nobody knows whose an old one is."""
    listed = place.listing(RUNS)
    since = time.time() - choice.days * _DAY
    found = _Runs()
    for key, content in place.read(listed).items():
        modified = listed[key].modified
        young = place.shared or modified is None or modified >= since
        outs = content.partition(b"\nouts:")[2] or content
        digests = {one.decode() for one in _DIGEST.findall(outs)}
        paths = _PATH.findall(outs)
        use = Use(f"{paths[0].decode('utf-8', 'replace')} (a run that was never committed)" if paths else "a run")
        (found.kept if young else found.dropped).update(dict.fromkeys(digests & held.keys(), use))
        if not young:
            found.old[key] = digests
    return found


def _expanded(uses: Mapping[str, Use], content: Callable[[str], bytes | None], *, must: bool) -> dict[str, Use]:
    """Return digests with those of the files of directories."""
    found = dict(uses)
    for name, use in uses.items():
        if not name.endswith(".dir"):
            continue
        said = content(name)
        files = parsed_list(said) if said is not None else None
        if files is None and must:
            at = f" of commit {use.commit[:10]}" if use.commit else ""
            raise DataMissingError(
                "which files a recorded directory has is not known: nothing is deleted",
                code=Code.DATA_NEEDED,
                evidence=f"{use.file}{at} records {name}, and neither the cache nor a remote has that list",
                hint="whoever has it runs: emdvc push; then the same command again",
            )
        for md5 in (files or {}).values():
            found.setdefault(md5, use)
    return found


def _named(chosen: Iterable[str], digests: Digests, content: Callable[[str], bytes | None]) -> dict[str, Use]:
    wanted = set(chosen)
    every = digests.past | digests.needed
    found = {
        name: every.get(name, Use(""))
        for name in digests.raw
        if name in wanted or (name in every and every[name].file.removesuffix(".dvc") in wanted)
    }
    return _expanded(found, content, must=False)


def keys_of(plan: Plan) -> list[str]:
    """Return what is to be removed, in an order in which an end in the middle does no harm.

    Records of runs first: one without its results would be a promise that is not kept. Then lists of files: DVC takes a
    directory whose list is there for whole.
    """
    lists = [gone.name for gone in plan.goes if gone.name.endswith(".dir")]
    files = [gone.name for gone in plan.goes if not gone.name.endswith(".dir")]
    return [*plan.runs, *map(key_of, [*lists, *files])]


def is_cache(plan: Plan) -> bool:
    """Say whether a plan is about the cache."""
    return plan.place.name == CACHE
