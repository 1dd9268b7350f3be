"""Which recordings are rendered, and how they are played: notes, tempo and beats, from the scores of their works.

What belongs here: the choice, the excerpt and the time. Who plays along is elsewhere (arrangement), and so is how it
sounds (synthesis). A score is played only if its bars are as long as its metre says and its tune ends on the keynote:
then tempo, metre and key are what a listener hears, and not what an editor forgot.
"""

import functools
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import cycle
from typing import NamedTuple

from resources.notation import abc_notation, musicxml
from resources.notation.keys import MAJOR_KEYS
from resources.notation.scores import Bar, played
from resources.sandbox import catalog
from resources.sandbox.catalog import Work
from resources.sandbox.performers import Recording

SECONDS = 20.0  # of music in an excerpt, at most: whole bars from the beginning
BARS = 4  # an excerpt ends with a phrase: tunes are built of four bars
RELEASE = 3  # tracks of one form, or in one mode, from a release, at most
HITS = 0.25  # of all clips: recordings chosen because they are played most
MODES = ("minor", "dorian", "mixolydian")  # looked for; major is everywhere, and others are mostly an editor's guess
VERSIONS = 3  # recordings of a song with words, at most: there are few such songs
SLOWEST, FASTEST = 60.0, 200.0  # beats a minute: what a foot still taps


@dataclass(frozen=True)
class Pace:
    """How fast a form is danced, in beats a minute, and how many beats a bar of 4/4 or 2/2 has."""

    slowest: int
    fastest: int
    beats: int = 2


# fmt: off
# As they are danced and played in sessions; the ranges make tempi spread as they do in a collection of records.
PACES = {
    "reel": Pace(100, 120), "jig": Pace(106, 128), "slip jig": Pace(112, 136), "slide": Pace(132, 152),
    "hornpipe": Pace(72, 92), "clog": Pace(76, 94),  # stepped out slowly
    "polka": Pace(120, 144), "quick step": Pace(104, 122), "walkaround": Pace(100, 118), "cotillon": Pace(100, 120),
    "march": Pace(88, 112),  # a step a beat
    "strathspey": Pace(116, 140, 4), "highland fling": Pace(120, 146, 4), "schottische": Pace(136, 168, 4),
    "waltz": Pace(150, 190), "minuet": Pace(108, 132), "gavotte": Pace(66, 80), "allemande": Pace(92, 112),
    "air": Pace(70, 88, 4),
}
OTHERS = Pace(76, 112, 4)  # no form known: songs and airs, mostly
# fmt: on


class Heard(NamedTuple):
    onset: Fraction  # whole notes from the beginning of the excerpt
    duration: Fraction
    pitch: int  # MIDI note number
    syllable: str  # what is sung on it; the last of a word ends in a space


@dataclass(frozen=True)
class Take:
    """The excerpt of a recording that is rendered."""

    recording: Recording
    track: int  # its number on the release
    tracks: int  # that the release has
    notes: tuple[Heard, ...]
    bar: Fraction  # whole notes
    bars: int  # whole ones, after the upbeat
    upbeat: Fraction  # whole notes before the first of them
    beat: Fraction  # of a whole note: 3/8 in 6/8
    tempo_bpm: float  # such beats a minute
    begins: float  # seconds of silence before the first note

    def seconds(self, at: Fraction) -> float:
        """When it is so many whole notes into the excerpt."""
        return self.begins + float(at / self.beat) * 60 / self.tempo_bpm

    @property
    def end(self) -> Fraction:
        """Whole notes until the last bar is over."""
        return self.upbeat + self.bars * self.bar

    @property
    def beats(self) -> tuple[float, ...]:
        """The seconds of each beat, those of the upbeat included."""
        first = self.upbeat % self.beat
        count = int((self.end - first) / self.beat)
        return tuple(self.seconds(first + n * self.beat) for n in range(count))

    @property
    def downbeats(self) -> tuple[float, ...]:
        """The seconds at which bars begin."""
        return tuple(self.seconds(self.upbeat + n * self.bar) for n in range(self.bars))


def takes(recordings: Sequence[Recording], popularity: Iterable[float], clips: int) -> list[Take]:
    """What is rendered of a world, at most `clips`, by artist, release and track: always the same for the same world.

    Songs with words come first, and some of what is played most, so that charts can be listened to. Then every form and
    mode, the most played first, gives up to three tracks of its most played release, those in rarer keys before others:
    so a small folder has rows of albums as real ones have, and all kinds of beat and key, where
    popularity alone would give reels and hornpipes in G and D.
    """
    played_most = dict(zip((r.id for r in recordings), popularity, strict=True))
    releases: dict[str, list[Recording]] = defaultdict(list)
    for recording in recordings:
        releases[recording.release.id].append(recording)
    groups: dict[str, dict[str, list[Recording]]] = defaultdict(lambda: defaultdict(list))
    songs: dict[str, list[Recording]] = defaultdict(list)
    by_plays = sorted(recordings, key=lambda r: -played_most[r.id])
    for recording in by_plays:
        groups[recording.work.form or ""][recording.release.id].append(recording)
        if recording.work.mode in MODES:
            groups[recording.work.mode][recording.release.id].append(recording)
        if recording.work.has_sung_score:
            songs[recording.work.id].append(recording)

    def weight(tracks: list[Recording]) -> float:
        return sum(played_most[track.id] for track in tracks[:RELEASE])

    chosen: dict[str, Take] = {}
    keys: Counter[tuple[str | None, str | None]] = Counter()

    def choose(candidates: Iterable[Recording], most: int) -> int:
        left, before = [r for r in candidates if r.id not in chosen], len(chosen)
        while left and len(chosen) < min(before + most, clips):
            rarest = min(left, key=lambda r: keys[r.work.key, r.work.mode])  # of equals the most played
            left.remove(rarest)
            if take := _take(rarest, releases[rarest.release.id]):
                chosen[rarest.id] = take
                keys[rarest.work.key, rarest.work.mode] += 1
        return len(chosen) - before

    for versions in songs.values():
        choose(versions, VERSIONS)
    for recording in by_plays:
        if len(chosen) < HITS * clips:
            choose([recording], 1)
    left = {kind: sorted(by_release.values(), key=weight, reverse=True) for kind, by_release in groups.items()}
    kinds = sorted(left, key=lambda kind: (-sum(map(weight, left[kind])), kind))
    while len(chosen) < clips and any(left.values()):
        for kind in kinds:
            while left[kind] and not choose(left[kind].pop(0), RELEASE):
                pass
    return sorted(chosen.values(), key=lambda t: (t.recording.credit[0][0].name, t.recording.release.id, t.track))


