"""What is true of the sandbox and never told: for tests to judge by, and for nothing else to import."""

from dataclasses import dataclass

from resources.sandbox import audio, catalog, performers
from resources.sandbox.listeners import population


@dataclass(frozen=True)
class Truth:
    """Listeners by user name, works by id. Bots have no taste; tempo and key are null where no source tells."""

    bots: frozenset[str]
    taste_group: dict[str, int]
    friends: frozenset[tuple[str, str]]  # each pair in both orders
    tempo: dict[str, tuple[float, str] | None]  # beats a minute, and the beat: (120.0, "3/8")
    key: dict[str, tuple[str, str | None] | None]  # tonic and mode: ("E", "dorian")


@dataclass(frozen=True)
class Rendering:
    """What is to be heard in a file that `audio.write` renders. Loudness is not known: it has to be measured."""

    tempo_bpm: float  # beats a minute, of the beat below
    beat: str  # as a fraction of a whole note; "3/8" in 6/8, 9/8 and 12/8: the foot taps dotted quarters
    beats: tuple[float, ...]  # the second of each, from the beginning of the file
    downbeats: tuple[float, ...]  # the second at which each bar begins
    metre: str
    key: str  # tonic
    mode: str


def renderings(seed: int = 7, listeners: int = 240, clips: int = audio.CLIPS) -> dict[str, Rendering]:
    """The truth of each file that `audio.write` renders of the same arguments, by recording id."""
    return {
        take.recording.id: Rendering(
            tempo_bpm=take.tempo_bpm,
            beat=str(take.beat),
            beats=take.beats,
            downbeats=take.downbeats,
            metre=take.recording.work.metre or "",
            key=take.recording.work.key or "",
            mode=take.recording.work.mode or "",
        )
        for take in audio.rendered(seed, listeners, clips)
    }


def truth(seed: int = 7, listeners: int = 240) -> Truth:
    """The truth of the world that `world.write` makes of the same seed and number of listeners."""
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
