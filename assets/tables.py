"""Tables: every asset of the platform, and what each declares of its table, by the table's name.

A module of a layer is found by being there: no asset is listed anywhere else. Layers never import this module, since it
imports them all; within an asset, another layer's columns come with its rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
import pyarrow as pa

from assets import content, derived, events
from resources.schema import declared, order

LAYERS = (content, events, derived)
ASSETS: Sequence[Any] = [
    found for layer in LAYERS for found in dg.load_assets_from_package_module(layer, include_specs=True)
]


def _specs() -> Iterator[dg.AssetSpec]:
    """Yield the spec of each asset; a definition that writes several tables has several."""
    for found in ASSETS:
        if isinstance(found, dg.AssetSpec):
            yield found
        else:
            yield from found.specs


_METADATA = {"/".join(spec.key.path): spec.metadata for spec in _specs()}

SCHEMAS: Mapping[str, pa.Schema] = {table: declared(metadata) for table, metadata in _METADATA.items()}
"""The columns of each table."""

SORT_KEYS: Mapping[str, list[str]] = {table: order(metadata) for table, metadata in _METADATA.items()}
"""The columns by which the rows of each table are sorted in its files."""
