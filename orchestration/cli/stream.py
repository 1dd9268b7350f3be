"""The command that imports what lands by Spark's Structured Streaming."""

import click

from orchestration.streaming import query


@click.command()
@click.option("--once", is_flag=True, help="Import what has landed, then end.")
def stream(once: bool) -> None:
    """Import what lands by Spark until stopped."""
    query.stream(once)