def _take(recording: Recording, release: Sequence[Recording]) -> Take | None:
    """The recording as it is played; none where the score is not in step with what is said of the work."""
    work = recording.work
    if not (work.key and work.mode and work.metre):
        return None
    rng = random.Random(f"take/{recording.id}")
    bars = _bars(work)
    order = played(bars)
    if work.has_sung_score:  # the players before a song begins tell no words
        order = order[next(n for n, (bar, _) in enumerate(order) if any(note.syllables for note in bar.notes)) :]
    paced = _tempo(work, rng)
    if not order or paced is None or not _ends_on(order, work.key) or len({bar.fifths for bar in bars}) > 1:
        return None
    tempo, beat = paced
    bar = Fraction(work.metre)
    count = int(SECONDS * tempo / 60 * beat / bar)
    count -= count % BARS if count >= 2 * BARS else 0
    upbeat = order[0][0].length if order[0][0].length < bar else Fraction(0)
    notes = _excerpt(order, upbeat, bar, count)
    if not notes:
        return None
    track = 1 + [r.id for r in release].index(recording.id)
    return Take(recording, track, len(release), notes, bar, count, upbeat, beat, tempo, rng.uniform(0.1, 0.5))


@functools.lru_cache(maxsize=64)  # a work may have several recordings, and the largest score takes a while
def _bars(work: Work) -> list[Bar]:
    return musicxml.read(catalog.musicxml(work)) if work.tune is None else abc_notation.read(catalog.abc(work))


def _excerpt(order: Sequence[tuple[Bar, int]], upbeat: Fraction, bar: Fraction, count: int) -> tuple[Heard, ...] | None:
    """The notes of the first bars, the tune played round and round; none if bars do not begin where the metre says."""
    end = upbeat + count * bar
    at, begun, heard = Fraction(0), set[Fraction](), list[Heard]()
    for what, time in cycle(order):
        if at >= end:
            break
        begun.add(at)
        for note in what.notes:
            onset = at + note.onset
            if onset < end and note.duration:
                sung = note.syllables.get(time) or (note.syllables[min(note.syllables)] if note.syllables else "")
                heard.append(Heard(onset, min(note.duration, end - onset), note.pitch, sung))
        at += what.length
    return tuple(heard) if all(upbeat + n * bar in begun for n in range(count)) else None


def _ends_on(order: Sequence[tuple[Bar, int]], key: str) -> bool:
    """Whether the last note of a tune is its keynote, or the lowest in the last bar of a score of several voices."""
    notes = next((bar.notes for bar, _ in reversed(order) if bar.notes), [])
    if not notes:
        return False
    alone = len({note.onset for note in notes}) == len(notes)
    last = notes[-1] if alone else min(notes, key=lambda note: note.pitch)
    return last.pitch % 12 == keynote(key)


def keynote(key: str) -> int:
    """The pitch class of a tonic: 0 is C."""
    return 7 * (MAJOR_KEYS.index(key) - MAJOR_KEYS.index("C")) % 12


def _tempo(work: Work, rng: random.Random) -> tuple[float, Fraction] | None:
    """Beats a minute, and the beat: the file's own, else as the form is danced; none if nobody could dance to it.

    The beat of 6/8, 9/8 and 12/8 is a dotted quarter; of a triple metre what it counts; else a half or a quarter of
    the bar.
    """
    pace = PACES.get(work.form or "", OTHERS)
    count, unit = map(int, (work.metre or "").split("/"))
    bar = Fraction(count, unit)
    if count % 3 == 0:
        beat = Fraction(3 if count > 3 else 1, unit)
    elif bar in (1, Fraction(1, 2)):
        beat = bar / (pace.beats if bar == 1 else 2)
    else:
        return None
    if not (work.tempo_bpm and work.tempo_beat):
        return float(rng.randint(pace.slowest, pace.fastest)), beat
    told = Fraction(work.tempo_beat)
    if count % 3 and bar / told in (2, 4):
        beat = told
    tempo = work.tempo_bpm * float(told / beat)
    return (tempo, beat) if SLOWEST <= tempo <= FASTEST else None
