"""Artifacts as a Dagster IO manager, for models, indexes, report pages and other results that are not tables.

    @dg.asset(key_prefix="derived", io_manager_key="artifacts", metadata=declare_artifact(judged=True))
    def recommender(listens: Frame) -> Artifact:
        return Artifact({"factors.npy": ...})

The asset returns files. Their version is a hash of their content and of the versions of the tables that the step has
read. Unless the asset is declared as judged, the version is served at once. A judged version stays a candidate: a later
asset or check reads `artifacts.candidate(name)`, compares it with the served version, and may promote it. Artifacts are
personal unless they are declared otherwise: the erasure of any listener removes them, and they must be materialized
again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import dagster as dg

from resources.artifacts import provenance
from resources.artifacts.artifacts import KEEP_VERSIONS, Artifact, Artifacts
from resources.errors import TuttiError
from resources.files import writing_to
from resources.locks import shared_lock_of
from resources.storage import Storage

PERSONAL, JUDGED = "artifact/personal", "artifact/judged"


def declare_artifact(*, personal: bool = True, judged: bool = False) -> dict[str, Any]:
    """Return an asset's metadata: whether its artifact has data of listeners, and whether a judge promotes it."""
    return {PERSONAL: personal, JUDGED: judged}


class ArtifactIO(dg.ConfigurableIOManager):
    """Writes and reads artifacts below a folder; the name of an artifact is its asset's key."""

    root: str
    keep: int = KEEP_VERSIONS

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["ArtifactIO"]:
        """Yield itself to a run, during which no erasure can start."""
        with shared_lock_of(self.artifacts.store):
            yield self

    @property
    def artifacts(self) -> Artifacts:
        """Return the artifacts."""
        return Artifacts(Storage.at(self.root), self.keep)

    def load_input(self, context: dg.InputContext) -> Artifact:
        """Read the served version of an upstream artifact. Raises `TuttiError` if there is none or it is damaged."""
        name = "/".join(context.asset_key.path)
        artifact = self.artifacts.read(name)
        provenance.note(context, name, artifact.version)
        return artifact

    def handle_output(self, context: dg.OutputContext, obj: Artifact) -> None:
        """Write an asset's result as a new version, and serve it unless the asset is judged."""
        name = "/".join(context.asset_key.path)
        if context.has_asset_partitions:
            raise TuttiError(f"{name} has partitions. An artifact cannot have partitions.")
        declared = context.definition_metadata
        artifact = replace(obj, inputs={**provenance.read_by(context), **obj.inputs})
        with writing_to(self.root):
            store = self.artifacts.write if declared.get(JUDGED) else self.artifacts.publish
            version = store(name, artifact, personal=bool(declared.get(PERSONAL, True)))
        context.add_output_metadata(
            {
                "version": version.id,
                "serves": self.artifacts.serving(name) == version.id,
                "size": version.size,
                "inputs": dg.MetadataValue.json(dict(version.inputs)),
                "folder": dg.MetadataValue.path(f"{self.root}/{name}"),
            }
        )
