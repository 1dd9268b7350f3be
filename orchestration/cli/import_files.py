"""The command that imports a person's own history, and builds everything that follows from it."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from orchestration.cli.hints import make
from orchestration.cli.import_summary import brought, heard
from orchestration.cli.runner import Runner
from resources.environments import data_folder
from resources.errors import TuttiError


@click.command("import")
@click.option("--listener", default="", help="The person whose history this is.")
@click.argument("files", nargs=-1)
def import_files(listener: str, files: tuple[str, ...]) -> None:
    """Import your own history and build what follows."""
    if not listener:
        raise TuttiError('whose listens are these? name the person: make import LISTENER=ada FILES="..."')
    if not files:
        raise TuttiError('which files? name them: make import LISTENER=ada FILES="my_spotify_data.zip"')
    paths = [str(Path(f).expanduser().resolve()) for f in files]
    if missing := [path for path in paths if not os.path.exists(path)]:
        raise TuttiError(f"{', '.join(missing)} cannot be read: check the name, and that you may read it")
    import_and_summarize(Runner(), {"listener": listener, "files": paths})


def import_and_summarize(runner: Runner, config: dict[str, Any]) -> None:
    """Import, build what follows, and print a summary, also if something failed."""
    data, listener, began = data_folder(), config.get("listener"), datetime.now(UTC)
    before, failed = heard(data, listener), None
    try:
        new = runner.take(config)
    except TuttiError as error:
        new, failed = bool(runner.progress.seconds), error
    for line in brought(data, listener, began, before):
        print(line)
    if new:
        print(runner.progress.total())
    if failed:
        raise failed
    print(f"Next: {make('chart')} or {make('ui')}" if new else "No new listens: all stays as it is.")
