"""The `lossmith` command.

A command is imported when it is called, so that `lossmith --help` answers at once.
To add one, add its line to `COMMANDS`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import click

from lossmith.errors import LossmithError
from lossmith.lab import terminal

# name: (where the click command lives, what `lossmith --help` says about it)
COMMANDS: dict[str, tuple[str, str]] = {
    "list": (
        "lossmith.lab.look.listing:list_",
        "List every loss with its defaults and main properties.",
    ),
    "show": (
        "lossmith.lab.look.show:show",
        "Show one loss: formula, derivatives, parameters, properties, kinks, source.",
    ),
    "properties": (
        "lossmith.lab.look.listing:properties",
        "Print what holds for each loss, with its constants.",
    ),
    "compare": (
        "lossmith.lab.compare.command:compare",
        "Train one network under several losses and say which to take.",
    ),
    "compare-check": (
        "lossmith.lab.compare.check:check",
        "Repeat comparisons whose answer is known, and count the wrong ones.",
    ),
    "claims": (
        "lossmith.lab.claims.command:claims",
        "Try fifteen claims of two articles about losses on real data, and judge them.",
    ),
    "bench": (
        "lossmith.lab.bench.command:bench",
        "Measure every loss next to torch's own, eager torch and torch.compile.",
    ),
    "accuracy": (
        "lossmith.lab.accuracy.command:accuracy",
        "Compare every formula with 60-digit arithmetic and print the worst errors.",
    ),
    "matrix": (
        "lossmith.lab.matrix.command:matrix",
        "Compare every combination of options with a plain definition and print the worst errors.",
    ),
    "fuzz": (
        "lossmith.lab.fuzz.command:fuzz",
        "Draw inputs nobody thought of, and hold each answer against a plain definition.",
    ),
    "support": (
        "lossmith.lab.support.command:support",
        "Try every loss in every mode of PyTorch and print what came of it.",
    ),
}


class LazyGroup(click.Group):
    """A group whose commands are imported on use, and whose errors are one line each."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name every command, without importing any."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command that was asked for."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table: click's own version would import them all."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def main(  # type: ignore[override]
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run, and turn whatever a person can put right into one line and exit code 2."""
        if not standalone_mode:
            return super().main(args, prog_name, standalone_mode=False, **extra)
        with terminal.prepared() as streams:
            try:
                code = self._code(args, prog_name, **extra)
            except OSError:
                lost = streams.finish()
                if lost is None:
                    raise
            else:
                lost = streams.finish()
            if isinstance(lost, BrokenPipeError):  # who reads has seen enough
                code = 141
            elif lost is not None:
                code = _say(f"cannot write to standard output: {lost.strerror}", 2)
                streams.finish()
        sys.exit(code)

    def _code(self, args: Sequence[str] | None, prog_name: str | None, **extra: Any) -> int:
        try:
            code = super().main(args, prog_name, standalone_mode=False, **extra)
        except LossmithError as error:
            return _say(str(error), 2)
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message())
            return 0
        except click.UsageError as error:
            path = error.ctx.command_path if error.ctx else "lossmith"
            return _say(f"{error.format_message()} (see {path} --help)", 2)
        except click.ClickException as error:
            return _say(error.format_message(), 2)
        except (click.Abort, KeyboardInterrupt):
            return _say("stopped", 130)
        except SystemExit as end:
            code = end.code
        return code if isinstance(code, int) else 0


def _say(message: str, code: int) -> int:
    with suppress(OSError):  # nobody can be told that nobody can be told
        click.echo(f"lossmith: {' '.join(message.split())}", err=True)
    return code


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(f"lossmith {installed_version()}")
        ctx.exit()


def installed_version() -> str:
    """The version of the installed package; a bare checkout says so."""
    try:
        return version("lossmith")
    except PackageNotFoundError:
        return "(not installed)"


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version and stop.",
)
def main() -> None:
    """Lossmith: write the formula, get the loss.

    Each command has its own help, with examples: lossmith COMMAND --help.
    """
