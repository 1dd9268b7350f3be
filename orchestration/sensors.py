"""Sensors: what happens by itself while the daemon runs."""

from orchestration.automation import follow

SENSORS = [follow]
