"""Export of a person: one job that hands them all that the platform keeps of them."""

from datetime import UTC, datetime

import dagster as dg
from pydantic import Field

from assets.tables import SCHEMAS
from orchestration.privacy.erasure import UNKNOWN
from orchestration.privacy.exporter import Exporter
from resources.environments import data_folder
from resources.errors import TuttiError
from resources.lake.io_manager import LakeIO


class ExportConfig(dg.Config):
    """Whose data are exported."""

    listener: str = Field(description="the person's name, exactly as tables have it")


@dg.op(description="All that tables hold of a person goes into a zip in the folder `exports`, as ListenBrainz has it.")
def export(context: dg.OpExecutionContext, config: ExportConfig, io_manager: dg.ResourceParam[LakeIO]) -> None:
    """Write the zip, and tell where it is and what is in it."""
    name = config.listener.strip()
    if not name:
        raise TuttiError("whose data? name the person: make export LISTENER=ada")
    path, told = Exporter(name, io_manager.lake, SCHEMAS).write(data_folder(), datetime.now(UTC))
    if not told:
        path.unlink()
        raise TuttiError(UNKNOWN)
    context.log.info("%s", path)
    context.add_output_metadata({"file": dg.MetadataValue.path(str(path)), **told})


@dg.job(description="All that is kept of a person, as a zip that imports again to the same listens.")
def export_listener() -> None:
    """Every table that tells of persons."""
    export()
