"""The command that serves the scrobble endpoint."""

import click

from resources.environments import data_folder, landing_of
from resources.scrobble_endpoint.server import serve


@click.command()
def serve_scrobbles() -> None:
    """Serve the scrobble endpoint until stopped."""
    serve(data_folder(), landing_of(data_folder()).store)
