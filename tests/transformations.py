"""Transformations: what every asset does with tables, and the same in plain Python.

To add a new asset to the tests of equality, division and increments, add a `Transformation` to `TRANSFORMATIONS`.
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
from assets.tables import ASSETS as PLATFORM
from assets.tables import SCHEMAS
from resources.frames.frame import Engine, Frame
from resources.span import FIRST_DAY
from tests import oracle, tables
from tests.oracle import Row
from tests.tables import (
    CATALOG,
    DELETED,
    LEAP,
    LENGTHS,
    LISTENED_NAMES,
    TRICKY_APP_EVENTS,
    TRICKY_AUDIO,
    TRICKY_FEEDS,
    TRICKY_LISTENS,
    TRICKY_LYRICS,
    TRICKY_NAMES,
    TRICKY_POSTS,
    TRICKY_RAW,
    TRICKY_RELATIONSHIPS,
    TRICKY_SHARES,
    TRICKY_TAG_ASSIGNMENTS,
    app_event,
    at,
    listen,
    raw,
    sung,
)

Span = tuple[date, date]


ASSETS = {
    key.to_user_string(): asset for asset in PLATFORM if isinstance(asset, dg.AssetsDefinition) for key in asset.keys
}
"""The asset of each table."""


@dataclass(frozen=True, repr=False)
class Transformation:
    """What a table's asset does for a range of its partitions, and the same in plain Python.

    `reads` and `run` are those of the asset unless given.
    """

    table: str
    oracle: Callable[..., list[Row]]  # gets the rows of each upstream table, and the range
    drawn: st.SearchStrategy[tuple[list[Row], Span]]  # source rows, and a range
    hard: tuple[tuple[list[Row], Span], ...]  # the same: empty, a single row, tricky
    prepare: Callable[[list[Row], Span], Sequence[list[Row]]] = lambda rows, span: [rows]  # upstream rows of the source
    reads: dict[str, pa.Schema] = None  # type: ignore[assignment]
    run: Callable[..., Frame] = None  # type: ignore[assignment]  # gets a frame of each upstream table, and the range

    def __post_init__(self) -> None:
        object.__setattr__(self, "reads", self.reads or reads_of(self.asset))
        object.__setattr__(self, "run", self.run or work_of(self.asset))

    def __repr__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """Return the name of the table within its layer."""
        return self.table.split("/")[1]

    @property
    def asset(self) -> dg.AssetsDefinition:
        """Return the asset of the table."""
        return ASSETS[self.table]

    @property
    def schema(self) -> pa.Schema:
        """Return the columns that the asset declares."""
        return SCHEMAS[self.table]

    def on(self, engine: Engine, rows: Sequence[list[Row]], span: Span) -> pa.Table:
        """Return the result on an engine."""
        upstream = [tables.table(r, schema) for r, schema in zip(rows, self.reads.values(), strict=True)]
        return self.run(*map(engine.from_arrow, upstream), span=span).collect(self.schema)


def reads_of(asset: dg.AssetsDefinition) -> dict[str, pa.Schema]:
    """Return the columns of each table that an asset reads, in the order of its function."""
    keys = asset.keys_by_input_name
    return {name: SCHEMAS[keys[name].to_user_string()] for name in _parameters(asset) if name in keys}


def _parameters(asset: dg.AssetsDefinition) -> list[str]:
    return list(inspect.signature(_function(asset)).parameters)


def _function(asset: dg.AssetsDefinition) -> Any:
    return asset.op.compute_fn.decorated_fn  # type: ignore[union-attr]


def work_of(asset: dg.AssetsDefinition) -> Callable[..., Frame]:
    """Return an asset's function over frames, without Dagster, which costs more than small tables do."""
    fn, has_context = _function(asset), "context" in _parameters(asset)

    def run(*frames: Frame, span: Span) -> Frame:
        keys = dg.PartitionKeyRange(span[0].isoformat(), span[1].isoformat())
        return fn(*([SimpleNamespace(partition_key_range=keys)] if has_context else []), *frames)

    return run


def with_keys(asset: dg.AssetsDefinition) -> Callable[..., Frame]:
    """Return the function of an asset that matches names. Its last frame is the catalog instead of its keys."""
    work = work_of(asset)
    match_keys, blocking_keys = work_of(ASSETS["content/match_keys"]), work_of(ASSETS["content/blocking_keys"])

    def run(*frames: Frame, span: Span) -> Frame:
        *rows, recordings = frames
        return work(*rows, match_keys(recordings, span=span), blocking_keys(recordings, span=span), span=span)

    return run


