"""The command `serve-scrobbles`: it serves the scrobble endpoint."""

import click

from resources.environments import data_folder, landing_of
from resources.scrobble_endpoint.server import serve


@click.command()
def serve_scrobbles() -> None:
    """Serve the scrobble endpoint until stopped.

    Set TUTTI_SCROBBLE_TOKENS=LISTENER:TOKEN and, to change the port (8765), TUTTI_SCROBBLE_PORT.
    """
    serve(data_folder(), landing_of(data_folder()).store)
