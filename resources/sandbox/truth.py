"""Ground truth of the sandbox, for tests only: no other code may import it."""

from dataclasses import dataclass

from resources.sandbox import audio, catalog, performers
from resources.sandbox.listeners import population


@dataclass(frozen=True)
class Truth:
    """Ground truth, with listeners by user name and works by id.

    Bots have no taste. Tempo and key are None if the source does not provide them.
    """

    bots: frozenset[str]
    taste_group: dict[str, int]
    friends: frozenset[tuple[str, str]]  # each pair in both orders
    tempo: dict[str, tuple[float, str] | None]  # beats per minute, and the beat: (120.0, "3/8")
    key: dict[str, tuple[str, str | None] | None]  # tonic and mode: ("E", "dorian")


@dataclass(frozen=True)
class Rendering:
    """Ground truth of a file that `audio.write` renders. Loudness is unknown."""

    tempo_bpm: float  # beats per minute
    beat: str  # as a fraction of a whole note: "3/8" in 6/8, 9/8 and 12/8
    beats: tuple[float, ...]  # seconds from the beginning of the file
    downbeats: tuple[float, ...]  # seconds at which bars begin
    meter: str
    key: str  # tonic
    mode: str


def renderings(seed: int = 7, listeners: int = 240, clips: int = audio.CLIPS) -> dict[str, Rendering]:
    """Return the truth of each file that `audio.write` renders with the same arguments, by recording id."""
    return {
        take.recording.id: Rendering(
            tempo_bpm=take.tempo_bpm,
            beat=str(take.beat),
            beats=take.beats,
            downbeats=take.downbeats,
            meter=take.recording.work.meter or "",
            key=take.recording.work.key or "",
            mode=take.recording.work.mode or "",
        )
        for take in audio.rendered(seed, listeners, clips)
    }


def truth(seed: int = 7, listeners: int = 240) -> Truth:
    """Return the truth of the world that `world.write` writes with the same seed and number of listeners."""
    works = catalog.works()
    people = population(performers.recordings(works, seed), seed, listeners)
    name, bot = people.user_name, people.bot.tolist()
    return Truth(
        bots=frozenset(n for n, is_bot in zip(name, bot, strict=True) if is_bot),
        taste_group={n: g for n, g, b in zip(name, people.taste_group.tolist(), bot, strict=True) if not b},
        friends=frozenset(
            (name[a], name[b]) for one, two in people.friends.tolist() for a, b in ((one, two), (two, one))
        ),
        tempo={w.id: (w.tempo_bpm, w.tempo_beat) if w.tempo_bpm and w.tempo_beat else None for w in works},
        key={w.id: (w.key, w.mode) if w.key else None for w in works},
    )
