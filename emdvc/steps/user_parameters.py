"""The parameters of a user's own step, read off the signature of its function."""

from __future__ import annotations

import inspect
import types
import typing
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import CodeType
from typing import Any, ClassVar

from pydantic import ConfigDict, Field, create_model
from pydantic.errors import PydanticUserError

from emdvc.steps import contract
from emdvc.steps.user_calibration import Calibration
from emdvc.steps.user_errors import plain, refused
from emdvc.steps.values import DataPath, Energy, Radius

_GUESSED = (bool, int, float, str)


class UserParameters(contract.Parameters):
    """Base of the parameters of a user's own step; pickled by the address of the step and the values as text."""

    model_config = ConfigDict(validate_default=True, protected_namespaces=())

    #: Gives the class again in another process: a function and its arguments.
    origin: ClassVar[tuple[Callable[..., type[UserParameters]], tuple[Any, ...]] | None] = None

    def __reduce__(self) -> Any:
        assert self.origin is not None
        find, arguments = self.origin
        return _again, (find, arguments, self.model_dump(mode="json"))


def _again(find: Callable[..., type[UserParameters]], arguments: tuple[Any, ...], values: dict[str, Any]) -> Any:
    return find(*arguments).model_validate(values)


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function takes.

    Parameters
    ----------
    data
        Names of the arguments that are the data: frames, or whole arrays.
    calibration
        Name of the argument that is the calibration; None where it takes none.
    references
        Names of the parameters that are paths of other datasets, whose arrays the function gets.
    radii, energies
        Names of the parameters that are radii on the detector and energies.
    model
        The parameters.
    """

    data: tuple[str, ...]
    calibration: str | None
    references: tuple[str, ...]
    radii: tuple[str, ...]
    energies: tuple[str, ...]
    model: type[UserParameters]


def read(function: Callable[..., Any], arrays: int) -> Signature:
    """Return what a function takes.

    Parameters
    ----------
    function
        Plain, or compiled by numba.
    arrays
        How many of its first arguments are data.

    Raises
    ------
    StepError
        A parameter has no type, or a type that no text can be turned into.
    """
    written = plain(function)
    name, code = written.__name__, written.__code__
    arguments = list(inspect.signature(written).parameters.values())
    for argument in arguments:
        if argument.kind not in (argument.POSITIONAL_OR_KEYWORD, argument.KEYWORD_ONLY):
            raise refused(f"{name} cannot take {argument}", code, hint="name each parameter")
    if len(arguments) < arrays:
        count = "the frame" if arrays == 1 else f"{arrays} arrays"
        raise refused(f"{name} must take {count} first", code, hint=f"def {name}(frame, ...)")
    hints = _hints(written, code)
    fields: dict[str, Any] = {}
    calibration = None
    for argument in arguments[arrays:]:
        if hints.get(argument.name) is Calibration:
            calibration = argument.name
        else:
            fields[argument.name] = _field(argument, hints.get(argument.name), code)
    return Signature(
        data=tuple(argument.name for argument in arguments[:arrays]),
        calibration=calibration,
        references=_of(DataPath, fields),
        radii=_of(Radius, fields),
        energies=_of(Energy, fields),
        model=_model(name, fields, code),
    )


def _hints(function: Callable[..., Any], code: CodeType) -> Mapping[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception as error:  # an annotation that is text may hold anything
        cause = f"a type in the signature of {function.__name__} cannot be understood"
        raise refused(cause, code, evidence=f"{type(error).__name__}: {error}") from error


def _field(argument: inspect.Parameter, hint: Any, code: CodeType) -> tuple[Any, Any]:
    name, default = argument.name, argument.default
    if name in contract.Parameters.model_fields:
        raise refused(f"every step has the parameter '{name}' already", code, hint="give yours another name")
    if name.startswith(("_", "model_")):
        raise refused(f"'{name}' cannot name a parameter", code, hint="names begin with a letter, not with model_")
    if hint is None:
        if type(default) not in _GUESSED:
            raise refused(
                f"the parameter '{name}' has no type",
                code,
                hint=f"write one, as in {name}: float = 2.0, or {name}: emdvc.Radius",
            )
        hint = type(default)
    if default is argument.empty:
        return hint, ...
    return (hint | None if default is None else hint), Field(default)


def _of(wanted: Any, fields: Mapping[str, tuple[Any, Any]]) -> tuple[str, ...]:
    return tuple(name for name, (hint, _) in fields.items() if any(_is(wanted, one) for one in _options(hint)))


def _is(wanted: Any, hint: Any) -> bool:
    # a script may add to a type: Annotated[emdvc.Radius, Field(description="...")]
    return all(part in getattr(hint, "__metadata__", ()) for part in wanted.__metadata__)


def _options(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def _model(name: str, fields: dict[str, Any], code: CodeType) -> type[UserParameters]:
    try:
        with warnings.catch_warnings():
            # a parameter may be called `copy` or `json`: pydantic warns of its own, old methods
            warnings.filterwarnings("ignore", message="Field name .* shadows an attribute", category=UserWarning)
            return create_model(name, __base__=UserParameters, __doc__="The parameters.", **fields)
    except (PydanticUserError, NameError, TypeError) as error:
        first = str(error).splitlines()[0]
        raise refused(
            f"a parameter of {name} has a type that no text can be turned into", code, evidence=first
        ) from error
