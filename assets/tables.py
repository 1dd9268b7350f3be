"""Tables: all assets of the platform, and the schema and sort key of each table, by the table's name.

Every module of a layer is loaded: no asset is listed anywhere else. Layers never import this module, since it imports
them all. Within an asset, another layer's columns come with its rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
import pyarrow as pa

from assets import content, derived, events
from resources.schema import declared, order

LAYERS = (content, events, derived)
ASSETS: Sequence[Any] = [
    asset for layer in LAYERS for asset in dg.load_assets_from_package_module(layer, include_specs=True)
]


def _specs() -> Iterator[dg.AssetSpec]:
    """Yield the spec of each table. A definition that writes several tables has several specs."""
    for asset in ASSETS:
        if isinstance(asset, dg.AssetSpec):
            yield asset
        else:
            yield from asset.specs


_METADATA = {"/".join(spec.key.path): spec.metadata for spec in _specs()}

SCHEMAS: Mapping[str, pa.Schema] = {table: declared(metadata) for table, metadata in _METADATA.items()}
"""The columns of each table."""

SORT_KEYS: Mapping[str, list[str]] = {table: order(metadata) for table, metadata in _METADATA.items()}
"""The columns by which the rows of each table are sorted in its files."""
