"""Listeners: tastes, habits, friends and bots of the simulated population."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from numpy.typing import NDArray

from resources.sandbox import listeners
from resources.sandbox.catalog import works
from resources.sandbox.listeners import ZONES, Listens, Population, population, simulate
from resources.sandbox.performers import Recording, recordings

MONDAY = date(2025, 2, 24)
SEED, SIZE, DAYS = 7, 240, 14
Floats = NDArray[np.float64]


@pytest.fixture(scope="module")
def played() -> list[Recording]:
    return recordings(works(), SEED)


@pytest.fixture(scope="module")
def people(played: list[Recording]) -> Population:
    return population(played, SEED, SIZE)


@pytest.fixture(scope="module")
def listens(people: Population, played: list[Recording]) -> Listens:
    return simulate(people, played, first_day=MONDAY, days=DAYS, seed=SEED)


def counts(people: Population, listens: Listens, played: list[Recording], chosen: NDArray[np.bool_]) -> Floats:
    """Count the plays, of shape [listeners, recordings]."""
    plays = np.zeros((len(people.user_id), len(played)))
    np.add.at(plays, (listens.listener[chosen], listens.recording[chosen]), 1)
    return plays


def local(people: Population, listens: Listens) -> list[datetime]:
    zones = [ZoneInfo(name) for name in ZONES]
    pairs = zip(listens.listened_at.tolist(), people.zone[listens.listener].tolist(), strict=True)
    return [datetime.fromtimestamp(at, zones[zone]) for at, zone in pairs]


def share(hours: list[int], selected: set[int]) -> float:
    return sum(hour in selected for hour in hours) / len(hours)


def test_a_demo_has_tens_of_thousands_of_listens_within_its_days(listens: Listens) -> None:
    start = datetime(2025, 2, 24, tzinfo=UTC).timestamp()
    assert 25_000 <= len(listens.listener) <= 40_000
    assert listens.listened_at.min() >= start
    assert listens.listened_at.max() < start + DAYS * 86_400
    assert (np.diff(listens.listened_at) >= 0).all()


def test_listeners_play_most_recordings_once(people: Population, listens: Listens, played: list[Recording]) -> None:
    plays = counts(people, listens, played, ~people.bot[listens.listener])[~people.bot]
    distinct = (plays > 0).sum(axis=1) / np.maximum(plays.sum(axis=1), 1)
    assert np.median(distinct) > 0.7
    assert np.median(distinct) < 0.95  # but there are favorites
    assert (plays > 0).mean() < 0.03
    assert ((plays > 0).any(axis=0)).mean() > 0.5  # not only a few hits


def test_listeners_of_a_taste_group_share_more_recordings(
    people: Population, listens: Listens, played: list[Recording]
) -> None:
    played_any = (counts(people, listens, played, ~people.bot[listens.listener]) > 0)[~people.bot].astype(float)
    both = played_any @ played_any.T
    jaccard = both / np.maximum(played_any.sum(axis=1)[:, None] + played_any.sum(axis=1)[None, :] - both, 1)
    group = people.taste_group[~people.bot]
    same_group, self_ = group[:, None] == group[None, :], np.eye(len(group), dtype=bool)
    assert jaccard[same_group & ~self_].mean() > 3 * jaccard[~same_group].mean()


def test_taste_neighbors_predict_plays_better_than_popularity(
    people: Population, listens: Listens, played: list[Recording]
) -> None:
    human = ~people.bot[listens.listener]
    early = listens.listened_at < datetime(2025, 3, 6, tzinfo=UTC).timestamp()
    known = (counts(people, listens, played, human & early) > 0)[~people.bot].astype(float)
    later = (counts(people, listens, played, human & ~early) > 0)[~people.bot] & (known == 0)
    unit = known / np.maximum(np.linalg.norm(known, axis=1, keepdims=True), 1e-9)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, 0)
    similarity[similarity < np.sort(similarity, axis=1)[:, [-25]]] = 0

    def precision_at_10(score: Floats) -> float:
        best = np.argsort(np.where(known > 0, -np.inf, score), axis=1)[:, -10:]
        return float(np.take_along_axis(later, best, axis=1).mean())

    popular = precision_at_10(np.broadcast_to(known.sum(axis=0), known.shape))
    assert precision_at_10(similarity @ known) > 2 * popular > 0


def test_listeners_play_in_the_evening_and_sleep_in_local_time(people: Population, listens: Listens) -> None:
    when = local(people, listens)
    human = ~people.bot[listens.listener]
    for zones in ({"Europe/London", "Europe/Dublin"}, {"America/New_York"}, {"Asia/Kolkata"}):
        in_zones = np.isin(people.zone[listens.listener], [list(ZONES).index(zone) for zone in zones]) & human
        hours = [when[i].hour for i in np.flatnonzero(in_zones)]
        assert share(hours, {19, 20, 21, 22}) > 4 * share(hours, {2, 3, 4, 5})


def test_weekends_have_more_listens_and_start_later(people: Population, listens: Listens) -> None:
    when = [at for at, bot in zip(local(people, listens), people.bot[listens.listener], strict=True) if not bot]
    weekend, workday = ([at.hour for at in when if (at.weekday() >= 5) is at_weekend] for at_weekend in (True, False))
    assert len(weekend) / 2 > 1.1 * len(workday) / 5
    assert share(workday, {7, 8}) > 1.5 * share(weekend, {7, 8})


def test_summer_time_moves_utc_hours_but_not_local_hours(played: list[Recording]) -> None:
    new_york = np.full(5_000, list(ZONES).index("America/New_York"))
    people = replace(population(played, SEED, 5_000), zone=new_york)
    listens = simulate(people, played, first_day=date(2025, 3, 1), days=10, seed=SEED)
    at = listens.listened_at[~people.bot[listens.listener]]
    # Two Sundays, from dawn to dawn. On the second, clocks went forward two hours before dawn.
    before, after = (at[(at >= dawn) & (at < dawn + 86_400)] - dawn for dawn in (1_740_906_000, 1_741_507_200))
    assert datetime.fromtimestamp(1_740_906_000, UTC) == datetime(2025, 3, 2, 9, tzinfo=UTC)  # 4 o'clock EST
    assert datetime.fromtimestamp(1_741_507_200, UTC) == datetime(2025, 3, 9, 8, tzinfo=UTC)  # 4 o'clock EDT
    assert abs(before.mean() - after.mean()) < 900
    assert before.min() < 3_600 and after.min() < 3_600  # an hour wrong would leave the first hour empty


def test_local_times_are_converted_with_the_offset_of_their_hour() -> None:
    new_york = np.array([list(ZONES).index("America/New_York")] * 3)
    clock = np.array([18, 21, 23]) * 3600 + 1800  # half past: 22, 1 and 3 o'clock, the last one after the change
    converted = [datetime.fromtimestamp(t, UTC) for t in listeners._utc(date(2025, 3, 8), clock, new_york).tolist()]
    assert [f"{at:%d %H:%M}" for at in converted] == ["09 03:30", "09 06:30", "09 07:30"]


def test_no_listener_plays_two_recordings_at_once(people: Population, listens: Listens) -> None:
    order = np.lexsort((listens.listened_at, listens.listener))
    who, start = listens.listener[order], listens.listened_at[order]
    end = start + listens.ms_played[order] // 1000
    same = (who[1:] == who[:-1]) & ~people.bot[who[1:]]
    assert (start[1:][same] >= end[:-1][same]).all()


def test_listens_form_sessions_and_some_are_skipped(
    people: Population, listens: Listens, played: list[Recording]
) -> None:
    human = ~people.bot[listens.listener]
    order = np.lexsort((listens.listened_at[human], listens.listener[human]))
    who, at = listens.listener[human][order], listens.listened_at[human][order]
    begins = (np.diff(who, prepend=-1) != 0) | (np.diff(at, prepend=0) > 1_800)
    assert 4 < len(who) / begins.sum() < 10
    length = np.array([recording.length_ms for recording in played])[listens.recording[human]]
    skipped = listens.ms_played[human] < 30_000
    assert 0.12 < skipped.mean() < 0.3
    assert (listens.ms_played[human] <= length).all() and (listens.ms_played[human] > 0).all()


def test_friends_share_a_taste_group_more_often_than_by_chance(people: Population) -> None:
    one, two = people.friends.T
    assert (one < two).all() and len(np.unique(people.friends, axis=0)) == len(one)
    alike = (people.taste_group[one] == people.taste_group[two]).mean()
    assert alike > 3 / listeners.GROUPS
    assert np.median(np.bincount(people.friends.ravel(), minlength=SIZE)) >= 2


def test_bots_are_few_and_play_day_and_night(people: Population, listens: Listens) -> None:
    assert 0.01 <= people.bot.mean() <= 0.05
    bot = people.bot[listens.listener]
    assert bot.mean() < 0.3
    hours = [datetime.fromtimestamp(at, UTC).hour for at in listens.listened_at[bot].tolist()]
    assert np.bincount(hours, minlength=24).min() > 0.5 * len(hours) / 24
    loops = [b for b in np.flatnonzero(people.bot) if len(np.unique(listens.recording[listens.listener == b])) == 1]
    assert 0 < len(loops) < people.bot.sum()
    assert set(listens.ms_played[np.isin(listens.listener, loops)]) == {31_000}


def test_a_longer_window_contains_the_listens_of_a_shorter_one(
    people: Population, listens: Listens, played: list[Recording]
) -> None:
    short = simulate(people, played, first_day=MONDAY + timedelta(days=2), days=3, seed=SEED)
    start = datetime(2025, 2, 26, tzinfo=UTC).timestamp()
    inside = (listens.listened_at >= start) & (listens.listened_at < start + 3 * 86_400)
    for name in ("listener", "recording", "listened_at", "ms_played"):
        assert (getattr(short, name) == getattr(listens, name)[inside]).all()


def test_ten_times_the_listeners_play_ten_times_the_listens(played: list[Recording], listens: Listens) -> None:
    many = simulate(population(played, SEED, 10 * SIZE), played, first_day=MONDAY, days=DAYS, seed=SEED)
    assert len(many.listener) == pytest.approx(10 * len(listens.listener), rel=0.15)
