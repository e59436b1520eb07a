"""Commands that answer at once: plain arguments are taken as they are, without the validation library behind typer.

typer builds a pydantic adapter for every parameter that is no given flag, even for plain text, and importing pydantic
takes longer than reading a sidecar. Text and flags need no adapter. Where a later typer has other insides than these,
nothing breaks: the shortcut is then not taken.
"""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

_TEXT = (str, list[str], str | None, list[str] | None)


class Taken:
    """Stands where typer keeps a parameter's adapter, and gives what was typed."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the text, the list of texts of a parameter that takes several, or what a flag was set to."""
        several = param.multiple or param.nargs == -1
        if value is None:
            return () if several else None
        if param.type_descriptor.annotation is bool and not isinstance(value, bool):
            # a flag from an environment variable is text that has to be understood: that is typer's work
            param._runtime_param = None
            return param.get_runtime_param().coerce(value, param=param, ctx=ctx)
        return list(value) if several else value


def lighten(parameter: Any) -> Any:
    """Let a parameter that is text or a flag do without an adapter, and return it."""
    annotation = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    if getattr(parameter, "_runtime_param", parameter) is None and (annotation in _TEXT or annotation is bool):
        parameter._runtime_param = Taken()
    return parameter


class PlainParameters:
    """Put before a command's or a group's class: its text parameters and flags, ``--help`` too, cost nothing."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters of the command."""
        return [lighten(parameter) for parameter in super().get_params(ctx)]  # type: ignore[misc]


class PlainCommand(PlainParameters, TyperCommand):
    """A command whose text parameters and flags cost nothing."""
