"""Which conflicts a person means: files by their own path or their dataset's, conflicts by key or region."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from emdvc.errors import Code, ConflictError, UsageError, suggest
from emdvc.history.merging.asking import answered, conflict_file, regions_seen
from emdvc.history.merging.asking.asked import PICTURE, SUFFIX, ConflictFile, Question, place_of
from emdvc.history.merging.asking.regions_seen import Box
from emdvc.history.merging.asking.taking_up import asked_of, commits_of, missing, modes_of
from emdvc.history.merging.asking.unmerged import LINK, REPOSITORY, settled, unmerged
from emdvc.history.merging.contract import Place, Region
from emdvc.history.project import Project
from emdvc.history.snapshot import data_path, sidecar_path


@dataclass(frozen=True, slots=True)
class Selection:
    """What is to be answered in one file.

    Parameters
    ----------
    kept
        The file's conflicts.
    questions
        Those that are meant; a region that cuts one in two is a question of its own.
    """

    kept: ConflictFile
    questions: tuple[Question, ...]


def files_meant(project: Project, path: PurePosixPath) -> list[ConflictFile]:
    """Return the conflicts of a file; of a dataset those of its pointer and of its sidecar.

    Parameters
    ----------
    project
        The project.
    path
        Of the data, its sidecar, its pointer, any file in conflict, or a conflict file; relative to the project.

    Raises
    ------
    UsageError
        Nothing is in conflict there; the nearest is suggested.
    """
    path = _plain(path)
    known = every(project)
    meant = [PurePosixPath(project.in_git(name)) for name in dict.fromkeys(_names(path))]
    found = [known[name] for name in meant if name in known]
    if found:
        return found
    before = settled(project)
    place = Place(project, commits_of(project))
    again = [answered.of(project, asked_of(project, name, before[name], place)[0]) for name in meant if name in before]
    if again:
        return again
    raise _nothing(project, path, known)


def every(project: Project) -> dict[PurePosixPath, ConflictFile]:
    """Return every file of the project that is in conflict, by path relative to the git root. Writes nothing."""
    # also what is merged without a question, and only still to be written
    found = {kept.path: kept for kept, _ in missing(project)}
    in_index = unmerged(project)
    for name in conflict_file.found_in(project):
        if name not in found:
            kept = conflict_file.read(project.git_root / place_of(name))
            if name in in_index or conflict_file.is_open(project, kept, in_index):
                found[name] = kept
    return found


def _plain(path: PurePosixPath) -> PurePosixPath:
    for ending in (SUFFIX, PICTURE):
        if path.name.endswith(ending):
            return path.with_name(path.name.removesuffix(ending))
    return path


def _names(path: PurePosixPath) -> Iterator[PurePosixPath]:
    yield path
    if data_path(path) == path:
        yield path.with_name(f"{path.name}.dvc")
        yield sidecar_path(path)


def _nothing(project: Project, path: PurePosixPath, known: Mapping[PurePosixPath, ConflictFile]) -> UsageError:
    entries = unmerged(project).get(PurePosixPath(project.in_git(path)))
    if entries is not None and modes_of(entries) & {LINK, REPOSITORY}:
        kind = "a repository of its own" if REPOSITORY in modes_of(entries) else "a link"
        return UsageError(
            f"{path} is {kind}: git alone can settle it",
            code=Code.MERGE_CONFLICT,
            hint=f"git checkout --ours -- {path} && git add {path}",
        )
    inside = [str(name.relative_to(project.prefix)) for name in known if name.is_relative_to(project.prefix)]
    near = suggest(str(path), [*inside, *(str(data_path(name)) for name in inside)])
    evidence = f"{len(inside)} file{'s are' if len(inside) != 1 else ' is'}: {', '.join(inside[:3])}"
    return UsageError(
        f"{path} is not in conflict",
        code=Code.NOT_FOUND,
        evidence=evidence if inside else "nothing is",
        hint=f"did you mean {near}?" if near else "emdvc status",
    )


def selected(
    files: Sequence[ConflictFile], keys: Sequence[str] | None, regions: Sequence[str] | None
) -> list[Selection]:
    """Return the conflicts that are meant; without keys and regions all that are open, or all where none is.

    Parameters
    ----------
    files
        The conflicts of one file, or of the files of one dataset.
    keys
        Keys, or beginnings of keys: ``beam`` is all below it.
    regions
        As ``labels[0:16, 32:48]``, or without the name where one array alone is asked about.

    Raises
    ------
    UsageError
        No conflict has that key or lies in that region.
    ConflictError
        A region cuts a conflict that cannot be cut.
    """
    if not keys and not regions:
        return [Selection(kept, kept.open or kept.questions) for kept in files]
    meant: dict[PurePosixPath, dict[str, Question]] = {}
    for word in keys or ():
        for kept, question in _by_key(files, word):
            meant.setdefault(kept.path, {})[question.key] = question
    for word in regions or ():
        for kept, question in _by_region(files, word):
            meant.setdefault(kept.path, {})[question.key] = question
    return [Selection(kept, tuple(meant[kept.path].values())) for kept in files if kept.path in meant]


def _each(files: Iterable[ConflictFile]) -> list[tuple[ConflictFile, Question]]:
    return [(kept, question) for kept in files for question in kept.questions]


def _by_key(files: Sequence[ConflictFile], word: str) -> list[tuple[ConflictFile, Question]]:
    known = _each(files)
    exact = [(kept, one) for kept, one in known if one.key == word]
    if exact:
        return exact
    below = [(kept, one) for kept, one in known if one.key.startswith((f"{word}.", f"{word}["))]
    if below:
        return below
    keys = [one.key for _, one in known if one.key]
    parts = [".".join(key.split(".")[:count]) for key in keys for count in range(1, key.count(".") + 1)]
    near = suggest(word, [*keys, *dict.fromkeys(parts)])
    raise UsageError(
        f"no conflict has the key '{word}'",
        code=Code.NOT_FOUND,
        evidence=f"asked about: {', '.join(keys[:4])}{' ...' if len(keys) > 4 else ''}" if keys else "no keys here",
        hint=f"did you mean {near}?" if near else "without --key all of the file is answered",
    )


def _by_region(files: Sequence[ConflictFile], word: str) -> list[tuple[ConflictFile, Question]]:
    known = [(kept, one, one.region) for kept, one in _each(files) if one.region is not None]
    if not known:
        raise UsageError("no region is asked about here", code=Code.NOT_FOUND, hint="--key names a conflict")
    name, slices = _parsed(word)
    arrays = list(dict.fromkeys(region.variable for _, _, region in known))
    if name is None:
        if len(arrays) > 1:
            raise UsageError(
                f"'{word}' may be of {' or '.join(arrays)}", hint=f"--region '{arrays[0]}[{word.strip('[]')}]'"
            )
        name = arrays[0]
    if name not in arrays:
        near = suggest(name, arrays)
        raise UsageError(
            f"no region of '{name}' is asked about",
            code=Code.NOT_FOUND,
            evidence=f"asked about: {', '.join(arrays)}",
            hint=f"did you mean {near}?" if near else None,
        )
    found = []
    for kept, one, region in known:
        shared = _shared(region, slices) if region.variable == name else None
        if shared == region.slices:
            found.append((kept, one))
        elif shared is not None:
            found.append((kept, _cut(one, replace(region, slices=shared))))
    if not found:
        asked = [str(region) for _, _, region in known]
        raise UsageError(
            f"no conflict lies in {name}[{', '.join(f'{start}:{stop}' for start, stop in slices)}]",
            code=Code.NOT_FOUND,
            evidence=f"asked about: {'; '.join(asked[:3])}{' ...' if len(asked) > 3 else ''}",
            hint=f"--region '{asked[0]}'",
        )
    return found


def _parsed(word: str) -> tuple[str | None, Box]:
    found = regions_seen.parsed(word)
    if found is None:
        raise UsageError(f"'{word}' is no region", hint="write it as in --region 'labels[0:16, 32:48]'")
    return found


def _shared(region: Region, slices: Box) -> Box | None:
    """Return what a region and a box have in common; None where nothing."""
    if len(slices) != len(region.slices):
        raise UsageError(
            f"{region.variable} has {len(region.slices)} dimensions, not {len(slices)}", hint=f"--region '{region}'"
        )
    return regions_seen.common(region.slices, slices)


def _cut(question: Question, region: Region) -> Question:
    return replace(question, key=str(region), region=region)


def cut_refused(question: Question) -> ConflictError:
    """Return the error that says that a part of a conflict cannot be answered alone."""
    return ConflictError(
        f"{question.key} cannot be answered alone",
        code=Code.MERGE_CONFLICT,
        evidence="it is a part of a conflict that is answered as a whole",
        hint=f"name a region that holds all of it; it is asked about: {question.why}",
    )
