"""The platform as Dagster loads it. What belongs here is assembly; assets and resources have rooms of their own."""

import os

import dagster as dg

from assets.tables import ASSETS, LAYERS
from orchestration.automation import follow, following
from orchestration.cadence import JOBS
from orchestration.schedules import SCHEDULES, daily_close, freshness, pulled
from orchestration.sensors.landing_files import arrivals
from orchestration.sensors.music_folder import music_changes
from resources.environments import ENVIRONMENTS, environment


def build(name: str) -> dg.Definitions:
    """Assemble the platform in one environment. Raises `TuttiError` for an unknown one."""
    resources = environment(name)
    engine = ENVIRONMENTS[name]().name.value
    checks = [c for package in LAYERS for c in dg.load_asset_checks_from_package_module(package)]
    defs = dg.Definitions(
        assets=ASSETS,
        asset_checks=checks,
        jobs=[*JOBS, daily_close],
        schedules=SCHEDULES,
        sensors=[arrivals, follow, pulled, music_changes],
        resources=resources,
        # Steps hand each other nothing but what is in the lake, and starting an engine costs more than most steps.
        executor=dg.in_process_executor,
    )
    graph = defs.resolve_asset_graph()
    return defs.map_resolved_asset_specs(
        func=lambda spec: spec.replace_attributes(
            group_name=spec.key.path[0],  # one import writes tables of several layers
            kinds={*spec.kinds, engine, "deltalake"},
            owners=spec.owners or ["team:tutti"],
            automation_condition=following(graph, spec),
            freshness_policy=freshness(graph, spec),
        )
    )


CHOSEN = os.environ.get("TUTTI_ENV") or "laptop"
defs = build(CHOSEN)
