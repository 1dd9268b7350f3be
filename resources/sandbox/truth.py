"""What is true of the sandbox and never told: for tests to judge by, and for nothing else to import."""

from dataclasses import dataclass

from resources.sandbox import catalogue, performers
from resources.sandbox.listeners import population


@dataclass(frozen=True)
class Truth:
    """Listeners by user name, works by id. Bots have no taste; tempo and key are null where no source tells."""

    bots: frozenset[str]
    taste_group: dict[str, int]
    friends: frozenset[tuple[str, str]]  # each pair in both orders
    tempo: dict[str, tuple[float, str] | None]  # beats a minute, and the beat: (120.0, "3/8")
    key: dict[str, tuple[str, str | None] | None]  # tonic and mode: ("E", "dorian")


def truth(seed: int = 7, listeners: int = 240) -> Truth:
    """The truth of the world that `world.write` makes of the same seed and number of listeners."""
    works = catalogue.works()
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
