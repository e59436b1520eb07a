"""Reading and writing ``X.em.yaml``, and following ``inherits`` from a result to the raw data's record."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from emdvc.errors import Code, DataMissingError, MetadataError
from emdvc.formats import file_names
from emdvc.formats.file_names import inherited_path
from emdvc.model.quantity import is_quantity
from emdvc.model.sidecar import Sidecar

#: Ending of a sidecar.
SUFFIX = file_names.SUFFIX

_SPOKEN = ("value", "unit", "origin")

#: Gives the text of a file by its path relative to the project, or None when it is not there (at some revision).
ReadText = Callable[[PurePosixPath], str | None]


def path_of(data: Path) -> Path:
    """Return where the sidecar of a data file or store lies (of ``X``: ``X.em.yaml``); a sidecar's own path stays."""
    return data if data.name.endswith(SUFFIX) else data.with_name(data.name + SUFFIX)


def data_of(path: Path) -> Path:
    """Return the data that a sidecar, a ``.dvc`` pointer, or a data path itself speaks of."""
    for suffix in (SUFFIX, ".dvc"):
        if path.name.endswith(suffix) and path.name != suffix:
            return path.with_name(path.name.removesuffix(suffix))
    return path


def parse(text: str, where: str = "the sidecar") -> Sidecar:
    """Return the sidecar that a YAML text holds.

    Raises
    ------
    MetadataError
        The text is no YAML, or no sidecar.
    """
    return Sidecar.from_dict(load_yaml(text, where), where)


def load_yaml(text: str, where: str) -> Any:
    """Return the plain values of a YAML text; a syntax error names the line.

    Raises
    ------
    MetadataError
        The text is no YAML.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe").load(text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: {getattr(error, 'problem', error)}" if mark else str(error).splitlines()[0]
        raise MetadataError(f"{where} is not valid YAML", code=Code.SIDECAR_BROKEN, evidence=line) from error


def dump_yaml(mapping: dict[str, Any]) -> str:
    r"""Return plain values as YAML: keys sorted, short lists of numbers on one line, ``\\n`` line ends everywhere."""
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    def ordered(node: Any) -> Any:
        if isinstance(node, dict):
            quantity = is_quantity(node)
            tree = CommentedMap()
            # a quantity is read as it is spoken: the number, its unit, where it came from
            for key in [k for k in _SPOKEN if k in node] if quantity else sorted(node, key=str):
                tree[str(key)] = ordered(node[key])
            if quantity:
                tree.fa.set_flow_style()
            return tree
        if isinstance(node, list | tuple):
            sequence = CommentedSeq([ordered(item) for item in node])
            if all(_short(item) for item in node):
                sequence.fa.set_flow_style()
            return sequence
        return node

    yaml = YAML()
    yaml.width = 120
    yaml.default_flow_style = False
    buffer = io.StringIO()
    yaml.dump(ordered(mapping), buffer)
    return buffer.getvalue()


def _short(item: Any) -> bool:
    # only what cannot be mistaken within [ ]: ruamel writes a text that begins with `?` there without quotes
    return (
        item is None
        or isinstance(item, int | float)
        or (isinstance(item, str) and re.fullmatch(r"\w[\w.+/-]*", item) is not None)
    )


def read(data: Path) -> Sidecar:
    """Return the sidecar of a data file as it stands: not resolved.

    Raises
    ------
    DataMissingError
        There is no sidecar.
    MetadataError
        It is damaged.
    """
    path = path_of(data)
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataMissingError(
            f"{data} has no sidecar", code=Code.NOT_FOUND, evidence=f"{path} does not exist", hint=f"emdvc add {data}"
        ) from error
    return parse(text, str(path))


def read_resolved(data: Path) -> Sidecar:
    """Return the sidecar of a data file with what it inherits, every axis calibrated.

    Raises
    ------
    DataMissingError, MetadataError
        As :func:`read`.
    """
    folder = data.parent

    def text_of(path: PurePosixPath) -> str | None:
        file = folder / path
        return file.read_text(encoding="utf-8") if file.is_file() else None

    return resolve(read(data), PurePosixPath(path_of(data).name), text_of)


def resolve(sidecar: Sidecar, path: PurePosixPath, text_of: ReadText) -> Sidecar:
    """Return a sidecar with what it inherits, following the chain through any source of texts (folder, git revision).

    A dataset whose parent is not to be had keeps its own record: its inherited axes are then uncalibrated.

    Parameters
    ----------
    sidecar
        The sidecar as it stands in its file.
    path
        Path of that file, relative to what `text_of` starts from.
    text_of
        Gives the text of any other sidecar.
    """
    return _resolve(sidecar, path, text_of, ())


def _resolve(sidecar: Sidecar, path: PurePosixPath, text_of: ReadText, seen: tuple[PurePosixPath, ...]) -> Sidecar:
    if sidecar.inherits is None:
        return sidecar.resolved()
    parent_path = inherited_path(path, sidecar.inherits)
    if parent_path in seen:
        raise MetadataError(
            f"{path} inherits from itself", code=Code.SIDECAR_BROKEN, evidence=" -> ".join(map(str, seen))
        )
    text = text_of(parent_path)
    if text is None:
        return sidecar.resolved()
    parent = _resolve(parse(text, str(parent_path)), parent_path, text_of, (*seen, path))
    return sidecar.resolved(parent)


def write(data: Path, sidecar: Sidecar) -> Path:
    """Write the sidecar of a data file in one step (a reader sees the old one or the new one) and return its path."""
    path = path_of(data)
    write_text(path, dump_yaml(sidecar.to_dict()))
    return path


def write_text(path: Path, text: str) -> None:
    r"""Write a small text file in one step, with ``\\n`` line ends on every system."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(text.encode("utf-8"))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
