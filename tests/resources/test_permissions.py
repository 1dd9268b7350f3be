"""Permissions: the umask, and folders that an earlier version created."""

from pathlib import Path

import pytest

from resources.errors import TuttiError
from resources.permissions import configured, tighten


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A data folder that everybody reads, with music that other programs read."""
    data = tmp_path / "data"
    for name in ("lake/events/listens/a.parquet", "dagster/history/runs/index.db", "music/a.flac", ".work.lock"):
        path = data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
        path.chmod(0o644)
    for path in (data, *data.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
    return data


def modes(data: Path) -> dict[str, int]:
    return {str(p.relative_to(data)): p.stat().st_mode & 0o777 for p in (data, *data.rglob("*"))}


def test_an_old_folder_is_tightened_once(old: Path, tmp_path: Path) -> None:
    assert tighten(old, tmp_path / "elsewhere") == 4
    assert set(modes(old).values()) == {0o700, 0o600}
    assert tighten(old, tmp_path / "elsewhere") == 0


def test_music_of_others_stays_and_can_be_reached(old: Path) -> None:
    tighten(old, old / "music")
    found = modes(old)
    assert (found["."], found["music"], found["music/a.flac"]) == (0o755, 0o755, 0o644)
    assert (found["lake"], found["lake/events/listens/a.parquet"], found[".work.lock"]) == (0o700, 0o600, 0o600)


def test_links_lead_to_no_change(old: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other").chmod(0o755)
    (tmp_path / "other" / "file").write_text("x")
    (tmp_path / "other" / "file").chmod(0o644)
    (old / "lake" / "folder").symlink_to(tmp_path / "other")
    (old / "link").symlink_to(tmp_path / "other" / "file")
    tighten(old, old / "music")
    assert modes(tmp_path / "other") == {".": 0o755, "file": 0o644}


def test_a_group_keeps_what_the_setting_gives_it(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUTTI_UMASK", "027")
    tighten(old, old / "music")
    assert modes(old)["lake/events/listens/a.parquet"] == 0o640
    assert modes(old)["lake"] == 0o750


def test_the_setting_is_a_umask_that_keeps_the_owners_access() -> None:
    assert configured({}) == configured({"TUTTI_UMASK": ""}) == 0o077
    assert configured({"TUTTI_UMASK": "007"}) == configured({"TUTTI_UMASK": "0007"}) == 0o007
    for text in ("7", "700", "177", "0o77", "089", "rwx", "-077", "077 "):
        with pytest.raises(TuttiError, match="TUTTI_UMASK"):
            configured({"TUTTI_UMASK": text})
