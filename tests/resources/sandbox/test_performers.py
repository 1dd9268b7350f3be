"""Performers: recordings, credits and releases of the sandbox."""

from collections import Counter, defaultdict

import pytest

from resources.sandbox.catalog import Work, works
from resources.sandbox.performers import Recording, recordings


@pytest.fixture(scope="module")
def all_works() -> list[Work]:
    return works()


@pytest.fixture(scope="module")
def played(all_works: list[Work]) -> list[Recording]:
    return recordings(all_works, seed=7)


def test_every_work_is_recorded_and_some_by_several_performers(all_works: list[Work], played: list[Recording]) -> None:
    takes = Counter(recording.work.id for recording in played)
    assert set(takes) == {work.id for work in all_works}
    assert 1.2 < len(played) / len(all_works) < 1.5
    assert len({recording.id for recording in played}) == len(played)


def test_a_performer_records_a_work_once(played: list[Recording]) -> None:
    assert max(Counter((recording.work.id, recording.credit[0][0].id) for recording in played).values()) == 1


def test_some_recordings_credit_two_artists_with_a_join_phrase(played: list[Recording]) -> None:
    duets = [recording for recording in played if len(recording.credit) == 2]
    assert 0.05 < len(duets) / len(played) < 0.11
    for recording in duets:
        (lead, phrase), (guest, end) = recording.credit
        assert recording.credited == lead.name + phrase + guest.name and lead != guest and end == ""
        assert phrase in (" & ", " feat. ")
    assert len({recording.credit[0][1] for recording in duets}) == 2


def test_performers_play_one_collection(played: list[Recording]) -> None:
    collections: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for recording in played:
        collections[recording.credit[0][0].id][recording.work.collection] += 1
    assert sum(max(c.values()) for c in collections.values()) / len(played) > 0.95
    assert 300 < len(collections) < 500


def test_release_dates_may_be_partial_as_in_musicbrainz(played: list[Recording]) -> None:
    assert {len(recording.release.date) for recording in played} == {4, 7, 10}


def test_the_seed_determines_the_recordings(all_works: list[Work], played: list[Recording]) -> None:
    assert recordings(all_works, seed=7) == played
    assert recordings(all_works, seed=8) != played
