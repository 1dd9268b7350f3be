"""Findings: sentences about the lake's tables, which the demo prints at its end.

The same tables give the same text. All names come from the data.
"""

import textwrap
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pyarrow.compute as pc

from assets.content.audio_features import AUDIO_FEATURES
from assets.content.lyrics import LYRICS
from assets.derived.charts import CHART, DAILY_CAP
from assets.derived.lyrics_word_counts import WORD_COUNTS
from assets.events.daily_listening import DAILY_LISTENING
from assets.events.retention import RETENTION
from assets.events.streaks import STREAKS
from assets.imports.ledger import QUARANTINE
from orchestration.cli import ranking, text_table
from orchestration.cli.text_table import escaped
from resources.lake.lake import Lake
from resources.sources.records.lyrics import WORDS

MAX_RANK = 20  # of recordings considered for the highest climb
MAX_REASONS = 3  # of quarantined records
MIN_LETTERS = 5  # shorter words are mostly "the", "and", "with"
MAX_WORDS = 5


def findings(lake: Lake) -> list[str]:
    """Return the findings as lines for a terminal. Each finding starts with its subject."""
    subjects = (listening, weekly_chart, loops, retention, streak, quarantine, lyrics, sound)
    lines = []
    for subject in subjects:
        for title, text in subject(lake):
            wrapped = textwrap.wrap(f"{title}: {text}", text_table.WIDTH - 2, subsequent_indent="    ")
            lines += [f"  {line}" for line in wrapped]
    return lines


Findings = Iterator[tuple[str, str]]


def listening(lake: Lake) -> Findings:
    """Yield the number of listens and listeners, and the time listened."""
    days = lake.scan("events/daily_listening", DAILY_LISTENING).select(["user_id", "listens", "ms_played"]).table()
    if not len(days):
        return
    total, ms = (pc.sum(days[name]).as_py() for name in ("listens", "ms_played"))
    people = len(days["user_id"].unique())
    yield "Listening", f"{total:,} listens by {people:,} listeners, {text_table.duration(ms)}"


def weekly_chart(lake: Lake) -> Findings:
    """Yield the top of the newest weekly chart and the highest climb."""
    week = ranking.read(lake, "weekly")
    if not week:
        return
    places = week.places("recording", MAX_RANK)
    first, title = places[0], week.title
    before = f"place {first.before} in {week.compared_with}" if first.before else "new"
    yield f"Top of {title}", f"{escaped(first.name)}, {first.plays:,} plays by {first.listeners:,} listeners ({before})"
    climbs = [place for place in places if place.before and place.before > place.rank]
    if climbs:
        most = max(climbs, key=lambda place: (place.before or 0) - place.rank)
        yield "Highest climb", f"{escaped(most.name)}, from place {most.before} to {most.rank}"


def loops(lake: Lake) -> Findings:
    """Yield the recording with the most plays, if few listeners played it."""
    chart = lake.scan("derived/charts_all_time", CHART).table()
    most = chart.filter(pc.and_(pc.equal(chart["entity"], "recording"), pc.equal(chart["rank"], 1))).to_pylist()
    for row in most:
        if row["plays_capped"] * 2 < row["plays"]:
            yield (
                "Most plays, not in the chart's lead",
                f"{escaped(row['name'] or row['entity_id'])}. It was looped: of {row['plays']:,} plays "
                f"{row['plays_capped']:,} count, at most {DAILY_CAP} of one listener and day",
            )


def retention(lake: Lake) -> Findings:
    """Yield how many listeners of earlier weeks returned in the newest full week."""
    rows = lake.scan("events/retention", RETENTION).table().to_pylist()
    newest: dict[object, dict[str, Any]] = {}
    for row in rows:
        if row["weeks_since"] and row["weeks_since"] >= newest.get(row["cohort_week"], row)["weeks_since"]:
            newest[row["cohort_week"]] = row
    came, back = (sum(row[name] for row in newest.values()) for name in ("cohort_size", "retained"))
    if came:
        week = max(row["cohort_week"] + timedelta(weeks=row["weeks_since"]) for row in newest.values())
        yield (
            "Coming back",
            (
                f"{back:,} of the {came:,} listeners who first came in an earlier week "
                f"were there in the week of {week} ({back / came:.0%})"
            ),
        )


def streak(lake: Lake) -> Findings:
    """Yield the longest streak and its listeners."""
    rows = lake.scan("events/streaks", STREAKS).table()
    longest = pc.max(rows["longest"]).as_py()
    if longest:
        names = sorted(rows.filter(pc.equal(rows["longest"], longest))["user_id"].to_pylist())
        others = f", first of {len(names):,} listeners" if names[1:] else ""
        yield "Longest streak", f"{longest:,} local days in a row, by {escaped(names[0])}{others}"


def quarantine(lake: Lake) -> Findings:
    """Yield the number of quarantined records and the most frequent reasons."""
    reasons = Counter(lake.scan("events/quarantine", QUARANTINE).select(["reason"]).table()["reason"].to_pylist())
    ranked = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    if ranked:
        listed = "; ".join(f"{n:,} × {escaped(reason)}" for reason, n in ranked[:MAX_REASONS])
        yield "Quarantine", f"{reasons.total():,} unreadable records, most often {listed}"


def lyrics(lake: Lake) -> Findings:
    """Yield the number of recordings with words, and the most frequent words."""
    texts = lake.scan("content/lyrics", LYRICS).select(["status", "language", "is_preferred"]).table()
    sung = texts.filter(pc.and_(texts["is_preferred"], pc.equal(texts["status"], WORDS)))
    if len(sung):
        counts = lake.scan("derived/lyrics_word_counts", WORD_COUNTS).table()
        long = counts.filter(pc.greater_equal(pc.utf8_length(counts["word"]), MIN_LETTERS))
        top = long.sort_by([("works", "descending"), ("occurrences", "descending"), ("word", "ascending")])
        words = ", ".join(f"{escaped(row['word'])} ({row['works']:,})" for row in top.slice(0, MAX_WORDS).to_pylist())
        yield "Lyrics", f"{len(sung):,} recordings have words. Long words by the number of texts: {words}"


def sound(lake: Lake) -> Findings:
    """Yield the range of tempos and the most frequent key of the audio files."""
    files = lake.scan("content/audio_features", AUDIO_FEATURES).select(["tempo_bpm", "key", "mode", "error"]).table()
    fine = files.filter(pc.is_null(files["error"]))
    tempos = [tempo for tempo in fine["tempo_bpm"].to_pylist() if tempo]
    keys = Counter(
        f"{key} {mode}" for key, mode in zip(*(fine[n].to_pylist() for n in ("key", "mode")), strict=True) if key
    )
    if tempos and keys:
        key, times = min(keys.items(), key=lambda item: (-item[1], item[0]))
        yield (
            "Sound",
            (
                f"{len(fine):,} audio files of {min(tempos):.0f} to {max(tempos):.0f} beats per minute, "
                f"most often in {key} ({times:,})"
            ),
        )
