"""What the sandbox's services keep of each listener: listens and feedback, which every face shows in its own shape."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from resources.sandbox import world
from resources.sandbox.world import World

Record = dict[str, Any]
LOVED, HATED = 1, -1
SKIPPED = 5_000  # milliseconds: what every seventh listener skips as fast, they say they hate


@dataclass(frozen=True, slots=True)
class Heard:
    """A listen. `info` is what the player adds to the names, in ListenBrainz's words."""

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
    """What a listener thinks of a recording, since when."""

    of: Heard
    score: int
    created: int


@dataclass
class Account:
    """A listener's; a private one keeps its scrobbles from Last.fm's API. `playing` has not ended yet."""

    name: str
    heard: Sequence[Heard] = ()  # newest first
    opinions: Sequence[Opinion] = ()  # newest first
    private: bool = False
    playing: Heard | None = None


class Accounts:
    """Accounts by name, for which case does not matter."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._by_name = {account.name.lower(): account for account in accounts}

    def find(self, name: str) -> Account | None:
        return self._by_name.get(name.lower())

    def names(self) -> list[str]:
        """Who has an account, who listens most first."""
        return [a.name for a in sorted(self._by_name.values(), key=lambda a: (-len(a.heard), a.name))]


def of_world(told: World) -> Accounts:
    """The accounts of a world's listeners: what they heard, each listen once, and what they say of it."""
    people, listens = told.people, told.listens
    arrived = np.zeros_like(listens.listened_at)
    sent = told.kind == world.SENT
    arrived[told.row[sent]] = told.arrived[sent]
    columns = (listens.listener, listens.recording, listens.listened_at, listens.ms_played, told.unmapped, arrived)
    heard: list[list[Heard]] = [[] for _ in people.user_name]
    hated: list[list[Opinion]] = [[] for _ in people.user_name]
    for listener, played, at, ms_played, plain, inserted in zip(*(c.tolist() for c in columns), strict=True):
        recording = told.recordings[played]
        metadata = world.track_metadata(people, listener, recording, ms_played, plain)
        info = metadata["additional_info"]
        heard[listener].append(
            Heard(
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
        if listener % 7 == 0 and ms_played < SKIPPED:
            hated[listener].append(Opinion(heard[listener][-1], HATED, at + 2))
    return Accounts(
        Account(name, theirs[::-1], _opinions(theirs, others) if n % 2 == 0 else ())
        for n, (name, theirs, others) in enumerate(zip(people.user_name, heard, hated, strict=True))
    )


def _opinions(heard: Sequence[Heard], hated: Sequence[Opinion]) -> list[Opinion]:
    """What a listener hates, and loves: what was heard twice, since the second time."""
    found = {opinion.of.msid: opinion for opinion in hated}
    times: dict[str, int] = {}
    for listen in heard:
        times[listen.msid] = times.get(listen.msid, 0) + 1
        if times[listen.msid] == 2:
            found[listen.msid] = Opinion(listen, LOVED, listen.listened_at + 60)
    return sorted(found.values(), key=lambda opinion: (-opinion.created, opinion.of.msid))
