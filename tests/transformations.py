"""The work of every asset on tables, and the same work in plain Python.

To put a new asset to the tests of equality, of division and of ranges, add a `Transformation` to `TRANSFORMATIONS`.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pyarrow as pa
from hypothesis import strategies as st

from assets.content import audio_features
from assets.content.audio_analyses import AUDIO_ANALYSES
from assets.content.audio_features import AUDIO_FEATURES
from assets.content.audio_files import AUDIO_FILES
from assets.content.recordings import RECORDINGS
from assets.events.imports import RAW_LISTENS
from assets.imports.deletions import RAW_DELETIONS
from assets.imports.posts import RAW_POSTS
from assets.partitions import FIRST_DAY
from assets.tables import ASSETS as PLATFORM
from assets.tables import SCHEMAS
from resources.frames.frame import Engine, Frame
from tests import oracle, tables
from tests.oracle import Row
from tests.tables import (
    CATALOG,
    DELETED,
    HEARD_NAMES,
    LEAP,
    LENGTHS,
    TRICKY_APP_EVENTS,
    TRICKY_AUDIO,
    TRICKY_FEEDS,
    TRICKY_LISTENS,
    TRICKY_LYRICS,
    TRICKY_NAMES,
    TRICKY_POSTS,
    TRICKY_RAW,
    TRICKY_RELATIONS,
    TRICKY_SHARES,
    TRICKY_TAGGINGS,
    app_event,
    at,
    listen,
    raw,
    sung,
)

Span = tuple[date, date]


ASSETS = {
    key.to_user_string(): found for found in PLATFORM if isinstance(found, dg.AssetsDefinition) for key in found.keys
}
"""The asset that makes each table."""


@dataclass(frozen=True, repr=False)
class Transformation:
    """The work of a table's asset for a range of its partitions, and the same work in plain Python.

    What the asset reads and does is its own unless `reads` and `run` say otherwise.
    """

    table: str
    oracle: Callable[..., list[Row]]  # of rows for each table read, and the range
    drawn: st.SearchStrategy[tuple[list[Row], Span]]  # rows to begin with, and a range
    hard: tuple[tuple[list[Row], Span], ...]
    prepare: Callable[[list[Row], Span], Sequence[list[Row]]] = lambda rows, span: [rows]
    reads: dict[str, pa.Schema] = None  # type: ignore[assignment]
    run: Callable[..., Frame] = None  # type: ignore[assignment]  # of a frame for each table read, and the range

    def __post_init__(self) -> None:
        object.__setattr__(self, "reads", self.reads or reads_of(self.asset))
        object.__setattr__(self, "run", self.run or work_of(self.asset))

    def __repr__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """The name of the table within its layer."""
        return self.table.split("/")[1]

    @property
    def asset(self) -> dg.AssetsDefinition:
        """The asset that makes the table."""
        return ASSETS[self.table]

    @property
    def schema(self) -> pa.Schema:
        """The columns that the asset declares."""
        return SCHEMAS[self.table]

    def on(self, engine: Engine, rows: Sequence[list[Row]], span: Span) -> pa.Table:
        """Return the result on an engine."""
        given = [tables.table(r, schema) for r, schema in zip(rows, self.reads.values(), strict=True)]
        return self.run(*map(engine.from_arrow, given), span=span).collect(self.schema)


def reads_of(asset: dg.AssetsDefinition) -> dict[str, pa.Schema]:
    """Return the columns of each table that an asset reads, in the order of its function."""
    keys = asset.keys_by_input_name
    return {name: SCHEMAS[keys[name].to_user_string()] for name in _parameters(asset) if name in keys}


def _parameters(asset: dg.AssetsDefinition) -> list[str]:
    return list(inspect.signature(_function(asset)).parameters)


def _function(asset: dg.AssetsDefinition) -> Any:
    return asset.op.compute_fn.decorated_fn  # type: ignore[union-attr]


def work_of(asset: dg.AssetsDefinition) -> Callable[..., Frame]:
    """What an asset does to frames, without Dagster around it, which costs more than small tables do."""
    fn, asks = _function(asset), "context" in _parameters(asset)

    def run(*frames: Frame, span: Span) -> Frame:
        keys = dg.PartitionKeyRange(span[0].isoformat(), span[1].isoformat())
        return fn(*([SimpleNamespace(partition_key_range=keys)] if asks else []), *frames)

    return run


def with_keys(asset: dg.AssetsDefinition) -> Callable[..., Frame]:
    """What an asset does that looks names up in the catalog, of rows and, last, of the catalog."""
    work = work_of(asset)
    keys, parts = work_of(ASSETS["content/match_keys"]), work_of(ASSETS["content/blocking_keys"])

    def run(*frames: Frame, span: Span) -> Frame:
        *rows, recordings = frames
        return work(*rows, keys(recordings, span=span), parts(recordings, span=span), span=span)

    return run


def _plain(answer: Callable[[list[Row]], list[Row]]) -> Callable[..., list[Row]]:
    return lambda rows, span: answer(rows)


def at_any_time(rows: st.SearchStrategy[list[Row]]) -> st.SearchStrategy[tuple[list[Row], Span]]:
    return rows.map(lambda r: (r, (LEAP, LEAP)))


def _hard(single: list[Row], tricky: list[Row], span: Span = (LEAP, LEAP)) -> tuple[tuple[list[Row], Span], ...]:
    return ([], span), (single, span), (tricky, span)


SINGLE = [listen(at(LEAP, 7))]
LISTENED = _hard(SINGLE, TRICKY_LISTENS)
WEEK = (LEAP, LEAP + timedelta(days=6))
AMONG_DAYS = st.tuples(st.integers(0, 3), st.integers(0, 1)).map(
    lambda x: (LEAP + timedelta(days=x[0]), LEAP + timedelta(days=x[0] + x[1]))
)


def _chart(period: str) -> Transformation:
    def prepare(rows: list[Row], span: Span) -> list[list[Row]]:
        """The days that a chart reads: those of its periods and of the one before."""
        before = max(oracle.begin(span[0] - timedelta(days=1), period), FIRST_DAY)
        read = [r for r in rows if before <= r["day"] and oracle.begin(r["day"], period) <= span[1]]
        return [oracle.recording_plays(read), oracle.artist_plays(read), oracle.display_names(read)]

    def answer(*rows: list[Row], span: Span) -> list[Row]:
        return oracle.chart(*rows, period=period, first=span[0], last=span[1])

    starts = [oracle.begin(LEAP, period)]
    if period != "all_time":
        for _ in range(2):
            starts.append(oracle.begin(starts[-1] + timedelta(days=_longest(period)), period))
    days = sorted({s + timedelta(days=d) for s in starts for d in (-1, 0, _longest(period) // 2)})
    spans = [(first, last) for first in starts for last in starts if first <= last]
    return Transformation(
        f"derived/charts_{period}",
        answer,
        st.tuples(tables.listens(days), st.sampled_from(spans)),
        _hard(SINGLE, TRICKY_LISTENS, (starts[0], starts[-1])),
        prepare,
    )


def _longest(period: str) -> int:
    return {"daily": 1, "weekly": 7, "monthly": 31, "yearly": 366, "all_time": 1}[period]


CHARTS = {period: _chart(period) for period in ("daily", "weekly", "monthly", "yearly", "all_time")}
SESSIONS_OF_LISTENS = Transformation(
    "events/sessions",
    lambda rows, span: oracle.sessions(rows, *span),
    st.tuples(tables.evenings(), AMONG_DAYS),
    _hard(SINGLE, TRICKY_LISTENS, WEEK),
)


def _activity(rows: list[Row], span: Span) -> list[list[Row]]:
    """All activity."""
    return [oracle.daily_listening(rows, LENGTHS)]


def _month_of_activity(rows: list[Row], span: Span) -> list[list[Row]]:
    """The activity that active_listeners read: of their days and of the month before."""
    before = span[0] - timedelta(days=29)
    return [oracle.daily_listening([r for r in rows if before <= r["day"] <= span[1]], LENGTHS)]


ACTIVITY_OF_LISTENS = Transformation(
    "events/daily_listening",
    lambda listens, recordings, span: oracle.daily_listening(listens, recordings),
    at_any_time(tables.listens()),
    LISTENED,
    lambda rows, span: [rows, LENGTHS],
)
ACTIVES_OF_ACTIVITY = Transformation(
    "events/active_listeners",
    lambda rows, span: oracle.active_listeners(rows, *span),
    st.tuples(
        tables.habits(),
        st.tuples(st.integers(-2, 60), st.integers(0, 40)).map(
            lambda x: (LEAP + timedelta(days=x[0]), LEAP + timedelta(days=sum(x)))
        ),
    ),
    _hard(SINGLE, TRICKY_LISTENS, (LEAP, LEAP + timedelta(days=40))),
    _month_of_activity,
)
RETENTION_OF_ACTIVITY = Transformation(
    "events/retention",
    _plain(oracle.retention),
    at_any_time(tables.habits()),
    LISTENED,
    _activity,
)
STREAKS_OF_ACTIVITY = Transformation(
    "events/streaks",
    _plain(oracle.streaks),
    at_any_time(tables.habits()),
    LISTENED,
    _activity,
)
IDENTITIES_OF_NAMES = Transformation(
    "events/recording_matches",
    lambda raw, recordings, span: oracle.recording_matches(raw, recordings),
    at_any_time(tables.names()),
    _hard([raw(at(LEAP), 0)], [*TRICKY_NAMES, *TRICKY_RAW]),
    lambda rows, span: [rows, CATALOG],
    reads={"raw_listens": RAW_LISTENS, "recordings": RECORDINGS},
    run=with_keys(ASSETS["events/recording_matches"]),
)


def identified(rows: list[Row], span: Span) -> list[list[Row]]:
    """Raw listens and what their names are."""
    return [rows, oracle.recording_matches(rows, CATALOG)]


def decided(rows: list[Row], span: Span) -> list[list[Row]]:
    """Raw listens, what their names are, and which of them gave way."""
    ids = oracle.recording_matches(rows, CATALOG)
    return [rows, ids, oracle.replaced(rows, ids, date.min, date.max)]


TOLD = st.tuples(st.one_of(tables.feeds(), tables.raw_listens()), AMONG_DAYS)
REPLACED = Transformation(
    "events/duplicate_listens",
    lambda raw, ids, span: oracle.replaced(raw, ids, *span),
    TOLD,
    _hard([raw(at(LEAP), 0)], [*TRICKY_FEEDS, *(r | {"import_id": "tricky"} for r in TRICKY_RAW)], WEEK),
    identified,
)
ONCE = Transformation(
    "events/listens",
    lambda raw, ids, replaced, span: oracle.listens(raw, ids, replaced),
    TOLD,
    _hard([raw(at(LEAP), 0)], TRICKY_RAW),
    decided,
)


def told_of_apps(rows: list[Row], span: Span) -> list[list[Row]]:
    """Raw application events, and what the names are under which something was listened to on their days."""
    return [rows, oracle.recording_matches(HEARD_NAMES, CATALOG)]


def done_in_apps(rows: list[Row], span: Span) -> list[list[Row]]:
    """Application events, each once, and the catalog."""
    return [oracle.app_events(*told_of_apps(rows, span)), LENGTHS]


PRESSED = st.tuples(tables.app_events(), AMONG_DAYS)
HARD_APP_EVENTS = _hard([app_event(at(LEAP), 0)], TRICKY_APP_EVENTS, WEEK)
APP_EVENTS_ONCE = Transformation(
    "events/app_events",
    lambda raw, ids, span: oracle.app_events(raw, ids),
    PRESSED,
    HARD_APP_EVENTS,
    told_of_apps,
)
APP_ACTIVITY_OF_EVENTS = Transformation(
    "events/daily_app_usage",
    lambda events, recordings, span: oracle.daily_app_usage(events, recordings, *span),
    PRESSED,
    HARD_APP_EVENTS,
    done_in_apps,
)
SINGLE_RELATION = [
    tables.relation(0, "ada", "bob", at(LEAP)),
    tables.relation(1, "c", "a", None, relation="friendship"),
]
FOLLOWS_OF_RELATIONSHIPS = Transformation(
    "events/follows",
    lambda rows, gone, span: oracle.spells(rows, gone, "follow", ("user_id", "followed_id")),
    at_any_time(tables.relationships()),
    _hard(SINGLE_RELATION, TRICKY_RELATIONS),
    lambda rows, span: [rows, DELETED],
)
FRIENDSHIPS_OF_RELATIONSHIPS = Transformation(
    "events/friendships",
    lambda rows, gone, span: oracle.spells(rows, gone, "friendship", ("user_a", "user_b")),
    at_any_time(tables.relationships()),
    _hard(SINGLE_RELATION, TRICKY_RELATIONS),
    lambda rows, span: [rows, DELETED],
)
SHARES_ONCE = Transformation(
    "events/shares",
    lambda raw, gone, span: oracle.shares(raw, gone),
    at_any_time(tables.shares()),
    _hard([tables.share(0, at(LEAP))], TRICKY_SHARES),
    lambda rows, span: [rows, DELETED],
)
POSTS_IDENTIFIED = Transformation(
    "events/posts",
    lambda raw, gone, recordings, span: oracle.posts(raw, gone, recordings),
    at_any_time(tables.posts()),
    _hard([tables.post(0, at(LEAP), ("Artist", "Song"))], TRICKY_POSTS),
    lambda rows, span: [rows, DELETED, CATALOG],
    reads={"raw_posts": RAW_POSTS, "raw_deletions": RAW_DELETIONS, "recordings": RECORDINGS},
    run=with_keys(ASSETS["events/posts"]),
)
TAGGINGS_IDENTIFIED = Transformation(
    "events/tag_assignments",
    lambda raw, recordings, span: oracle.tag_assignments(raw, recordings),
    at_any_time(tables.tag_assignments()),
    _hard([tables.tag_assignment(0, "Artist", "Pop")], TRICKY_TAGGINGS),
    lambda rows, span: [rows, CATALOG],
)
TRANSFORMATIONS = (
    IDENTITIES_OF_NAMES,
    REPLACED,
    ONCE,
    SESSIONS_OF_LISTENS,
    ACTIVITY_OF_LISTENS,
    ACTIVES_OF_ACTIVITY,
    RETENTION_OF_ACTIVITY,
    STREAKS_OF_ACTIVITY,
    APP_EVENTS_ONCE,
    APP_ACTIVITY_OF_EVENTS,
    Transformation(
        "events/app_event_schema",
        _plain(oracle.app_event_schema),
        PRESSED,
        HARD_APP_EVENTS,
    ),
    FOLLOWS_OF_RELATIONSHIPS,
    FRIENDSHIPS_OF_RELATIONSHIPS,
    SHARES_ONCE,
    POSTS_IDENTIFIED,
    TAGGINGS_IDENTIFIED,
    Transformation(
        "derived/recording_plays",
        _plain(oracle.recording_plays),
        at_any_time(tables.listens()),
        LISTENED,
    ),
    Transformation(
        "derived/artist_plays",
        _plain(oracle.artist_plays),
        at_any_time(tables.listens()),
        LISTENED,
    ),
    Transformation(
        "derived/display_names",
        _plain(oracle.display_names),
        at_any_time(tables.listens()),
        LISTENED,
    ),
    *CHARTS.values(),
    Transformation(
        "content/lyrics_lines",
        _plain(oracle.lyrics_lines),
        at_any_time(tables.lyrics()),
        _hard(sung((None, "La")), TRICKY_LYRICS),
    ),
    Transformation(
        "derived/lyrics_word_counts",
        _plain(oracle.word_counts),
        at_any_time(tables.lyrics()),
        _hard(sung((None, "La")), TRICKY_LYRICS),
    ),
    Transformation(
        "content/audio_features",
        lambda files, analyses, span: [
            dict.fromkeys(AUDIO_FEATURES.names) | row for row in oracle.audio_features(files, analyses)
        ],
        tables.audio().map(lambda made: (made, (LEAP, LEAP))),
        tuple((made, (LEAP, LEAP)) for made in ([[], []], [[tables.audio_file("a", "ab")], []], TRICKY_AUDIO)),
        lambda made, span: made,
        reads={"files": pa.schema([AUDIO_FILES.field(c) for c in audio_features.NEEDED]), "analyses": AUDIO_ANALYSES},
        run=lambda files, analyses, span: audio_features.of_files(files, analyses),
    ),
)
