"""Listeners: a seeded simulation of a population and its listens.

This module simulates tastes, habits, friends, bots and the resulting listens, as numpy columns. Every step is linear in
its output, and days are independent, so a large world can be simulated day by day. Code outside the sandbox must not
use the fields marked as ground truth (see `truth.py`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from resources.sandbox.performers import Recording

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

GROUPS = 8  # taste groups; row GROUPS of every taste table is overall popularity
# Strength of a group's preference by feature. Performers and forms weigh most, as with real listeners.
PREFERENCES = {"collection": 1.0, "form": 1.0, "performer": 1.0, "key": 0.5, "mode": 0.5}
REPERTOIRE_SHARE, REPERTOIRE_FACTOR = 0.05, 100.0  # preferred recordings of a group, and how much likelier they are
SONG_RANK_DIVISOR = 100  # songs with words are ranked this much higher in popularity
ZIPF_EXPONENT, ZIPF_OFFSET = 0.8, 50  # Zipf-Mandelbrot law: many hits, but none that everyone plays
OWN_GROUP_SHARE, POPULAR_SHARE = 0.75, 0.10  # of a listener's plays; the rest is from other groups
SAME_TASTE_SHARE = 0.8  # of the plays in a session are from the group it began with
FAVORITES, FAVORITES_SHARE = 12, 0.12  # favorite recordings per listener, and their share of plays
FRIENDS, SAME_GROUP_SHARE = 4, 0.65  # average friends per listener, and the share in the same group
BOTS_SHARE = 0.03  # of the population
JOIN_SHARE, LEAVE_SHARE = 0.08, 0.02  # of the listeners per week, in a world with turnover
CASUAL_SHARE, SKIPPED_SHARE = 0.4, 0.4  # of listeners, and of the weeks in which these do not listen
NEVER = 10**6  # an ordinal of a date after all others
BOUTS, BOUT_PLAYS = 6, 10  # bouts in a bot's day, and plays in each
LOOP_SECONDS = 31  # services pay for plays of at least 30 seconds
PLAYLIST = 24  # recordings in a playlist bot's cycle
SESSIONS_PER_DAY = 1.2  # average over listeners and weekdays
SESSION_PLAYS = 7  # average
SKIP_OWN, SKIP_OTHER = 0.12, 0.35  # probability to skip a play from the listener's group, and from another
PAUSE_S = 6  # average, between two plays

# fmt: off
ZONES = {"Europe/London": 4, "Europe/Dublin": 3, "Europe/Berlin": 4, "Europe/Lisbon": 1, "America/New_York": 5,
         "America/Chicago": 2, "America/Los_Angeles": 3, "America/Sao_Paulo": 2, "Pacific/Honolulu": 1,
         "Asia/Kolkata": 3, "Asia/Tokyo": 2, "Australia/Sydney": 2, "Africa/Lagos": 1}  # IANA name and weight
DAWN_HOUR = 4  # local hour at which a day of listening begins and ends, because few are awake
#           04 05 06 07 08 09 10 11 12 13 14 15 16 17 18 19 20 21 22 23 00 01 02 03
WORKDAY = ( 1, 2, 6,11,12, 7, 5, 5, 8, 7, 5, 5, 7,11,13,13,14,14,11, 7, 4, 2, 1, 1)  # weight of each hour
WEEKEND = ( 1, 1, 2, 3, 5, 8,11,12,12,12,12,12,11,11,11,12,13,14,13,11, 8, 5, 3, 2)
WEEK = (0.9, 0.9, 0.9, 0.95, 1.15, 1.3, 1.05)  # relative number of sessions by weekday, from Monday
ADJECTIVES = ("amber", "brisk", "calm", "dusky", "early", "faded", "gentle", "hazy", "idle", "jolly", "late", "mossy",
              "nimble", "odd", "plain", "quiet", "rusty", "silver", "tidal", "upbeat", "velvet", "wry")
NOUNS = ("anchor", "banjo", "cello", "drum", "echo", "fiddle", "gong", "harp", "iris", "jar", "kite", "lute", "mill",
         "nest", "oboe", "piper", "quay", "reed", "spoon", "tabor", "viol", "whistle")
# fmt: on


@dataclass(frozen=True)
class Population:
    """Arrays with one row per listener. `zone` indexes the names in ZONES."""

    user_id: Ints
    user_name: list[str]
    zone: Ints
    friends: Ints  # [pairs, 2]: rows of two listeners, the smaller first, each pair once
    sessions_per_day: Floats
    shift: Floats  # seconds by which the listener's day is later than average
    favorites: Ints  # [listeners, FAVORITES]: rows of recordings
    mixture: Floats  # [listeners, GROUPS + 1]: cumulative shares of the tastes
    taste_group: Ints  # ground truth
    joined: Ints  # ordinal of the first day; 0 means always
    left: Ints  # ordinal of the day after the last
    skips: Floats  # share of weeks in which they do not listen
    bot: Bools  # ground truth
    tastes: Floats  # [GROUPS + 1, recordings]: cumulative probabilities; ground truth


@dataclass(frozen=True)
class Listens:
    """Columns of equal length, in order of time."""

    listener: Ints  # row of the population
    recording: Ints  # row of the recordings
    listened_at: Ints  # the start, in seconds since 1970 UTC
    ms_played: Ints


def population(recordings: Sequence[Recording], seed: int, listeners: int) -> Population:
    """Generate the listeners of a world. The same recordings, seed and number give the same listeners."""
    rng = np.random.default_rng([seed, 1])
    tastes = _tastes(recordings, rng)
    group = rng.integers(GROUPS, size=listeners)
    shares = np.zeros((listeners, GROUPS + 1))
    shares[:, :GROUPS] = rng.dirichlet(np.full(GROUPS, 0.4), size=listeners) * (1 - OWN_GROUP_SHARE - POPULAR_SHARE)
    shares[:, GROUPS] = POPULAR_SHARE
    shares[np.arange(listeners), group] += OWN_GROUP_SHARE
    mixture = _cumulative(shares)
    owner = np.repeat(np.arange(listeners), FAVORITES)
    user_id = 1000 + np.arange(listeners)
    name_parts = rng.integers((len(ADJECTIVES), len(NOUNS)), size=(listeners, 2))
    weights = np.array(list(ZONES.values()), dtype=float)
    bot = np.zeros(listeners, dtype=bool)
    bot[rng.choice(listeners, size=max(1, round(BOTS_SHARE * listeners)), replace=False)] = True
    return Population(
        user_id=user_id,
        user_name=[f"{ADJECTIVES[a]}_{NOUNS[n]}_{i}" for (a, n), i in zip(name_parts, user_id, strict=True)],
        zone=rng.choice(len(ZONES), size=listeners, p=weights / weights.sum()),
        friends=_friends(group, rng),
        sessions_per_day=SESSIONS_PER_DAY
        * rng.lognormal(-0.125, 0.5, size=listeners),  # mean 1: a few listen much more
        shift=rng.normal(0, 3600, size=listeners),
        favorites=_draw(tastes, _draw(mixture, owner, rng), rng).reshape(listeners, FAVORITES),
        mixture=mixture,
        taste_group=group,
        joined=np.zeros(listeners, dtype=np.int64),
        left=np.full(listeners, NEVER),
        skips=np.zeros(listeners),
        bot=bot,
        tastes=tastes,
    )


def with_turnover(people: Population, *, first_day: date, days: int, seed: int) -> Population:
    """Return the population with turnover, as in a growing service: some join, some leave, some skip weeks.

    Bots neither join, leave nor skip. Others join within `days` from `first_day`.
    """
    rng = np.random.default_rng([seed, 6])
    size, start = len(people.user_name), first_day.toordinal()
    wait = (rng.random(size) / JOIN_SHARE * 7).astype(np.int64)
    joined = np.where((wait < days) & ~people.bot, start + wait, 0)
    stays = 1 + rng.exponential(7 / LEAVE_SHARE, size=size).astype(np.int64)
    casual = (rng.random(size) < CASUAL_SHARE) & ~people.bot
    return replace(
        people,
        joined=joined,
        left=np.where(people.bot, NEVER, np.maximum(joined, start) + stays),
        skips=np.where(casual, SKIPPED_SHARE, 0.0),
    )


def simulate(people: Population, recordings: Sequence[Recording], *, first_day: date, days: int, seed: int) -> Listens:
    """Simulate all listens that start in the `days` UTC days from `first_day`, in order of time.

    Each day has its own random stream, so a longer window contains the listens of a shorter one.
    """
    window = [listens for _, listens in simulate_by_day(people, recordings, first_day=first_day, days=days, seed=seed)]
    columns = np.concatenate([[day.listener, day.recording, day.listened_at, day.ms_played] for day in window], axis=1)
    return Listens(*columns[:, np.lexsort((columns[0], columns[2]))])


def simulate_by_day(
    people: Population, recordings: Sequence[Recording], *, first_day: date, days: int, seed: int
) -> Iterator[tuple[date, Listens]]:
    """Yield the listens of each UTC day, unordered within a day. Memory holds three days at a time."""
    length_ms = np.array([recording.length_ms for recording in recordings])
    pending: list[Ints] = []
    for n in range(-1, days + 1):  # a local day overlaps the UTC days before and after it
        day = first_day + timedelta(days=n)
        rng = np.random.default_rng([seed, 2, day.toordinal()])
        active = _active_on(day, people, seed)
        pending += [_humans_on(day, people, active, length_ms, rng), _bots_on(day, people, length_ms, rng)]
        if n > 0:  # yesterday is complete: tomorrow's local listens cannot be that early
            complete = (part[:, part[2] < epoch(day)] for part in pending)
            yield day - timedelta(days=1), Listens(*np.concatenate(list(complete), axis=1))
        pending = [part[:, part[2] >= epoch(day)] for part in pending]


def _tastes(recordings: Sequence[Recording], rng: Generator) -> Floats:
    """Return the cumulative probabilities of recordings by group: popularity, with its repertoire preferred."""
    preference = np.zeros((GROUPS, len(recordings)))
    for feature, strength in PREFERENCES.items():
        values = [r.credit[0][0].name if feature == "performer" else str(getattr(r.work, feature)) for r in recordings]
        kinds, kind = np.unique(values, return_inverse=True)
        preference += rng.normal(0, strength, size=(GROUPS, len(kinds)))[:, kind]
    rank = rng.permutation(len(recordings))
    rank[[r.work.lyrics is not None for r in recordings]] //= SONG_RANK_DIVISOR
    weight = np.tile((ZIPF_OFFSET + rank) ** -ZIPF_EXPONENT, (GROUPS + 1, 1))
    weight[:GROUPS][preference >= np.quantile(preference, 1 - REPERTOIRE_SHARE, axis=1, keepdims=True)] *= (
        REPERTOIRE_FACTOR
    )
    return _cumulative(weight)


def _friends(group: Ints, rng: Generator) -> Ints:
    """Return pairs of listeners, mostly of the same group."""
    listeners = len(group)
    one = np.repeat(np.arange(listeners), FRIENDS // 2)  # each pair makes two listeners friends
    by_group = np.argsort(group, kind="stable")
    size = np.bincount(group, minlength=GROUPS)
    first = np.cumsum(size) - size
    same_group = by_group[first[group[one]] + (rng.random(len(one)) * size[group[one]]).astype(np.int64)]
    other = np.where(rng.random(len(one)) < SAME_GROUP_SHARE, same_group, rng.integers(listeners, size=len(one)))
    pairs = np.sort(np.stack([one, other], axis=1), axis=1)
    return np.unique(pairs[pairs[:, 0] < pairs[:, 1]], axis=0)


def _active_on(day: date, people: Population, seed: int) -> Bools:
    """Return which listeners use the service on a day, of shape [listeners]."""
    ordinal = day.toordinal()
    monday = ordinal - day.weekday()
    skipped = np.random.default_rng([seed, 7, monday]).random(len(people.skips)) < people.skips
    return (people.joined <= ordinal) & (ordinal < people.left) & ~skipped


def _humans_on(day: date, people: Population, active: Bools, length_ms: Ints, rng: Generator) -> Ints:
    """Simulate the plays of humans from dawn to dawn in local time.

    Return rows listener, recording, listened_at and ms_played, of shape [4, plays].
    """
    hours = WEEKEND if day.weekday() >= 5 else WORKDAY
    count = rng.poisson(people.sessions_per_day * WEEK[day.weekday()] * (active & ~people.bot))
    owner = np.repeat(np.arange(len(count)), count)
    hour = _draw(_cumulative(np.array([hours], dtype=float)), np.zeros_like(owner), rng)
    clock = np.clip((hour + rng.random(len(owner))) * 3600 + people.shift[owner], 0, 86_399)
    starts = _utc(day, clock.astype(np.int64), people.zone[owner])
    starts = starts[np.lexsort((starts, owner))]

    plays = np.minimum(rng.geometric(1 / SESSION_PLAYS, size=len(owner)), 6 * SESSION_PLAYS)
    session = np.repeat(np.arange(len(owner)), plays)
    listener = owner[session]
    session_taste = _draw(people.mixture, owner, rng)[session]
    taste = np.where(rng.random(len(session)) < SAME_TASTE_SHARE, session_taste, _draw(people.mixture, listener, rng))
    favorite = people.favorites[listener, rng.integers(FAVORITES, size=len(session))]
    recording = np.where(rng.random(len(session)) < FAVORITES_SHARE, favorite, _draw(people.tastes, taste, rng))
    skip_probability = np.where(taste == people.taste_group[listener], SKIP_OWN, SKIP_OTHER)
    skipped = rng.random(len(session)) < skip_probability
    ms_played = np.where(skipped, rng.integers(2_000, 30_000, size=len(session)), length_ms[recording])

    duration = ms_played // 1000 + 1 + rng.exponential(PAUSE_S, size=len(session)).astype(np.int64)
    before = np.cumsum(duration) - duration
    opening = np.cumsum(plays) - plays  # the first play of each session
    listened_at = starts[session] + before - before[opening][session]
    ends = starts + np.add.reduceat(duration, opening) if len(owner) else starts
    # A listener has one session at a time: drop sessions that would start before the end of an earlier one, and plays
    # that would end after dawn. `offset` separates the times of different listeners.
    offset = owner * 2**32
    busy_until = np.maximum.accumulate(np.concatenate([[0], offset + ends]))[:-1]
    dawn = _utc(day + timedelta(days=1), np.zeros_like(people.zone), people.zone)
    valid = (offset + starts >= busy_until)[session] & (listened_at + duration <= dawn[listener])
    return np.stack([listener, recording, listened_at, ms_played])[:, valid]


def _bots_on(day: date, people: Population, length_ms: Ints, rng: Generator) -> Ints:
    """Simulate the plays of bots in a UTC day: every other one loops one recording, the rest repeat a playlist.

    Return rows as `_humans_on` does.
    """
    bots = np.flatnonzero(people.bot)
    recordings = len(length_ms)
    loops = np.arange(len(bots)) % 2 == 0
    track = np.arange(BOUT_PLAYS) % np.where(loops, 1, PLAYLIST)[:, None]
    recording = (people.favorites[bots, :1] + 97 * track) % recordings  # any fixed playlist works
    ms_played = np.where(loops[:, None], LOOP_SECONDS * 1000, length_ms[recording])
    duration = -(-ms_played // 1000)
    within = np.cumsum(duration, axis=1) - duration
    slot = 86_400 // BOUTS
    free = slot - duration.sum(axis=1)
    starts = slot * np.arange(BOUTS) + (rng.random((len(bots), BOUTS)) * free[:, None]).astype(np.int64)
    listened_at = epoch(day) + starts[:, :, None] + within[:, None, :]
    shape = listened_at.shape
    columns = (bots[:, None, None], recording[:, None, :], listened_at, ms_played[:, None, :])
    return np.stack([np.broadcast_to(column, shape).ravel() for column in columns])


def _utc(day: date, clock: Ints, zone: Ints) -> Ints:
    """Convert local times, in seconds after DAWN_HOUR of `day`, to seconds since 1970 UTC.

    A time skipped by a change to summer time becomes the hour after it.
    """
    hours = [datetime(day.year, day.month, day.day, DAWN_HOUR) + timedelta(hours=h) for h in range(24)]
    utc_offsets = [[hour.replace(tzinfo=ZoneInfo(name)).utcoffset() or timedelta() for hour in hours] for name in ZONES]
    offset: Ints = np.array([[int(delta.total_seconds()) for delta in row] for row in utc_offsets])
    at: Ints = epoch(day) + DAWN_HOUR * 3600 + clock - offset[zone, clock // 3600]
    return at


def epoch(day: date) -> int:
    """Return the seconds from 1970 to the start of a UTC day."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _cumulative(weights: Floats) -> Floats:
    total: Floats = np.cumsum(weights, axis=1)
    return total / total[:, -1:]


def _draw(cumulative: Floats, row: Ints, rng: Generator) -> Ints:
    """Draw a column for each given row by the row's cumulative probabilities, with one search of a flat table."""
    rows, columns = cumulative.shape
    flat = (cumulative + np.arange(rows)[:, None]).ravel()
    drawn = np.searchsorted(flat, row + rng.random(len(row)), side="right") - row * columns
    column: Ints = np.minimum(drawn, columns - 1)  # a draw next to 1 may round up into the next row
    return column
