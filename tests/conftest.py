"""One fixture over the engines: a single core, every core, and one cluster of each kind for all tests together."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

from resources.engines.duckdb import DuckEngine
from resources.engines.pandas import PandasEngine
from resources.engines.resource import ENGINES, EngineName, EngineResource
from resources.frames.frame import Engine
from tests import s3
from tests.examples import FEW

with pytest.MonkeyPatch.context() as _patch:
    _patch.setenv("DAGSTER_HOME", "/nonexistent")  # otherwise a developer's own data would limit the days
    import assets.partitions  # noqa: F401

PARTITIONS = 2  # of clusters: each further one makes every test a fifth slower
# Where tests keep their data if there is room: Dagster's databases wait for the disk thousands of times in each run.
MEMORY, ROOM = Path("/dev/shm"), 8 << 30
# Names in tests that start processes.
STARTING = {"Process", "subprocess", "running", "FRONTS", "laptop", "workstation", "bucket"}
# Files whose tests start processes and wait for them.
FIRST = ("tests/test_chaos.py", "tests/orchestration/", "tests/docs/test_commands.py")

settings.register_profile(
    "tutti",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=20,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile("fast", settings.get_profile("tutti"), max_examples=FEW)
settings.load_profile("tutti")

ON_DASK = pytest.param("dask", marks=[pytest.mark.cluster, pytest.mark.dask])
ON_SPARK = pytest.param("spark", marks=[pytest.mark.cluster, pytest.mark.spark])
CLUSTERS = {"dask": ON_DASK, "spark": ON_SPARK}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "cluster: needs Dask or Spark")
    config.addinivalue_line("markers", "process: of a module whose tests start processes")
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
    if not hasattr(config, "workerinput"):
        s3.choose()


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        s3.stop()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run tests of processes first: tests that take minutes must not start last."""
    items[:] = [item for item in items if not _clusters_on_a_bucket(item)]
    items.sort(key=lambda item: not item.nodeid.startswith(FIRST))
    for item in items:
        if not STARTING.isdisjoint([*vars(item.module), *item.fixturenames]):  # type: ignore[attr-defined]
            item.add_marker(pytest.mark.process)


def _clusters_on_a_bucket(item: pytest.Item) -> bool:
    """Return whether a test repeats, in a bucket and on a cluster, what tests/resources/lake/test_bucket.py proves."""
    chosen = getattr(item, "callspec", None)
    return chosen is not None and chosen.params.get("lake") == "bucket" and chosen.params.get("engine") in CLUSTERS


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give Spark and Dask one test process each, and keep the tests of a file in one process."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            cluster = re.search(r"[\[-](spark|dask)[-\]]", nodeid)
            return cluster[1] if cluster else nodeid.split("::", 1)[0]

    return Scheduling(config, log)


@pytest.fixture
def stale(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Return a function that makes a folder unreadable, like a stale network mount."""
    scandir = os.scandir

    def hide(folder: Path) -> None:
        def fail_for_folder(path: Any) -> Any:
            if str(path) == str(folder):
                raise OSError(116, "Stale file handle", str(path))
            return scandir(path)

        monkeypatch.setattr(os, "scandir", fail_for_folder)

    return hide


@pytest.fixture
def bucket() -> str:
    """The URL of an empty folder in a bucket of a real object store."""
    return s3.empty_folder()


@pytest.fixture(scope="session", params=[CLUSTERS.get(name, name) for name in ENGINES])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Every engine."""
    return _started(request)


@pytest.fixture(scope="session", params=[name for name in ENGINES if name not in CLUSTERS])
def local(request: pytest.FixtureRequest) -> Engine:
    """The engines that are fast enough for many small tables."""
    return _started(request)


def _started(request: pytest.FixtureRequest) -> Engine:
    """Return the engine of the fixture with the same name, else the engine as the platform builds it."""
    try:
        started: Engine = request.getfixturevalue(request.param)
    except pytest.FixtureLookupError:
        spill = request.getfixturevalue("tmp_path_factory").mktemp("spill")
        started = EngineResource(name=EngineName(request.param), memory_gb=1, spill_dir=str(spill)).engine
    return started


@pytest.fixture(scope="session", params=[ON_DASK, ON_SPARK])
def cluster(request: pytest.FixtureRequest) -> Engine:
    """The engines with several workers."""
    started: Engine = request.getfixturevalue(request.param)
    return started


@pytest.fixture(scope="session")
def pandas() -> Engine:
    return PandasEngine()


@pytest.fixture(scope="session")
def duckdb() -> Engine:
    return DuckEngine(memory_gb=1)


@pytest.fixture(scope="session")
def dask() -> Iterator[Engine]:
    import dask

    from resources.engines.dask import DaskEngine

    engine = DaskEngine(workers=2, memory_gb=2, shuffle_partitions=PARTITIONS)
    dask.config.set({"distributed.worker.profile.enabled": False})  # it would sample each worker every 10 ms
    client = engine.client
    yield engine
    cluster = client.cluster
    client.close()
    cluster.close()


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    from resources.engines.spark import SparkEngine

    conf = {
        "spark.default.parallelism": str(PARTITIONS),
        "spark.sql.adaptive.coalescePartitions.enabled": "false",  # these tests are about small partitions
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("spark")),
    }
    engine = SparkEngine(master="local[2]", memory_gb=2, shuffle_partitions=PARTITIONS, conf=conf)
    # Java compiles as little as possible, since thousands of small queries never repay more.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
        session = engine.session
    yield engine
    session.stop()
