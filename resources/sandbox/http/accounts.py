"""Accounts: each listener's listens and feedback, which the mock services return in their own formats."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from resources.sandbox import world
from resources.sandbox.world import World

Record = dict[str, Any]
LOVED, HATED = 1, -1
MAX_HATED_MS = 5_000  # every seventh listener hates what they skip within this


@dataclass(frozen=True, slots=True)
class AccountListen:
    """A listen. `info` is the additional_info that the player submits to ListenBrainz."""

    listened_at: int  # seconds since 1970
    artist: str
    title: str
    release: str | None = None
    msid: str = ""
    recording_mbid: str | None = None
    artist_mbids: tuple[str, ...] = ()
    inserted_at: int = 0
    info: Record = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Opinion:
    """A listener's feedback on a recording, and its time in seconds since 1970."""

    listen: AccountListen
    score: int
    created: int


@dataclass
class Account:
    """A listener's account. Last.fm's API hides the scrobbles of a private one. `playing` is the current listen."""

    name: str
    listens: Sequence[AccountListen] = ()  # newest first
    opinions: Sequence[Opinion] = ()  # newest first
    private: bool = False
    playing: AccountListen | None = None


class Accounts:
    """Accounts by case-insensitive name."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._by_name = {account.name.lower(): account for account in accounts}

    def find(self, name: str) -> Account | None:
        """Return the account of a name, or None."""
        return self._by_name.get(name.lower())

    def names(self) -> list[str]:
        """Return all names, most listens first."""
        return [a.name for a in sorted(self._by_name.values(), key=lambda a: (-len(a.listens), a.name))]


def of_world(simulated: World) -> Accounts:
    """Return the accounts of a world's listeners, with each listen once, and their feedback."""
    people, listens = simulated.people, simulated.listens
    arrived = np.zeros_like(listens.listened_at)
    sent = simulated.kind == world.SENT
    arrived[simulated.row[sent]] = simulated.arrived[sent]
    columns = (listens.listener, listens.recording, listens.listened_at, listens.ms_played, simulated.unmapped, arrived)
    by_listener: list[list[AccountListen]] = [[] for _ in people.user_name]
    hated: list[list[Opinion]] = [[] for _ in people.user_name]
    for listener, played, at, ms_played, plain, inserted in zip(*(c.tolist() for c in columns), strict=True):
        recording = simulated.recordings[played]
        metadata = world.track_metadata(people, listener, recording, ms_played, plain)
        info = metadata["additional_info"]
        by_listener[listener].append(
            AccountListen(
                listened_at=at,
                artist=metadata["artist_name"],
                title=metadata["track_name"],
                release=metadata["release_name"],
                msid=world.msid(recording),
                recording_mbid=info.get("recording_mbid"),
                artist_mbids=tuple(info.get("artist_mbids", ())),
                inserted_at=inserted,
                info=info,
            )
        )
        if listener % 7 == 0 and ms_played < MAX_HATED_MS:
            hated[listener].append(Opinion(by_listener[listener][-1], HATED, at + 2))
    return Accounts(
        Account(name, own_listens[::-1], _opinions(own_listens, own_hated) if n % 2 == 0 else ())
        for n, (name, own_listens, own_hated) in enumerate(zip(people.user_name, by_listener, hated, strict=True))
    )


def _opinions(listens: Sequence[AccountListen], hated: Sequence[Opinion]) -> list[Opinion]:
    """Return what a listener hates and loves, newest first. They love a recording from its second listen."""
    by_msid = {opinion.listen.msid: opinion for opinion in hated}
    times: dict[str, int] = {}
    for listen in listens:
        times[listen.msid] = times.get(listen.msid, 0) + 1
        if times[listen.msid] == 2:
            by_msid[listen.msid] = Opinion(listen, LOVED, listen.listened_at + 60)
    return sorted(by_msid.values(), key=lambda opinion: (-opinion.created, opinion.listen.msid))
