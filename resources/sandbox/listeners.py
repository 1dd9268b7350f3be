"""Who listens, and what they play when: a seeded, simulated population.

What belongs here: tastes, habits, friends, bots, and the listens that follow from them, as numpy columns. Every step
is linear in what it makes, and days are independent: a large world can be simulated window by window. The fields
marked as ground truth serve the simulation; outside the sandbox nothing may know them (see truth).
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

GROUPS = 8  # taste groups; row GROUPS of every taste table is plain popularity
# How strongly a group leans to what a recording is. Performers and forms weigh most, as they do with real listeners.
LEANINGS = {"collection": 1.0, "form": 1.0, "performer": 1.0, "key": 0.5, "mode": 0.5}
REPERTOIRE, DEVOTION = 0.05, 100.0  # share of the recordings that a group leans to, and how much likelier it plays them
SONGS_AHEAD = 100  # how much nearer to the top of the hits a recording is whose words everybody knows
POPULARITY, HEAD = 0.8, 50  # exponent and offset of the Zipf-Mandelbrot law: many hits, none of them everybody's
OWN_GROUP, POPULAR = 0.75, 0.10  # shares of a listener's plays; the rest is spread over the other groups
SAME_MOOD = 0.8  # of the plays in a session follow the group it began with
FAVOURITES, FAVOURITE = 12, 0.12  # recordings a listener returns to, and the share of plays that do
FRIENDS, ALIKE = 4, 0.65  # friends each listener picks, and the share picked from the own group
BOTS = 0.03  # of the population
JOIN, LEAVE = 0.08, 0.02  # of the listeners, in each week of a world with turnover
CASUAL, SKIPPED = 0.4, 0.4  # of the listeners, and of the weeks in which these do not listen
ALWAYS = 10**6  # a day, as dates number them, that is after all others
BOUTS, BOUT = 6, 10  # a bot's day: bouts spread round the clock, plays in each
LOOP_SECONDS = 31  # just past the 30 seconds from which services pay for a play
PLAYLIST = 24  # recordings in a playlist bot's cycle
SESSIONS = 1.2  # a day, on average over listeners and weekdays
SESSION_LENGTH = 7  # plays in a session, on average
SKIP_OWN, SKIP_OTHER = 0.12, 0.35  # chance to skip a play from the own group, from elsewhere
PAUSE = 6  # seconds between two plays, on average

# fmt: off
ZONES = {"Europe/London": 4, "Europe/Dublin": 3, "Europe/Berlin": 4, "Europe/Lisbon": 1, "America/New_York": 5,
         "America/Chicago": 2, "America/Los_Angeles": 3, "America/Sao_Paulo": 2, "Pacific/Honolulu": 1,
         "Asia/Kolkata": 3, "Asia/Tokyo": 2, "Australia/Sydney": 2, "Africa/Lagos": 1}  # IANA name and weight
DAWN = 4  # the hour, by the listener's clock, at which a day of listening begins and ends: few are awake
#           04 05 06 07 08 09 10 11 12 13 14 15 16 17 18 19 20 21 22 23 00 01 02 03
WORKDAY = ( 1, 2, 6,11,12, 7, 5, 5, 8, 7, 5, 5, 7,11,13,13,14,14,11, 7, 4, 2, 1, 1)  # weight of each hour
WEEKEND = ( 1, 1, 2, 3, 5, 8,11,12,12,12,12,12,11,11,11,12,13,14,13,11, 8, 5, 3, 2)
WEEK = (0.9, 0.9, 0.9, 0.95, 1.15, 1.3, 1.05)  # sessions by weekday, Monday first, around 1
ADJECTIVES = ("amber", "brisk", "calm", "dusky", "early", "faded", "gentle", "hazy", "idle", "jolly", "late", "mossy",
              "nimble", "odd", "plain", "quiet", "rusty", "silver", "tidal", "upbeat", "velvet", "wry")
NOUNS = ("anchor", "banjo", "cello", "drum", "echo", "fiddle", "gong", "harp", "iris", "jar", "kite", "lute", "mill",
         "nest", "oboe", "piper", "quay", "reed", "spoon", "tabor", "viol", "whistle")
# fmt: on


@dataclass(frozen=True)
class Population:
    """Arrays with one row a listener; `zone` indexes the names in ZONES."""

    user_id: Ints
    user_name: list[str]
    zone: Ints
    friends: Ints  # (pairs, 2): rows of two listeners, the smaller first, each pair once
    sessions_a_day: Floats
    shift: Floats  # seconds by which this listener's day runs later than others'
    favorites: Ints  # (listeners, FAVOURITES) recordings
    mixture: Floats  # (listeners, GROUPS + 1): cumulative shares of the tastes
    taste_group: Ints  # ground truth
    joined: Ints  # the first day, as dates number them; 0 is since always
    left: Ints  # the day after the last
    skips: Floats  # share of weeks in which they do not listen
    bot: Bools  # ground truth
    tastes: Floats  # (GROUPS + 1, recordings): cumulative chances; ground truth


@dataclass(frozen=True)
class Listens:
    """Columns of equal length, by time."""

    listener: Ints  # row of the population
    recording: Ints  # row of the recordings
    listened_at: Ints  # the start, in seconds since 1970 UTC
    ms_played: Ints


def population(recordings: Sequence[Recording], seed: int, listeners: int) -> Population:
    """The listeners of a world: the same for the same recordings, seed and number."""
    rng = np.random.default_rng([seed, 1])
    tastes = _tastes(recordings, rng)
    group = rng.integers(GROUPS, size=listeners)
    shares = np.zeros((listeners, GROUPS + 1))
    shares[:, :GROUPS] = rng.dirichlet(np.full(GROUPS, 0.4), size=listeners) * (1 - OWN_GROUP - POPULAR)
    shares[:, GROUPS] = POPULAR
    shares[np.arange(listeners), group] += OWN_GROUP
    mixture = _cumulative(shares)
    owner = np.repeat(np.arange(listeners), FAVOURITES)
    user_id = 1000 + np.arange(listeners)
    words = rng.integers((len(ADJECTIVES), len(NOUNS)), size=(listeners, 2))
    weights = np.array(list(ZONES.values()), dtype=float)
    bot = np.zeros(listeners, dtype=bool)
    bot[rng.choice(listeners, size=max(1, round(BOTS * listeners)), replace=False)] = True
    return Population(
        user_id=user_id,
        user_name=[f"{ADJECTIVES[a]}_{NOUNS[n]}_{i}" for (a, n), i in zip(words, user_id, strict=True)],
        zone=rng.choice(len(ZONES), size=listeners, p=weights / weights.sum()),
        friends=_friends(group, rng),
        sessions_a_day=SESSIONS * rng.lognormal(-0.125, 0.5, size=listeners),  # mean 1: a few listen much more
        shift=rng.normal(0, 3600, size=listeners),
        favorites=_draw(tastes, _draw(mixture, owner, rng), rng).reshape(listeners, FAVOURITES),
        mixture=mixture,
        taste_group=group,
        joined=np.zeros(listeners, dtype=np.int64),
        left=np.full(listeners, ALWAYS),
        skips=np.zeros(listeners),
        bot=bot,
        tastes=tastes,
    )


def with_turnover(people: Population, *, first_day: date, days: int, seed: int) -> Population:
    """Return the population as that of a service which grows: some join, some stop for good, some skip weeks.

    Bots stay, and skip nothing. `days` is the length of the window in which others join.
    """
    rng = np.random.default_rng([seed, 6])
    size, start = len(people.user_name), first_day.toordinal()
    wait = (rng.random(size) / JOIN * 7).astype(np.int64)
    joined = np.where((wait < days) & ~people.bot, start + wait, 0)
    stays = 1 + rng.exponential(7 / LEAVE, size=size).astype(np.int64)
    casual = (rng.random(size) < CASUAL) & ~people.bot
    return replace(
        people,
        joined=joined,
        left=np.where(people.bot, ALWAYS, np.maximum(joined, start) + stays),
        skips=np.where(casual, SKIPPED, 0.0),
    )


def simulate(people: Population, recordings: Sequence[Recording], *, first_day: date, days: int, seed: int) -> Listens:
    """All listens that begin in the UTC days from `first_day`, `days` of them, by time.

    Each day has its own random stream: a longer window holds the listens of a shorter one.
    """
    window = [listens for _, listens in simulate_by_day(people, recordings, first_day=first_day, days=days, seed=seed)]
    columns = np.concatenate([[day.listener, day.recording, day.listened_at, day.ms_played] for day in window], axis=1)
    return Listens(*columns[:, np.lexsort((columns[0], columns[2]))])


def simulate_by_day(
    people: Population, recordings: Sequence[Recording], *, first_day: date, days: int, seed: int
) -> Iterator[tuple[date, Listens]]:
    """The listens of each UTC day in turn, those of a day in no order: memory holds three days, whatever `days` is."""
    length_ms = np.array([recording.length_ms for recording in recordings])
    held: list[Ints] = []
    for n in range(-1, days + 1):  # a local day reaches into both neighbors of the UTC day
        day = first_day + timedelta(days=n)
        rng = np.random.default_rng([seed, 2, day.toordinal()])
        there = _there(day, people, seed)
        held += [_people_on(day, people, there, length_ms, rng), _bots_on(day, people, length_ms, rng)]
        if n > 0:  # tomorrow's listens are never as early as yesterday
            ended = (part[:, part[2] < epoch(day)] for part in held)
            yield day - timedelta(days=1), Listens(*np.concatenate(list(ended), axis=1))
        held = [part[:, part[2] >= epoch(day)] for part in held]


def _tastes(recordings: Sequence[Recording], rng: Generator) -> Floats:
    """What each group plays: all by popularity, and its repertoire, which it leans to most, much more."""
    leaning = np.zeros((GROUPS, len(recordings)))
    for feature, strength in LEANINGS.items():
        told = [r.credit[0][0].name if feature == "performer" else str(getattr(r.work, feature)) for r in recordings]
        kinds, kind = np.unique(told, return_inverse=True)
        leaning += rng.normal(0, strength, size=(GROUPS, len(kinds)))[:, kind]
    place = rng.permutation(len(recordings))
    place[[r.work.lyrics is not None for r in recordings]] //= SONGS_AHEAD
    chance = np.tile((HEAD + place) ** -POPULARITY, (GROUPS + 1, 1))
    chance[:GROUPS][leaning >= np.quantile(leaning, 1 - REPERTOIRE, axis=1, keepdims=True)] *= DEVOTION
    return _cumulative(chance)


def _friends(group: Ints, rng: Generator) -> Ints:
    """Pairs of listeners, mostly of one group."""
    listeners = len(group)
    one = np.repeat(np.arange(listeners), FRIENDS // 2)  # each pick makes a friend of two
    by_group = np.argsort(group, kind="stable")
    size = np.bincount(group, minlength=GROUPS)
    first = np.cumsum(size) - size
    alike = by_group[first[group[one]] + (rng.random(len(one)) * size[group[one]]).astype(np.int64)]
    other = np.where(rng.random(len(one)) < ALIKE, alike, rng.integers(listeners, size=len(one)))
    pairs = np.sort(np.stack([one, other], axis=1), axis=1)
    return np.unique(pairs[pairs[:, 0] < pairs[:, 1]], axis=0)


def _there(day: date, people: Population, seed: int) -> Bools:
    """Return which listeners use the service on a day."""
    number = day.toordinal()
    monday = number - day.weekday()
    skipped = np.random.default_rng([seed, 7, monday]).random(len(people.skips)) < people.skips
    return (people.joined <= number) & (number < people.left) & ~skipped


def _people_on(day: date, people: Population, there: Bools, length_ms: Ints, rng: Generator) -> Ints:
    """What humans play from dawn to dawn by their own clocks, as rows (listener, recording, listened_at, ms_played)."""
    hours = WEEKEND if day.weekday() >= 5 else WORKDAY
    count = rng.poisson(people.sessions_a_day * WEEK[day.weekday()] * (there & ~people.bot))
    owner = np.repeat(np.arange(len(count)), count)
    hour = _draw(_cumulative(np.array([hours], dtype=float)), np.zeros_like(owner), rng)
    clock = np.clip((hour + rng.random(len(owner))) * 3600 + people.shift[owner], 0, 86_399)
    starts = _utc(day, clock.astype(np.int64), people.zone[owner])
    starts = starts[np.lexsort((starts, owner))]

    plays = np.minimum(rng.geometric(1 / SESSION_LENGTH, size=len(owner)), 6 * SESSION_LENGTH)
    session = np.repeat(np.arange(len(owner)), plays)
    listener = owner[session]
    mood = _draw(people.mixture, owner, rng)[session]
    taste = np.where(rng.random(len(session)) < SAME_MOOD, mood, _draw(people.mixture, listener, rng))
    known = people.favorites[listener, rng.integers(FAVOURITES, size=len(session))]
    recording = np.where(rng.random(len(session)) < FAVOURITE, known, _draw(people.tastes, taste, rng))
    skip = np.where(taste == people.taste_group[listener], SKIP_OWN, SKIP_OTHER)
    skipped = rng.random(len(session)) < skip
    ms_played = np.where(skipped, rng.integers(2_000, 30_000, size=len(session)), length_ms[recording])

    took = ms_played // 1000 + 1 + rng.exponential(PAUSE, size=len(session)).astype(np.int64)
    before = np.cumsum(took) - took
    opening = np.cumsum(plays) - plays  # the first play of each session
    listened_at = starts[session] + before - before[opening][session]
    ends = starts + np.add.reduceat(took, opening) if len(owner) else starts
    # Nobody listens twice at once: a session that would begin before all earlier ones ended does not take place,
    # and what would run past dawn is not heard. `apart` keeps one listener's times clear of the next one's.
    apart = owner * 2**32
    busy_until = np.maximum.accumulate(np.concatenate([[0], apart + ends]))[:-1]
    dawn = _utc(day + timedelta(days=1), np.zeros_like(people.zone), people.zone)
    heard = (apart + starts >= busy_until)[session] & (listened_at + took <= dawn[listener])
    return np.stack([listener, recording, listened_at, ms_played])[:, heard]


def _bots_on(day: date, people: Population, length_ms: Ints, rng: Generator) -> Ints:
    """What bots play in a UTC day: every other one loops one recording, the rest go round a playlist."""
    bots = np.flatnonzero(people.bot)
    recordings = len(length_ms)
    loops = np.arange(len(bots)) % 2 == 0
    track = np.arange(BOUT) % np.where(loops, 1, PLAYLIST)[:, None]
    recording = (people.favorites[bots, :1] + 97 * track) % recordings  # any fixed list will do
    ms_played = np.where(loops[:, None], LOOP_SECONDS * 1000, length_ms[recording])
    took = -(-ms_played // 1000)
    within = np.cumsum(took, axis=1) - took
    slot = 86_400 // BOUTS
    free = slot - took.sum(axis=1)
    starts = slot * np.arange(BOUTS) + (rng.random((len(bots), BOUTS)) * free[:, None]).astype(np.int64)
    listened_at = epoch(day) + starts[:, :, None] + within[:, None, :]
    shape = listened_at.shape
    columns = (bots[:, None, None], recording[:, None, :], listened_at, ms_played[:, None, :])
    return np.stack([np.broadcast_to(column, shape).ravel() for column in columns])


def _utc(day: date, clock: Ints, zone: Ints) -> Ints:
    """UTC seconds of wall-clock times, given as seconds after DAWN of `day`, in each one's zone.

    A time that a change to summer time skips is read as the hour after it.
    """
    hours = [datetime(day.year, day.month, day.day, DAWN) + timedelta(hours=h) for h in range(24)]
    ahead = [[hour.replace(tzinfo=ZoneInfo(name)).utcoffset() or timedelta() for hour in hours] for name in ZONES]
    offset: Ints = np.array([[int(delta.total_seconds()) for delta in row] for row in ahead])
    at: Ints = epoch(day) + DAWN * 3600 + clock - offset[zone, clock // 3600]
    return at


def epoch(day: date) -> int:
    """Seconds from 1970 to the UTC midnight that begins the day."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _cumulative(weights: Floats) -> Floats:
    total: Floats = np.cumsum(weights, axis=1)
    return total / total[:, -1:]


def _draw(cumulative: Floats, row: Ints, rng: Generator) -> Ints:
    """One column for each given row, by that row's chances: one search of one flat table, whatever the rows."""
    rows, columns = cumulative.shape
    flat = (cumulative + np.arange(rows)[:, None]).ravel()
    found = np.searchsorted(flat, row + rng.random(len(row)), side="right") - row * columns
    column: Ints = np.minimum(found, columns - 1)  # a draw next to 1 may round up into the next row
    return column
