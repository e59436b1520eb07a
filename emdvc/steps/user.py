"""A user's own step: a decorated Python function in the project's ``scripts/``.

::

    import emdvc

    @emdvc.step(core=("ky", "kx"), outputs={"halo": "counts"})
    def halo(frame, calibration: emdvc.Calibration, inner: emdvc.Radius = "20px"):
        "Counts beyond a radius: the halo around the beam."
        return frame[calibration.mask(inner)].sum()

It is run as ``emdvc run scripts/halo.py::halo raw/scan.zarr results/halo.zarr``, by the same engine as the steps that
come with emdvc; called directly, as ``halo(frame, ...)``, it is the plain function with its parameters checked.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from types import CodeType
from typing import Any, get_args

from emdvc.errors import Code, StepError, suggest
from emdvc.model import record as rec
from emdvc.steps import user_script
from emdvc.steps.parameters import validate
from emdvc.steps.user_calibration import Calibration
from emdvc.steps.user_definition import Definition, Per, definitions, restored
from emdvc.steps.user_errors import plain, refused
from emdvc.steps.user_outputs import Output, Sum
from emdvc.steps.user_parameters import read
from emdvc.steps.user_plan import UserStep, step_of
from emdvc.steps.user_returns import Returns
from emdvc.steps.values import DataPath, Energy, Position, Radius

__all__ = ["Calibration", "DataPath", "Energy", "Output", "Position", "Radius", "StepFunction", "Sum", "step"]

Decorate = Callable[[Callable[..., Any]], "StepFunction"]


def step(
    *,
    core: str | tuple[str, ...],
    per: Per = "frame",
    outputs: str | Mapping[str, str | Output] | None = None,
    metadata: str | tuple[str, ...] = (),
    arrays: tuple[str, ...] = (),
    version: int = 1,
) -> Decorate:
    """Make a function a step.

    Its first argument is the data. An argument of type :class:`emdvc.Calibration` gets what is known of them. All
    others are the step's parameters: their types say how they are written in params.yaml and with ``--set``
    (``emdvc.Radius``, ``emdvc.Energy`` and ``emdvc.Position`` carry a unit; an ``emdvc.DataPath`` is
    the path of another dataset, whose main array the function gets). The docstring is the step's documentation.

    It returns a number or an array, which is named after the function, or several by name; of each the same names,
    shapes and types of numbers for every frame. :class:`emdvc.Sum` around one sums it over all frames.

    Parameters
    ----------
    core
        Dimensions of a frame: ``("ky", "kx")``, ``"energy"``. With ``per="whole"``, dimensions that the data have.
    per
        ``frame``: the function gets one frame. ``block``: it gets frames of shape ``(n, *core)``, any number of them
        at a time, and returns arrays whose first dimension is n. ``whole``: it gets the whole array, which must fit in
        memory.
    outputs
        What it returns, by name: the unit, or an :class:`emdvc.Output`; a text alone is the unit of the only output.
    metadata
        Metadata keys that it reads through the calibration, besides what the units of its parameters need.
    arrays
        With ``per="whole"``: names of the input's arrays, each an argument; default: the main one.
    version
        Stands in the provenance of the results. Results are made again whenever the script changes, so that it need
        not be raised.

    Raises
    ------
    StepError
        What is declared cannot be; the error names the function's line.

    Notes
    -----
    The function sees the data read-only, is called from several threads, and must keep nothing between two calls: the
    same frame and parameters give the same result. It is called once with made-up counts to learn what it gives.

    Sums of whole numbers, and ``+ - * /`` and ``sqrt`` element by element, have the same bits on every machine. What
    NumPy sums in floats (``mean``, a matrix product), a Fourier transform or ``exp`` may differ in the last digits
    between machines, as NumPy itself does; on one machine the result is the same for any number of threads.
    """

    def decorate(function: Callable[..., Any]) -> StepFunction:
        written = plain(function)
        dims = (core,) if isinstance(core, str) else tuple(core)
        keys = (metadata,) if isinstance(metadata, str) else tuple(metadata)
        _check(written.__code__, dims, per, keys, arrays)
        returns = Returns(written.__name__, written.__code__, _declared(written.__name__, outputs))
        returns.check()
        signature = read(function, len(arrays) or 1)
        return StepFunction(Definition(function, signature, returns, dims, per, keys, tuple(arrays), version))

    return decorate


class StepFunction:
    """A function that is a step; called, it is itself, with its parameters checked and given their units."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        functools.update_wrapper(self, plain(definition.function), updated=())

    @property
    def step(self) -> UserStep:
        """The step."""
        return step_of(self.definition)

    def __call__(self, *data: Any, **given: Any) -> Any:
        """Return what the function gives.

        Parameters
        ----------
        data
            The frame, the frames or the arrays; then, in their order, what else the function takes.
        given
            Parameters as they are written: ``inner="20px"``. In place of the path of another dataset: its array.

        Raises
        ------
        StepError
            A parameter is unknown, lacks, or cannot be what was given.
        """
        signature = self.definition.signature
        bound = inspect.signature(plain(self.definition.function)).bind_partial(*data).arguments
        apart = {*signature.data, *signature.references, signature.calibration}
        kept = {name: value for name, value in {**bound, **given}.items() if name in apart}
        texts = {name: value for name, value in {**bound, **given}.items() if name not in apart}
        paths = {name: "" for name in signature.references if name in kept}
        parameters = validate(self.step, {**texts, **paths})
        arguments = {name: getattr(parameters, name) for name in signature.model.model_fields if name != "negative"}
        return self.definition.function(**{**arguments, **kept})

    def __reduce__(self) -> Any:
        return _function_again, self.definition.address


