"""Artifacts as a Dagster IO manager, for models, indexes, report pages and whatever else is not a table.

    @dg.asset(key_prefix="derived", io_manager_key="artifacts", metadata=declare_artifact(judged=True))
    def recommender(listens: Frame) -> Artifact:
        return Artifact({"factors.npy": ...})

The asset returns files. Their version follows from the content and the versions of the tables that the step has read.
Unless the asset is declared as judged, the version serves at once. A judged one stays a candidate: a later asset or
check reads `artifacts.candidate(name)`, compares it with the version that serves, and promotes it or leaves it.
Artifacts are personal unless they are declared otherwise: the erasure of any listener removes them, and they have to be
materialized again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import dagster as dg

from resources.artifacts import provenance
from resources.artifacts.artifacts import KEEP, Artifact, Artifacts
from resources.errors import TuttiError
from resources.files import writing_to
from resources.locks import shared_lock_of
from resources.storage import Storage

PERSONAL, JUDGED = "artifact/personal", "artifact/judged"


def declare_artifact(*, personal: bool = True, judged: bool = False) -> dict[str, Any]:
    """Return an asset's metadata: whether its artifact holds data of listeners, and whether a judge promotes it."""
    return {PERSONAL: personal, JUDGED: judged}


class ArtifactIO(dg.ConfigurableIOManager):
    """Writes and reads artifacts below a folder; the name of an artifact is its asset's key."""

    root: str
    keep: int = KEEP

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["ArtifactIO"]:
        """Give itself to a run, during which no erasure can start."""
        with shared_lock_of(self.artifacts.store):
            yield self

    @property
    def artifacts(self) -> Artifacts:
        """The artifacts themselves."""
        return Artifacts(Storage.at(self.root), self.keep)

    def load_input(self, context: dg.InputContext) -> Artifact:
        """Read the version of an upstream artifact that serves. Raises `TuttiError` if none does or it is damaged."""
        name = "/".join(context.asset_key.path)
        artifact = self.artifacts.read(name)
        provenance.note(context, name, artifact.version)
        return artifact

    def handle_output(self, context: dg.OutputContext, obj: Artifact) -> None:
        """Write what an asset returned as a new version, and serve it unless a judge decides on that."""
        name = "/".join(context.asset_key.path)
        if context.has_asset_partitions:
            raise TuttiError(f"{name} has partitions: an artifact is one whole")
        declared = context.definition_metadata
        artifact = replace(obj, inputs={**provenance.read_by(context), **obj.inputs})
        with writing_to(self.root):
            keep = self.artifacts.write if declared.get(JUDGED) else self.artifacts.publish
            version = keep(name, artifact, personal=bool(declared.get(PERSONAL, True)))
        context.add_output_metadata(
            {
                "version": version.id,
                "serves": self.artifacts.serving(name) == version.id,
                "size": version.size,
                "inputs": dg.MetadataValue.json(dict(version.inputs)),
                "folder": dg.MetadataValue.path(f"{self.root}/{name}"),
            }
        )
