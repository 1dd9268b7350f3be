"""The commands of `tutti`. Each is in a file of its own, listed in `COMMANDS`.

Commands start Dagster runs and store them for the web UI. An error is printed as one line.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from orchestration.cli import stopping
from resources import lake_format, permissions
from resources.environments import data_folder, home_folder, music_folder
from resources.errors import TuttiError
from resources.files import writing_to
from resources.terminal import warn

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


class Commands(click.Group):
    """All commands. Each is imported only when it is used, since importing all of them takes seconds."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command and return it. Returns None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(import_module(f"orchestration.cli.{module}"), name)
        stopping.start()
        return command


@click.command(cls=Commands)
@click.pass_context
def tutti(context: click.Context) -> None:
    """A data platform for music: listening history, catalogs, audio and lyrics become queryable tables.

    Set TUTTI_DATA_DIR to choose the data folder (default: data).
    """
    if (data := data_folder()).exists() and not data.is_dir():
        raise TuttiError(f"the data folder {data} is a file. Set TUTTI_DATA_DIR, or DATA= of make, to a folder.")
    if context.invoked_subcommand != "demo":  # the demo replaces the lake
        lake_format.check_local(data)
    for folder in dict.fromkeys((data, home_folder())):
        if folder.is_dir() and (changed := permissions.tighten(folder, music_folder())):
            warn(f"Removed the access of others to files in {folder} ({changed:,}), as {permissions.VARIABLE} says")


def run(arguments: Sequence[str]) -> int:
    """Run a command with its arguments and return its exit code. An error is printed as one line."""
    try:
        permissions.restrict()
        with writing_to(data_folder()), tutti.make_context("tutti", list(arguments)) as context:
            tutti.invoke(context)
    except click.exceptions.Exit as done:  # after `--help`
        return done.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        line = " ".join(error.format_message().split())
        warn(f"tutti: {line} See `tutti --help` or `tutti COMMAND --help`.")
        return error.exit_code
    except BrokenPipeError:  # the reader, such as `head`, closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except TuttiError as error:
        warn(f"tutti: {error}")
        return 1
    return 0
