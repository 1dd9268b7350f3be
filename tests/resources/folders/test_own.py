"""Tutti's own folders: their files are not imported as somebody's listens."""

from pathlib import Path

import pytest

from resources.errors import TuttiError
from resources.folders.own import refuse_own


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder, which need not be the configured one."""
    for name in ("lake/events/listens/_delta_log", "dagster/storage", "landing/listens", "exports"):
        (tmp_path / "data" / name).mkdir(parents=True)
    (tmp_path / "data/dagster/dagster.yaml").touch()
    return tmp_path / "data"


@pytest.mark.parametrize(
    "path",
    [".", "..", "lake", "lake/events/listens", "lake/events/listens/part.parquet", "dagster", "dagster/storage/x.log"],
)
def test_a_path_around_or_in_tables_or_dagsters_home_is_refused(path: str, data: Path) -> None:
    with pytest.raises(TuttiError, match="Tutti's own data"):
        refuse_own(data / path)


@pytest.mark.parametrize("path", ["landing", "landing/listens/endsong_0.json", "exports/ada.zip"])
def test_landed_files_and_exports_are_not_refused(path: str, data: Path) -> None:
    refuse_own(data / path)
