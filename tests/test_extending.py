"""The page about extending: its examples work as written, with the steps on the page and no others."""

import re
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import dagster as dg
import pytest

from assets import tables as registry
from orchestration.cadence import Cadence
from orchestration.definitions import build
from resources.engines import resource
from resources.engines.resource import EngineResource
from resources.environments import ENVIRONMENTS
from resources.frames.frame import Engine
from resources.pulls import listens
from resources.sandbox.http.accounts import Account, AccountListen, Accounts
from resources.schema import declared
from resources.sources import exports
from resources.storage import Storage
from tests import transformations
from tests.exporting import listen_of, read
from tests.oracle import assert_same
from tests.serving import sandbox
from tests.tables import LEAP, at, listen, table
from tests.transformations import Transformation, work_of

PROJECT = Path(__file__).resolve().parents[1]
PAGE = (PROJECT / "docs" / "extending.md").read_text()
EXAMPLES: Mapping[str, str] = dict(re.findall(r"^```python\n# (\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
DERIVED = ("long_listens", "long_listens_month", "long_listeners")


@pytest.fixture(scope="module")
def added(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, ModuleType]]:
    """Return the files of the page as modules, by their paths."""
    folder, modules = tmp_path_factory.mktemp("extending"), {}
    with pytest.MonkeyPatch.context() as patch:
        for path, text in EXAMPLES.items():
            name = path.removesuffix(".py").replace("/", ".")
            if (PROJECT / path).exists():
                continue
            file = folder / f"{name}.py"
            file.write_text(text)
            spec = spec_from_file_location(name, file)
            assert spec and spec.loader
            modules[path] = module_from_spec(spec)
            patch.setitem(sys.modules, name, modules[path])
            spec.loader.exec_module(modules[path])
        yield modules


@pytest.fixture(scope="module")
def assets(added: Mapping[str, ModuleType]) -> dict[str, dg.AssetsDefinition]:
    """Return the derived assets of the page, by their names."""
    return {name: getattr(added[f"assets/derived/{name}.py"], name) for name in DERIVED}


def test_each_path_on_the_page_exists_or_is_an_example() -> None:
    paths = set(re.findall(r"`((?:assets|docs|orchestration|resources|tests)/[\w/]+\.\w+)`", PAGE))
    assert paths
    assert [path for path in paths if not (PROJECT / path).exists() and path not in EXAMPLES] == []


def test_each_derived_asset_is_in_the_job_of_its_partitions(assets: Mapping[str, dg.AssetsDefinition]) -> None:
    cadence = Cadence(build("laptop", [*registry.ASSETS, *assets.values()]).resolve_asset_graph())
    jobs = {name: cadence.jobs[dg.AssetKey(["derived", name])] for name in DERIVED}
    assert jobs == {"long_listens": "daily", "long_listens_month": "long_listens_month", "long_listeners": "all_time"}
    (month,) = (job for job in cadence.dated if job.name == "long_listens_month")
    assert month.days.ahead == 1 + 29  # as listens reach a day ahead
    assert {dg.AssetKey(["derived", name]) for name in DERIVED} <= cadence.closed()


@pytest.fixture
def registered(assets: Mapping[str, dg.AssetsDefinition], monkeypatch: pytest.MonkeyPatch) -> None:
    """Add the derived assets of the page to those of the platform."""
    for name, asset in assets.items():
        monkeypatch.setitem(transformations.ASSETS, f"derived/{name}", asset)
        schema: Any = declared(asset.get_asset_spec().metadata)
        monkeypatch.setitem(transformations.SCHEMAS, f"derived/{name}", schema)  # type: ignore[arg-type]


@pytest.mark.usefixtures("registered")
def test_the_daily_asset_gives_the_rows_of_its_plain_python(local: Engine) -> None:
    imports, entry = EXAMPLES["tests/transformations.py"].split("\n\n", 1)
    names = dict(vars(transformations))
    exec(imports, names)
    transformation: Transformation = eval(entry, names)
    for rows, span in transformation.hard:
        expected = transformation.oracle(rows, span=span)
        assert_same(transformation.on(local, [rows], span), expected, transformation.schema)
    long = [listen(at(LEAP, n), ms_played=ms) for n, ms in enumerate((239_999, 240_000, 3_600_000, None))]
    (row,) = transformation.on(local, [long], (LEAP, LEAP)).to_pylist()
    assert (row["day"], row["listens"]) == (LEAP, 2)


def test_the_other_assets_add_up_a_month_and_all_days(
    assets: Mapping[str, dg.AssetsDefinition], added: Mapping[str, ModuleType], local: Engine
) -> None:
    days = {n: LEAP + timedelta(days=n) for n in (0, 29, 30)}
    schema = added["assets/derived/long_listens.py"].LONG_LISTENS
    rows = [{"day": day, "user_id": "ada", "listens": n + 1} for n, day in days.items()]
    counts = local.from_arrow(table(rows, schema))
    month = work_of(assets["long_listens_month"])(counts, span=(days[29], days[30])).collect()
    assert {r["day"]: r["listens"] for r in month.to_pylist()} == {days[29]: 1 + 30, days[30]: 30 + 31}
    assert work_of(assets["long_listeners"])(counts, span=(LEAP, LEAP)).collect().to_pylist() == [
        {"user_id": "ada", "listens": 1 + 30 + 31}
    ]


def test_the_checks_of_its_assets_are_found_with_them(added: Mapping[str, ModuleType]) -> None:
    checks = [check for name in DERIVED for check in added[f"assets/derived/{name}.py"].checks]
    assert [{key.name for key in check.check_keys} for check in checks] == [{"unique", "not_null"}] * 3


def test_the_format_reads_its_export_and_quarantines_the_rest(
    added: Mapping[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "FORMATS", (added["resources/sources/formats/turntable.py"], *exports.FORMATS))
    text = "artist,title,album,played_at,seconds\nAnn,Song,,1709200800,240\n,Nobody's,,1709200801,1\n"
    good, bad = read(tmp_path, text)
    record = listen_of(good)
    assert record
    names = (record.user_id, record.artist_name, record.recording_name, record.release_name)
    assert names == ("ann", "Ann", "Song", None)
    assert (record.listened_at, record.ms_played) == (datetime(2024, 2, 29, 10, tzinfo=UTC), 240_000)
    assert bad.reason == "artist is missing"


def test_the_service_is_pulled_like_any_other(
    added: Mapping[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = int(at(LEAP, 10).timestamp())
    account = Account("ann", [AccountListen(seconds, "Ann", "Song", msid="1")], [])
    with sandbox(Accounts([account])) as url:
        monkeypatch.setattr(added["resources/services/librefm.py"], "URL", f"{url}/2.0/")
        api = listens.connect("librefm", {}, len)
        pulled = listens.pull(api, "ann", LEAP, LEAP, Storage.at(tmp_path), datetime(2024, 3, 5, tzinfo=UTC))
    assert pulled["listens"] == 1
    (file,) = tmp_path.glob("listens/librefm/ann/*/*.jsonl")
    (result,) = exports.read(file, None, datetime(2024, 3, 5, tzinfo=UTC))
    assert listen_of(result)


def test_the_engine_gets_its_settings_and_gives_the_same_rows(
    added: Mapping[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = added["resources/engines/frugal.py"]
    monkeypatch.setitem(resource.ENGINES, "frugal", "FrugalEngine")  # type: ignore[arg-type]
    names = Enum("EngineName", {name: name for name in resource.ENGINES})  # type: ignore[misc]
    monkeypatch.setattr(resource, "EngineName", names)
    engine = EngineResource.model_construct(name="frugal", memory_gb=1, spill_dir=str(tmp_path)).engine
    assert engine == module.FrugalEngine(memory_gb=1, spill_dir=str(tmp_path))
    assert engine.db.sql("SELECT current_setting('threads')").fetchall() == [(1,)]
    plays = next(t for t in transformations.TRANSFORMATIONS if t.name == "recording_plays")
    *_, (rows, span) = plays.hard
    assert_same(plays.on(engine, [rows], span), plays.oracle(rows, span=span), plays.schema)


def test_the_environment_has_the_form_of_the_others() -> None:
    entry = EXAMPLES["resources/environments.py"].strip()
    name, engine = re.fullmatch(r'"(\w+)": lambda: _engine\("(\w+)".*\),', entry).groups()  # type: ignore[union-attr]
    assert name not in ENVIRONMENTS
    assert engine == "frugal"
