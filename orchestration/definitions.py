"""The definitions that Dagster loads. Only assembly belongs here: assets and resources have packages of their own."""

import os
from collections.abc import Sequence
from typing import Any

import dagster as dg

from assets.groups import GROUP_OF
from assets.tables import ASSETS, LAYERS
from orchestration.automation import automation, following
from orchestration.cadence import BUILD_CATALOG, LANDING, MUSIC, Cadence
from orchestration.example_query import with_example
from orchestration.instance.forked_runs import fork_runs
from orchestration.instance.partition_ranges import quicken
from orchestration.jobs.maintenance import maintenance
from orchestration.jobs.pulls import pull_listens, pull_lyrics, pull_metadata
from orchestration.jobs.tables import table_jobs
from orchestration.privacy.erasure import erase_listener
from orchestration.privacy.export import export_listener
from orchestration.schedules import SCHEDULES, freshness
from orchestration.sensors.catalog_after_pull import sensor_after_pull
from orchestration.sensors.landing_files import landing_files
from orchestration.sensors.music_folder import music_folder
from resources.environments import ENVIRONMENTS, environment
from resources.permissions import restrict

LOCATION = "tutti"  # the code location's name in `workspace.yaml`
JOBS = [pull_listens, pull_metadata, pull_lyrics, maintenance, erase_listener, export_listener]


def build(name: str, assets: Sequence[Any] = ASSETS) -> dg.Definitions:
    """Assemble the platform in one environment. Raises `TuttiError` for an unknown one."""
    resources = environment(name)
    engine = ENVIRONMENTS[name]().name.value
    cadence = Cadence(dg.Definitions(assets=assets, resources=resources).resolve_asset_graph())
    jobs = {job.name: job for job in table_jobs(cadence)}
    return dg.Definitions(
        assets=assets,
        asset_checks=[c for package in LAYERS for c in dg.load_asset_checks_from_package_module(package)],
        jobs=[*JOBS, *jobs.values()],
        schedules=SCHEDULES,
        sensors=[landing_files, automation, sensor_after_pull(jobs[BUILD_CATALOG]), music_folder],
        resources=resources,
        # Steps pass data only through the lake, and starting an engine costs more than most steps.
        executor=dg.in_process_executor,
    ).map_resolved_asset_specs(
        func=lambda spec: spec.replace_attributes(
            group_name=GROUP_OF.get("/".join(spec.key.path), spec.key.path[0]),
            description=with_example(spec, resources["io_manager"].lake.root),
            kinds={*spec.kinds, *_kinds(cadence, spec, engine)},
            automation_condition=following(cadence.graph, spec),
            freshness_policy=freshness(cadence, spec),
        )
    )


def _kinds(cadence: Cadence, spec: dg.AssetSpec, engine: str) -> set[str]:
    """Return `file` for a table read from files, the engine's name for one computed from tables, and its format."""
    node = cadence.graph.get(spec.key)
    of_files = not node.is_materializable or node.assets_def.required_resource_keys & {LANDING, MUSIC}
    of_tables = node.is_materializable and node.assets_def.node_keys_by_input_name
    return {"deltalake"} | ({"file"} if of_files else set()) | ({engine} if of_tables else set())


restrict()
quicken()
fork_runs()
CHOSEN = os.environ.get("TUTTI_ENV") or "laptop"
defs = build(CHOSEN)
