"""Export: the job that writes all data of a listener to a zip."""

from datetime import UTC, datetime

import dagster as dg
from pydantic import Field

from assets.tables import SCHEMAS
from orchestration.privacy.erasure import no_data
from orchestration.privacy.exporter import Exporter
from resources.environments import data_folder
from resources.errors import TuttiError
from resources.lake.io_manager import LakeIO


class ExportConfig(dg.Config):
    """The listener to export."""

    listener: str = Field(description="listener to export, exactly as in `user_id` columns")


@dg.op(description="Write all data of the listener to a zip in the folder `exports`, in ListenBrainz's export format.")
def export(context: dg.OpExecutionContext, config: ExportConfig, io_manager: dg.ResourceParam[LakeIO]) -> None:
    """Write the zip, and report its path and the rows of each table.

    Raises `TuttiError` if no table has data of the listener.
    """
    name = config.listener.strip()
    if not name:
        raise TuttiError("no listener given. Name one: `make export LISTENER=ada`")
    path, counts = Exporter(name, io_manager.lake, SCHEMAS).write(data_folder(), datetime.now(UTC))
    if not counts:
        path.unlink()
        raise TuttiError(no_data("this listener"))
    context.log.info("exported to %s", path)
    context.add_output_metadata({"file": dg.MetadataValue.path(str(path)), **counts})


@dg.job(description="Export all data of a listener as a zip. Importing the zip again gives the same listens.")
def export_listener() -> None:
    """Export every table with personal data."""
    export()