def _without_span(oracle: Callable[[list[Row]], list[Row]]) -> Callable[..., list[Row]]:
    return lambda rows, span: oracle(rows)


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
        """Return the upstream rows of a chart: those of its periods and of the one before."""
        before = max(oracle.begin(span[0] - timedelta(days=1), period), FIRST_DAY)
        read = [r for r in rows if before <= r["day"] and oracle.begin(r["day"], period) <= span[1]]
        return [oracle.recording_plays(read), oracle.artist_plays(read), oracle.display_names(read)]

    def expected(*rows: list[Row], span: Span) -> list[Row]:
        return oracle.chart(*rows, period=period, first=span[0], last=span[1])

    starts = [oracle.begin(LEAP, period)]
    if period != "all_time":
        for _ in range(2):
            starts.append(oracle.begin(starts[-1] + timedelta(days=_max_days(period)), period))
    days = sorted({s + timedelta(days=d) for s in starts for d in (-1, 0, _max_days(period) // 2)})
    spans = [(first, last) for first in starts for last in starts if first <= last]
    return Transformation(
        f"derived/charts_{period}",
        expected,
        st.tuples(tables.listens(days), st.sampled_from(spans)),
        _hard(SINGLE, TRICKY_LISTENS, (starts[0], starts[-1])),
        prepare,
    )


def _max_days(period: str) -> int:
    return {"daily": 1, "weekly": 7, "monthly": 31, "yearly": 366, "all_time": 1}[period]


CHARTS = {period: _chart(period) for period in ("daily", "weekly", "monthly", "yearly", "all_time")}
SESSIONS_OF_LISTENS = Transformation(
    "events/sessions",
    lambda rows, span: oracle.sessions(rows, *span),
    st.tuples(tables.evenings(), AMONG_DAYS),
    _hard(SINGLE, TRICKY_LISTENS, WEEK),
)


def _daily_listening(rows: list[Row], span: Span) -> list[list[Row]]:
    return [oracle.daily_listening(rows, LENGTHS)]


def _month_of_daily_listening(rows: list[Row], span: Span) -> list[list[Row]]:
    """Return the upstream rows of active_listeners: those of its days and of the month before."""
    before = span[0] - timedelta(days=29)
    return [oracle.daily_listening([r for r in rows if before <= r["day"] <= span[1]], LENGTHS)]


DAILY_LISTENING_OF_LISTENS = Transformation(
    "events/daily_listening",
    lambda listens, recordings, span: oracle.daily_listening(listens, recordings),
    at_any_time(tables.listens()),
    LISTENED,
    lambda rows, span: [rows, LENGTHS],
)
ACTIVE_OF_DAILY_LISTENING = Transformation(
    "events/active_listeners",
    lambda rows, span: oracle.active_listeners(rows, *span),
    st.tuples(
        tables.habits(),
        st.tuples(st.integers(-2, 60), st.integers(0, 40)).map(
            lambda x: (LEAP + timedelta(days=x[0]), LEAP + timedelta(days=sum(x)))
        ),
    ),
    _hard(SINGLE, TRICKY_LISTENS, (LEAP, LEAP + timedelta(days=40))),
    _month_of_daily_listening,
)
RETENTION_OF_DAILY_LISTENING = Transformation(
    "events/retention",
    _without_span(oracle.retention),
    at_any_time(tables.habits()),
    LISTENED,
    _daily_listening,
)
STREAKS_OF_DAILY_LISTENING = Transformation(
    "events/streaks",
    _without_span(oracle.streaks),
    at_any_time(tables.habits()),
    LISTENED,
    _daily_listening,
)
MATCHES_OF_NAMES = Transformation(
    "events/recording_matches",
    lambda raw, recordings, span: oracle.recording_matches(raw, recordings),
    at_any_time(tables.names()),
    _hard([raw(at(LEAP), 0)], [*TRICKY_NAMES, *TRICKY_RAW]),
    lambda rows, span: [rows, CATALOG],
    reads={"raw_listens": RAW_LISTENS, "recordings": RECORDINGS},
    run=with_keys(ASSETS["events/recording_matches"]),
)


def with_matches(rows: list[Row], span: Span) -> list[list[Row]]:
    """Return raw listens and the matches of their names."""
    return [rows, oracle.recording_matches(rows, CATALOG)]


def with_duplicates(rows: list[Row], span: Span) -> list[list[Row]]:
    """Return raw listens, the matches of their names, and the duplicates among them."""
    matches = oracle.recording_matches(rows, CATALOG)
    return [rows, matches, oracle.duplicate_listens(rows, matches, date.min, date.max)]


RAW_LISTENS_DRAWN = st.tuples(st.one_of(tables.feeds(), tables.raw_listens()), AMONG_DAYS)
DUPLICATES_OF_LISTENS = Transformation(
    "events/duplicate_listens",
    lambda raw, matches, span: oracle.duplicate_listens(raw, matches, *span),
    RAW_LISTENS_DRAWN,
    _hard([raw(at(LEAP), 0)], [*TRICKY_FEEDS, *(r | {"import_id": "tricky"} for r in TRICKY_RAW)], WEEK),
    with_matches,
)
LISTENS_ONCE = Transformation(
    "events/listens",
    lambda raw, matches, duplicates, span: oracle.listens(raw, matches, duplicates),
    RAW_LISTENS_DRAWN,
    _hard([raw(at(LEAP), 0)], TRICKY_RAW),
    with_duplicates,
)


def app_events_with_matches(rows: list[Row], span: Span) -> list[list[Row]]:
    """Return raw application events, and the matches of the names that were listened to on their days."""
    return [rows, oracle.recording_matches(LISTENED_NAMES, CATALOG)]


def app_events_with_catalog(rows: list[Row], span: Span) -> list[list[Row]]:
    """Return application events, each once, and the catalog."""
    return [oracle.app_events(*app_events_with_matches(rows, span)), LENGTHS]


APP_EVENTS_DRAWN = st.tuples(tables.app_events(), AMONG_DAYS)
HARD_APP_EVENTS = _hard([app_event(at(LEAP), 0)], TRICKY_APP_EVENTS, WEEK)
APP_EVENTS_ONCE = Transformation(
    "events/app_events",
    lambda raw, ids, span: oracle.app_events(raw, ids),
    APP_EVENTS_DRAWN,
    HARD_APP_EVENTS,
    app_events_with_matches,
)
DAILY_APP_USAGE_OF_EVENTS = Transformation(
    "events/daily_app_usage",
    lambda events, recordings, span: oracle.daily_app_usage(events, recordings, *span),
    APP_EVENTS_DRAWN,
    HARD_APP_EVENTS,
    app_events_with_catalog,
)
SINGLE_RELATIONSHIP = [
    tables.relationship(0, "ada", "bob", at(LEAP)),
    tables.relationship(1, "c", "a", None, relation="friendship"),
]
FOLLOWS_OF_RELATIONSHIPS = Transformation(
    "events/follows",
    lambda rows, deletions, span: oracle.related(rows, deletions, "follow", ("user_id", "followed_id")),
    at_any_time(tables.relationships()),
    _hard(SINGLE_RELATIONSHIP, TRICKY_RELATIONSHIPS),
    lambda rows, span: [rows, DELETED],
)
FRIENDSHIPS_OF_RELATIONSHIPS = Transformation(
    "events/friendships",
    lambda rows, deletions, span: oracle.related(rows, deletions, "friendship", ("user_a", "user_b")),
    at_any_time(tables.relationships()),
    _hard(SINGLE_RELATIONSHIP, TRICKY_RELATIONSHIPS),
    lambda rows, span: [rows, DELETED],
)
SHARES_ONCE = Transformation(
    "events/shares",
    lambda raw, deletions, span: oracle.shares(raw, deletions),
    at_any_time(tables.shares()),
    _hard([tables.share(0, at(LEAP))], TRICKY_SHARES),
    lambda rows, span: [rows, DELETED],
)
POSTS_MATCHED = Transformation(
    "events/posts",
    lambda raw, deletions, recordings, span: oracle.posts(raw, deletions, recordings),
    at_any_time(tables.posts()),
    _hard([tables.post(0, at(LEAP), ("Artist", "Song"))], TRICKY_POSTS),
    lambda rows, span: [rows, DELETED, CATALOG],
    reads={"raw_posts": RAW_POSTS, "raw_deletions": RAW_DELETIONS, "recordings": RECORDINGS},
    run=with_keys(ASSETS["events/posts"]),
)
TAG_ASSIGNMENTS_MATCHED = Transformation(
    "events/tag_assignments",
    lambda raw, recordings, span: oracle.tag_assignments(raw, recordings),
    at_any_time(tables.tag_assignments()),
    _hard([tables.tag_assignment(0, "Artist", "Pop")], TRICKY_TAG_ASSIGNMENTS),
    lambda rows, span: [rows, CATALOG],
)
TRANSFORMATIONS = (
    MATCHES_OF_NAMES,
    DUPLICATES_OF_LISTENS,
    LISTENS_ONCE,
    SESSIONS_OF_LISTENS,
    DAILY_LISTENING_OF_LISTENS,
    ACTIVE_OF_DAILY_LISTENING,
    RETENTION_OF_DAILY_LISTENING,
    STREAKS_OF_DAILY_LISTENING,
    APP_EVENTS_ONCE,
    DAILY_APP_USAGE_OF_EVENTS,
    Transformation(
        "events/app_event_schema",
        _without_span(oracle.app_event_schema),
        APP_EVENTS_DRAWN,
        HARD_APP_EVENTS,
    ),
    FOLLOWS_OF_RELATIONSHIPS,
    FRIENDSHIPS_OF_RELATIONSHIPS,
    SHARES_ONCE,
    POSTS_MATCHED,
    TAG_ASSIGNMENTS_MATCHED,
    Transformation(
        "derived/recording_plays",
        _without_span(oracle.recording_plays),
        at_any_time(tables.listens()),
        LISTENED,
    ),
    Transformation(
        "derived/artist_plays",
        _without_span(oracle.artist_plays),
        at_any_time(tables.listens()),
        LISTENED,
    ),
    Transformation(
        "derived/display_names",
        _without_span(oracle.display_names),
        at_any_time(tables.listens()),
        LISTENED,
    ),
    *CHARTS.values(),
    Transformation(
        "content/lyrics_lines",
        _without_span(oracle.lyrics_lines),
        at_any_time(tables.lyrics()),
        _hard(sung((None, "La")), TRICKY_LYRICS),
    ),
    Transformation(
        "derived/lyrics_word_counts",
        _without_span(oracle.word_counts),
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
        run=lambda files, analyses, span: audio_features.features_of_files(files, analyses),
    ),
)
