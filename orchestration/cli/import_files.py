"""The command `import`: it imports listening history and builds all tables downstream."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from orchestration.cli.hints import make
from orchestration.cli.import_summary import count_built, summarize
from orchestration.cli.runner import Runner
from resources.environments import data_folder
from resources.errors import TuttiError
from resources.folders.own import refuse_own
from resources.terminal import say
from resources.text.counted import counted


@click.command("import")
@click.option("--listener", metavar="NAME", default="", help="Listener whose history the files contain. Required.")
@click.argument("files", nargs=-1)
def import_files(listener: str, files: tuple[str, ...]) -> None:
    """Import listening history and build all tables.

    FILES are exports as you downloaded them: zip files, single files or folders. If it is interrupted, run the same
    command again to resume.

    Example: tutti import --listener ada my_spotify_data.zip
    """
    if not listener:
        raise TuttiError('no listener given. Name one: `make import LISTENER=ada FILES="my_spotify_data.zip"`')
    if not files:
        raise TuttiError('no files given. Name some: `make import LISTENER=ada FILES="my_spotify_data.zip"`')
    paths = [str(Path(f).expanduser().resolve()) for f in files]
    if missing := [path for path in paths if not os.path.exists(path)]:
        raise TuttiError(f"no such file: {', '.join(missing)}. Check the path and its permissions.")
    for path in paths:
        refuse_own(Path(path))
    import_and_summarize(Runner(), {"listener": listener, "files": paths})


def import_and_summarize(runner: Runner, config: dict[str, Any]) -> None:
    """Import, build the tables downstream, and print a summary, even if a run failed or was stopped."""
    data, listener, began = data_folder(), config.get("listener"), datetime.now(UTC)
    failed: TuttiError | KeyboardInterrupt | None = None
    before = count_built(data, listener)
    try:
        new = runner.import_and_build(config)
    except (TuttiError, KeyboardInterrupt) as error:
        new, failed = bool(runner.progress.seconds), error
    for line in summarize(data, listener, began, before, complete=failed is None):
        say(line)
    if skipped := runner.progress.skipped:
        say(f"skipped {counted(len(skipped), 'files')}, which cannot be imported:")
        for problem in skipped:
            say(f"  {problem}")
    if new:
        say(runner.progress.total())
    if failed:
        raise failed
    say(f"Next: {make('chart')} or {make('ui')}" if new else "No new listens. Nothing changed.")