def _function_again(path: str, name: str, digest: str) -> StepFunction:
    return StepFunction(restored(path, name, digest))


def is_script(name: str) -> bool:
    """Say whether the name of a step is a script's: ``scripts/halo.py`` or ``scripts/halo.py::halo``."""
    return name.partition("::")[0].endswith(".py")


def find(name: str, root: Path | None = None) -> UserStep:
    """Return a step of a script.

    Parameters
    ----------
    name
        ``scripts/halo.py::halo``, or the script alone where it defines one step.
    root
        Where the path starts; default: the current folder.

    Raises
    ------
    StepError
        There is no such script or step, or the script cannot be loaded.
    """
    file, _, wanted = name.partition("::")
    known = {one.definition.name: one for one in steps_in(file, root)}
    if not wanted and len(known) == 1:
        (wanted,) = known
    if wanted in known:
        return known[wanted]
    listed = f"it defines {', '.join(known)}" if known else None
    if not known:
        cause, hint = f"{file} defines no step", 'put @emdvc.step(core=("ky", "kx")) above a function'
    elif not wanted:
        cause, hint = f"{file} defines several steps", f"name one, as in {file}::{next(iter(known))}"
    else:
        near = suggest(wanted, tuple(known)) or next(iter(known))
        cause, hint = f"{file} defines no step '{wanted}'", f"did you mean {file}::{near}?"
    raise StepError(cause, code=Code.STEP_UNKNOWN, evidence=listed, hint=hint)


def steps_in(file: str, root: Path | None = None) -> tuple[UserStep, ...]:
    """Return the steps that a script defines.

    Raises
    ------
    StepError
        There is no such script, or it cannot be loaded.
    """
    script = user_script.load((root or Path()) / file)
    return tuple(step_of(one, f"{Path(file).as_posix()}::{one.name}") for one in definitions(script).values())


def scripts(root: Path) -> tuple[str, ...]:
    """Return the scripts below ``scripts/`` that define steps; they are not run."""
    files = sorted((root / "scripts").rglob("*.py"))
    found = [file for file in files if user_script.defines_step(file.read_text(encoding="utf-8", errors="replace"))]
    return tuple(file.relative_to(root).as_posix() for file in found)


def _declared(name: str, outputs: str | Mapping[str, str | Output] | None) -> dict[str, Output]:
    if isinstance(outputs, str):
        outputs = {name: outputs}
    return {key: Output(said) if isinstance(said, str) else said for key, said in (outputs or {}).items()}


def _check(code: CodeType, core: tuple[str, ...], per: str, metadata: tuple[str, ...], arrays: tuple[str, ...]) -> None:
    if not core or not all(dim.isidentifier() for dim in core) or len(set(core)) < len(core):
        raise refused("core names the dimensions of a frame", code, evidence=f"it is {core!r}", hint='("ky", "kx")')
    if per not in get_args(Per):
        raise refused(f"per is one of {', '.join(get_args(Per))}", code, evidence=f"it is {per!r}")
    if arrays and per != "whole":
        raise refused('arrays are named for a step on whole arrays: per="whole"', code)
    for key in metadata:
        if not key.startswith("axes.") and not any(key == one or one.startswith(f"{key}.") for one in rec.BY_KEY):
            near = suggest(key, tuple(rec.BY_KEY))
            hint = f"did you mean {near}?" if near else "`emdvc fields` lists every key"
            raise refused(f"unknown metadata key '{key}'", code, hint=hint)
