"""Every asset's work, what it reads, and what plain Python makes of the same rows."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pyarrow as pa
from hypothesis import strategies as st

from assets.content import audio_features, lyrics_lines
from assets.content.audio_analyses import AUDIO_ANALYSES
from assets.content.audio_features import AUDIO_FEATURES
from assets.content.audio_files import AUDIO_FILES
from assets.content.lyrics import LYRICS
from assets.content.lyrics_lines import LINES
from assets.content.recordings import RECORDINGS
from assets.derived import charts, lyrics_word_counts, names, plays
from assets.derived.charts import CHART
from assets.derived.lyrics_word_counts import WORD_COUNTS
from assets.derived.names import NAMES
from assets.derived.plays import ARTIST_PLAYS, PLAYS
from assets.events import (
    actives,
    activity,
    app_activity,
    app_event_fields,
    app_events,
    identities,
    listens,
    posts,
    recording_keys,
    relations,
    replaced_listens,
    retention,
    sessions,
    shares,
    streaks,
    taggings,
)
from assets.events.actives import ACTIVES
from assets.events.activity import ACTIVITY
from assets.events.app_activity import APP_ACTIVITY
from assets.events.app_event_fields import APP_EVENT_FIELDS
from assets.events.app_events import APP_EVENTS
from assets.events.identities import IDENTITIES
from assets.events.imports import RAW_LISTENS
from assets.events.listens import LISTENS
from assets.events.posts import POSTS
from assets.events.relations import FOLLOWS, FRIENDSHIPS
from assets.events.replaced_listens import REPLACED_LISTENS
from assets.events.retention import RETENTION
from assets.events.sessions import SESSIONS
from assets.events.shares import SHARES
from assets.events.streaks import STREAKS
from assets.events.taggings import TAGGINGS
from assets.imports.app_events import RAW_APP_EVENTS
from assets.imports.posts import RAW_POSTS
from assets.imports.relations import RELATIONS
from assets.imports.retractions import RETRACTIONS
from assets.imports.shares import RAW_SHARES
from assets.imports.taggings import RAW_TAGGINGS
from assets.partitions import FIRST_DAY
from resources.frames.frame import Engine, Frame
from tests import oracle, tables
from tests.oracle import Row
from tests.tables import (
    CATALOGUE,
    HEARD_NAMES,
    LEAP,
    LENGTHS,
    RETRACTED,
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


@dataclass(frozen=True, repr=False)
class Transformation:
    """What an asset makes of tables, for a range of its partitions."""

    name: str
    reads: dict[str, pa.Schema]
    schema: pa.Schema
    run: Callable[..., Frame]  # of a frame for each table, and the range
    oracle: Callable[..., list[Row]]  # of rows for each table, and the range
    drawn: st.SearchStrategy[tuple[list[Row], Span]]  # rows to begin with, and a range
    hard: tuple[tuple[list[Row], Span], ...]
    prepare: Callable[[list[Row], Span], Sequence[list[Row]]] = lambda rows, span: [rows]

    def __repr__(self) -> str:
        return self.name

    def on(self, engine: Engine, rows: Sequence[list[Row]], span: Span) -> pa.Table:
        """The result on an engine."""
        given = [tables.table(r, schema) for r, schema in zip(rows, self.reads.values(), strict=True)]
        return self.run(*map(engine.from_arrow, given), span=span).collect(self.schema)


def work_of(asset: dg.AssetsDefinition) -> Callable[..., Frame]:
    """What an asset does to frames, without Dagster around it, which costs more than small tables do."""
    fn: Any = asset.op.compute_fn.decorated_fn  # type: ignore[union-attr]
    asks = "context" in inspect.signature(fn).parameters

    def run(*frames: Frame, span: Span) -> Frame:
        keys = dg.PartitionKeyRange(span[0].isoformat(), span[1].isoformat())
        return fn(*([SimpleNamespace(partition_key_range=keys)] if asks else []), *frames)

    return run


def with_keys(asset: dg.AssetsDefinition) -> Callable[..., Frame]:
    """What an asset does that looks names up in the catalogue, of rows and, last, of the catalogue."""
    work = work_of(asset)
    keys, parts = work_of(recording_keys.recording_keys), work_of(recording_keys.recording_parts)

    def run(*frames: Frame, span: Span) -> Frame:
        *rows, recordings = frames
        return work(*rows, keys(recordings, span=span), parts(recordings, span=span), span=span)

    return run


def _plain(answer: Callable[[list[Row]], list[Row]]) -> Callable[..., list[Row]]:
    return lambda rows, span: answer(rows)


def _at_any_time(rows: st.SearchStrategy[list[Row]]) -> st.SearchStrategy[tuple[list[Row], Span]]:
    return rows.map(lambda r: (r, (LEAP, LEAP)))


def _hard(single: list[Row], tricky: list[Row], span: Span = (LEAP, LEAP)) -> tuple[tuple[list[Row], Span], ...]:
    return ([], span), (single, span), (tricky, span)


SINGLE = [listen(at(LEAP, 7))]
LISTENED = _hard(SINGLE, TRICKY_LISTENS)
WEEK = (LEAP, LEAP + timedelta(days=6))
AMONG_DAYS = st.tuples(st.integers(0, 3), st.integers(0, 1)).map(
    lambda x: (LEAP + timedelta(days=x[0]), LEAP + timedelta(days=x[0] + x[1]))
)


def _chart(period: str, asset: dg.AssetsDefinition) -> Transformation:
    def prepare(rows: list[Row], span: Span) -> list[list[Row]]:
        """The days that a chart reads: those of its periods and of the one before."""
        before = max(oracle.begin(span[0] - timedelta(days=1), period), FIRST_DAY)
        read = [r for r in rows if before <= r["day"] and oracle.begin(r["day"], period) <= span[1]]
        return [oracle.plays(read), oracle.artist_plays(read), oracle.names(read)]

    def answer(*rows: list[Row], span: Span) -> list[Row]:
        return oracle.chart(*rows, period=period, first=span[0], last=span[1])

    starts = [oracle.begin(LEAP, period)]
    if period != "all_time":
        for _ in range(2):
            starts.append(oracle.begin(starts[-1] + timedelta(days=_longest(period)), period))
    days = sorted({s + timedelta(days=d) for s in starts for d in (-1, 0, _longest(period) // 2)})
    spans = [(first, last) for first in starts for last in starts if first <= last]
    return Transformation(
        f"charts_{period}",
        {"plays": PLAYS, "artist_plays": ARTIST_PLAYS, "names": NAMES},
        CHART,
        work_of(asset),
        answer,
        st.tuples(tables.listens(days), st.sampled_from(spans)),
        _hard(SINGLE, TRICKY_LISTENS, (starts[0], starts[-1])),
        prepare,
    )


def _longest(period: str) -> int:
    return {"daily": 1, "weekly": 7, "monthly": 31, "yearly": 366, "all_time": 1}[period]


CHARTS = {
    name: _chart(name, asset)
    for name, asset in zip(("daily", "weekly", "monthly", "yearly", "all_time"), charts.charts, strict=True)
}
SESSIONS_OF_LISTENS = Transformation(
    "sessions",
    {"listens": LISTENS},
    SESSIONS,
    work_of(sessions.sessions),
    lambda rows, span: oracle.sessions(rows, *span),
    st.tuples(tables.evenings(), AMONG_DAYS),
    _hard(SINGLE, TRICKY_LISTENS, WEEK),
)


def _activity(rows: list[Row], span: Span) -> list[list[Row]]:
    """All activity."""
    return [oracle.activity(rows, LENGTHS)]


def _month_of_activity(rows: list[Row], span: Span) -> list[list[Row]]:
    """The activity that actives read: of their days and of the month before."""
    before = span[0] - timedelta(days=29)
    return [oracle.activity([r for r in rows if before <= r["day"] <= span[1]], LENGTHS)]


ACTIVITY_OF_LISTENS = Transformation(
    "activity",
    {"listens": LISTENS, "recordings": RECORDINGS},
    ACTIVITY,
    work_of(activity.activity),
    lambda listens, recordings, span: oracle.activity(listens, recordings),
    _at_any_time(tables.listens()),
    LISTENED,
    lambda rows, span: [rows, LENGTHS],
)
ACTIVES_OF_ACTIVITY = Transformation(
    "actives",
    {"activity": ACTIVITY},
    ACTIVES,
    work_of(actives.actives),
    lambda rows, span: oracle.actives(rows, *span),
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
    "retention",
    {"activity": ACTIVITY},
    RETENTION,
    work_of(retention.retention),
    _plain(oracle.retention),
    _at_any_time(tables.habits()),
    LISTENED,
    _activity,
)
STREAKS_OF_ACTIVITY = Transformation(
    "streaks",
    {"activity": ACTIVITY},
    STREAKS,
    work_of(streaks.streaks),
    _plain(oracle.streaks),
    _at_any_time(tables.habits()),
    LISTENED,
    _activity,
)
IDENTITIES_OF_NAMES = Transformation(
    "identities",
    {"raw_listens": RAW_LISTENS, "recordings": RECORDINGS},
    IDENTITIES,
    with_keys(identities.identities),
    lambda raw, recordings, span: oracle.identities(raw, recordings),
    _at_any_time(tables.names()),
    _hard([raw(at(LEAP), 0)], [*TRICKY_NAMES, *TRICKY_RAW]),
    lambda rows, span: [rows, CATALOGUE],
)


def identified(rows: list[Row], span: Span) -> list[list[Row]]:
    """Raw listens and what their names are."""
    return [rows, oracle.identities(rows, CATALOGUE)]


def decided(rows: list[Row], span: Span) -> list[list[Row]]:
    """Raw listens, what their names are, and which of them gave way."""
    ids = oracle.identities(rows, CATALOGUE)
    return [rows, ids, oracle.replaced(rows, ids, date.min, date.max)]


TOLD = st.tuples(st.one_of(tables.feeds(), tables.raw_listens()), AMONG_DAYS)
REPLACED = Transformation(
    "replaced_listens",
    {"raw_listens": RAW_LISTENS, "identities": IDENTITIES},
    REPLACED_LISTENS,
    work_of(replaced_listens.replaced_listens),
    lambda raw, ids, span: oracle.replaced(raw, ids, *span),
    TOLD,
    _hard([raw(at(LEAP), 0)], [*TRICKY_FEEDS, *(r | {"import_id": "tricky"} for r in TRICKY_RAW)], WEEK),
    identified,
)
ONCE = Transformation(
    "listens",
    {"raw_listens": RAW_LISTENS, "identities": IDENTITIES, "replaced_listens": REPLACED_LISTENS},
    LISTENS,
    work_of(listens.listens),
    lambda raw, ids, replaced, span: oracle.listens(raw, ids, replaced),
    TOLD,
    _hard([raw(at(LEAP), 0)], TRICKY_RAW),
    decided,
)


def told_of_apps(rows: list[Row], span: Span) -> list[list[Row]]:
    """Raw application events, and what the names are under which something was listened to on their days."""
    return [rows, oracle.identities(HEARD_NAMES, CATALOGUE)]


def done_in_apps(rows: list[Row], span: Span) -> list[list[Row]]:
    """Application events, each once, and the catalogue."""
    return [oracle.app_events(*told_of_apps(rows, span)), LENGTHS]


PRESSED = st.tuples(tables.app_events(), AMONG_DAYS)
HARD_APP_EVENTS = _hard([app_event(at(LEAP), 0)], TRICKY_APP_EVENTS, WEEK)
APP_EVENTS_ONCE = Transformation(
    "app_events",
    {"raw_app_events": RAW_APP_EVENTS, "identities": IDENTITIES},
    APP_EVENTS,
    work_of(app_events.app_events),
    lambda raw, ids, span: oracle.app_events(raw, ids),
    PRESSED,
    HARD_APP_EVENTS,
    told_of_apps,
)
APP_ACTIVITY_OF_EVENTS = Transformation(
    "app_activity",
    {"app_events": APP_EVENTS, "recordings": RECORDINGS},
    APP_ACTIVITY,
    work_of(app_activity.app_activity),
    lambda events, recordings, span: oracle.app_activity(events, recordings, *span),
    PRESSED,
    HARD_APP_EVENTS,
    done_in_apps,
)
SINGLE_RELATION = [
    tables.relation(0, "ada", "bob", at(LEAP)),
    tables.relation(1, "c", "a", None, relation="friendship"),
]
FOLLOWS_OF_RELATIONS = Transformation(
    "follows",
    {"relations": RELATIONS, "retractions": RETRACTIONS},
    FOLLOWS,
    work_of(relations.follows),
    lambda rows, gone, span: oracle.spells(rows, gone, "follow", ("user_id", "followed_id")),
    _at_any_time(tables.relations()),
    _hard(SINGLE_RELATION, TRICKY_RELATIONS),
    lambda rows, span: [rows, RETRACTED],
)
FRIENDSHIPS_OF_RELATIONS = Transformation(
    "friendships",
    {"relations": RELATIONS, "retractions": RETRACTIONS},
    FRIENDSHIPS,
    work_of(relations.friendships),
    lambda rows, gone, span: oracle.spells(rows, gone, "friendship", ("user_a", "user_b")),
    _at_any_time(tables.relations()),
    _hard(SINGLE_RELATION, TRICKY_RELATIONS),
    lambda rows, span: [rows, RETRACTED],
)
SHARES_ONCE = Transformation(
    "shares",
    {"raw_shares": RAW_SHARES, "retractions": RETRACTIONS},
    SHARES,
    work_of(shares.shares),
    lambda raw, gone, span: oracle.shares(raw, gone),
    _at_any_time(tables.shares()),
    _hard([tables.share(0, at(LEAP))], TRICKY_SHARES),
    lambda rows, span: [rows, RETRACTED],
)
POSTS_IDENTIFIED = Transformation(
    "posts",
    {"raw_posts": RAW_POSTS, "retractions": RETRACTIONS, "recordings": RECORDINGS},
    POSTS,
    with_keys(posts.posts),
    lambda raw, gone, recordings, span: oracle.posts(raw, gone, recordings),
    _at_any_time(tables.posts()),
    _hard([tables.post(0, at(LEAP), ("Artist", "Song"))], TRICKY_POSTS),
    lambda rows, span: [rows, RETRACTED, CATALOGUE],
)
TAGGINGS_IDENTIFIED = Transformation(
    "taggings",
    {"raw_taggings": RAW_TAGGINGS, "recordings": RECORDINGS},
    TAGGINGS,
    work_of(taggings.taggings),
    lambda raw, recordings, span: oracle.taggings(raw, recordings),
    _at_any_time(tables.taggings()),
    _hard([tables.tagging(0, "Artist", "Pop")], TRICKY_TAGGINGS),
    lambda rows, span: [rows, CATALOGUE],
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
        "app_event_fields",
        {"raw_app_events": RAW_APP_EVENTS},
        APP_EVENT_FIELDS,
        work_of(app_event_fields.app_event_fields),
        _plain(oracle.app_event_fields),
        PRESSED,
        HARD_APP_EVENTS,
    ),
    FOLLOWS_OF_RELATIONS,
    FRIENDSHIPS_OF_RELATIONS,
    SHARES_ONCE,
    POSTS_IDENTIFIED,
    TAGGINGS_IDENTIFIED,
    Transformation(
        "plays",
        {"listens": LISTENS},
        PLAYS,
        work_of(plays.plays),
        _plain(oracle.plays),
        _at_any_time(tables.listens()),
        LISTENED,
    ),
    Transformation(
        "artist_plays",
        {"listens": LISTENS},
        ARTIST_PLAYS,
        work_of(plays.artist_plays),
        _plain(oracle.artist_plays),
        _at_any_time(tables.listens()),
        LISTENED,
    ),
    Transformation(
        "names",
        {"listens": LISTENS},
        NAMES,
        work_of(names.names),
        _plain(oracle.names),
        _at_any_time(tables.listens()),
        LISTENED,
    ),
    *CHARTS.values(),
    Transformation(
        "lyrics_lines",
        {"lyrics": LYRICS},
        LINES,
        work_of(lyrics_lines.lyrics_lines),
        _plain(oracle.lyrics_lines),
        _at_any_time(tables.lyrics()),
        _hard(sung((None, "La")), TRICKY_LYRICS),
    ),
    Transformation(
        "lyrics_word_counts",
        {"lyrics": LYRICS},
        WORD_COUNTS,
        work_of(lyrics_word_counts.lyrics_word_counts),
        _plain(oracle.word_counts),
        _at_any_time(tables.lyrics()),
        _hard(sung((None, "La")), TRICKY_LYRICS),
    ),
    Transformation(
        "audio_features",
        {"files": pa.schema([AUDIO_FILES.field(c) for c in audio_features.NEEDED]), "analyses": AUDIO_ANALYSES},
        AUDIO_FEATURES,
        lambda files, analyses, span: audio_features.of_files(files, analyses),
        lambda files, analyses, span: [
            dict.fromkeys(AUDIO_FEATURES.names) | row for row in oracle.audio_features(files, analyses)
        ],
        tables.audio().map(lambda made: (made, (LEAP, LEAP))),
        tuple((made, (LEAP, LEAP)) for made in ([[], []], [[tables.audio_file("a", "ab")], []], TRICKY_AUDIO)),
        lambda made, span: made,
    ),
)
