"""The command `serve-scrobbles`: it serves the scrobble endpoint."""

import click

from resources.environments import data_folder, landing_of
from resources.scrobble_endpoint.server import serve


@click.command()
def serve_scrobbles() -> None:
    """Serve the scrobble endpoint until stopped.

    Set TUTTI_SCROBBLE_TOKENS to LISTENER:TOKEN pairs. Set TUTTI_SCROBBLE_PORT to change the port (8765).
    """
    serve(data_folder(), landing_of(data_folder()).store)
