"""The entry point: finds the command, imports only its module, and turns every error into its printed form."""

from __future__ import annotations

import errno
import gc
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from emdvc.cli import commands
from emdvc.cli.plain import PlainParameters
from emdvc.errors import Code, EmdvcError, EnvironmentFault, InternalError, UsageError, suggest


class LazyGroup(PlainParameters, TyperGroup):
    """A group whose commands are imported when they are called; its help comes from the table alone."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands."""
        return commands.names()

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, imported now, or None."""
        entry = commands.find(cmd_name)
        if entry is None:
            return None
        command = typer.main.get_command(import_module(entry[0]).app)
        command.name = cmd_name
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the first argument names; a near miss is suggested."""
        if args and not args[0].startswith("-") and commands.find(args[0]) is None:
            near = suggest(args[0], commands.names())
            raise UsageError(
                f"there is no command '{args[0]}'",
                hint=f"a similar command exists: emdvc {near}" if near else "emdvc --help lists them",
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands under their headings."""
        for heading, section in commands.COMMANDS.items():
            with formatter.section(heading):
                formatter.write_dl([(name, text) for name, (_, text) in section.items()])


app = typer.Typer(cls=LazyGroup, rich_markup_mode=None, add_completion=True, no_args_is_help=True)


def _print_version(value: bool) -> None:
    if value:
        from emdvc import __version__

        print(f"emdvc {__version__}")
        raise typer.Exit


@app.callback()
def emdvc(
    version: bool = typer.Option(False, "--version", help="Print the version.", callback=_print_version, is_eager=True),
) -> None:
    """Version control for electron-microscopy data, layered on DVC.

    A first look: `emdvc demo FOLDER`. Your own scan: `emdvc init`, `emdvc add FILE`.
    """


def main(arguments: list[str] | None = None) -> int:
    """Run one command line and return its exit status; errors are printed in their form, never as a traceback."""
    _use_utf8()
    try:
        status = typer.main.get_command(app)(args=arguments, prog_name="emdvc", standalone_mode=False)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except EmdvcError as error:
        return _report(error)
    except typer.Exit as stop:
        return stop.exit_code
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted: nothing was left half written", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # the reader of our output (head, less) has left; say nothing and let the interpreter close quietly
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
        return 0
    except OSError as error:
        return _report(_environment_fault(error))
    except MemoryError:
        return _report(EnvironmentFault("there is not enough memory", hint="close other programs or use --memory"))
    except Exception as error:
        if hasattr(error, "format_message"):  # the command line's own complaints about arguments
            return _usage(error)
        return _report(_internal(error))


def _usage(error: Any) -> int:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "emdvc"
    message = error.format_message()
    if not message and context is not None:  # `emdvc` or `emdvc stage` alone: the help was asked for
        print(context.get_help())
        return 2
    return _report(UsageError(message.rstrip("."), hint=f"{path} --help"))


def _report(error: EmdvcError) -> int:
    print(error, file=sys.stderr)
    return error.exit_status


def _environment_fault(error: OSError) -> EmdvcError:
    where = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
    # no space, no quota left, or a file larger than the system allows
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None), errno.EFBIG):
        return EnvironmentFault(
            "the disk is full",
            code=Code.DISK_FULL,
            evidence=where,
            hint="free some space, then run the same command again",
        )
    if isinstance(error, PermissionError):
        return EnvironmentFault("no permission", code=Code.PERMISSION, evidence=where, hint="check who owns it: ls -l")
    if isinstance(error, FileNotFoundError):
        return UsageError("no such file or folder", code=Code.NOT_FOUND, evidence=where)
    return EnvironmentFault("the system refused an operation", evidence=where)


def _internal(error: Exception) -> EmdvcError:
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile(
        "w", prefix="emdvc-fault-", suffix=".txt", delete=False, encoding="utf-8"
    ) as report:
        report.write(f"emdvc {' '.join(sys.argv[1:])}\n\n{''.join(traceback.format_exception(error))}")
    return InternalError(
        f"a fault of emdvc itself: {type(error).__name__}: {error}",
        evidence=f"details were written to {report.name}",
        hint="please report it with that file",
    )


def _use_utf8() -> None:
    # a Windows console with a legacy code page cannot print an angstrom sign; replace rather than fail
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def run() -> None:
    """Run the command line of this process."""
    # a quick command makes hundreds of thousands of small values and throws few away: looking for garbage costs a tenth
    gc.set_threshold(200_000, 20, 50)
    status = main()
    gc.freeze()  # the interpreter looks through everything once more at its end
    sys.exit(status)


if __name__ == "__main__":
    run()
