"""The command line: `tutti COMMAND`, which `make` calls. One command a file, named in `COMMANDS`.

Runs are Dagster runs, stored where the web UI finds them. A mistake of the person at the keyboard is one line.
"""

import os
import sys
from importlib import import_module

import click

from resources import lake_format
from resources.environments import data_folder
from resources.errors import TuttiError
from resources.files import writing_to

COMMANDS = {
    "demo": "demo:demo",
    "import": "import_files:import_files",
    "pull": "pull:pull",
    "pull-metadata": "pull_metadata:pull_metadata",
    "pull-lyrics": "pull_lyrics:pull_lyrics",
    "analyze": "analyze:analyze",
    "mock-services": "mock_services:mock_services",
    "chart": "chart:chart",
    "backfill": "backfill:backfill",
    "maintenance": "maintenance:maintenance",
    "export": "export:export",
    "erase": "erase:erase",
    "generate-listens": "generate_listens:generate_listens",
    "serve-scrobbles": "serve_scrobbles:serve_scrobbles",
    "stream": "stream:stream",
    "ui": "ui:ui",
}
STOPPED = 130  # the exit code by which shells know an interrupt


class Commands(click.Group):
    """The commands, each imported once it is asked for: importing all of them takes seconds."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(import_module(f"orchestration.cli.{module}"), name)
        return command


@click.command(cls=Commands)
@click.pass_context
def tutti(context: click.Context) -> None:
    """A data platform for music."""
    if context.invoked_subcommand != "demo":  # which replaces the lake
        lake_format.check_local(data_folder())


def main() -> int:
    """Run the command that was typed. Return 0 if all went well, else the exit code."""
    try:
        with writing_to(data_folder()), tutti.make_context("tutti", sys.argv[1:]) as context:
            tutti.invoke(context)
    except click.exceptions.Exit as done:  # after `--help`
        return done.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        line = " ".join(error.format_message().split())
        print(f"tutti: {line} See `tutti --help`, and `--help` after a command.", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # the reader has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except TuttiError as error:
        print(f"tutti: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("tutti: stopped", file=sys.stderr)
        return STOPPED
    return 0
