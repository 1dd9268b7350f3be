"""The command `stream`: it imports landed files by Spark's Structured Streaming."""

import click

from orchestration.streaming import query


@click.command()
@click.option("--once", is_flag=True, help="Import the files that have landed, then exit.")
def stream(once: bool) -> None:
    """Import landed files by Spark until stopped.

    It needs TUTTI_ENV=spark.
    """
    query.stream(once)
