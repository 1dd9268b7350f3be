"""Renditions: which recordings are rendered, and their notes, tempo and beats from the scores of their works.

This module chooses recordings, excerpts and tempi. `resources/synthesis` arranges and renders them. A score is used
only if its bars match its meter and its tune ends on the tonic. So tempo, meter and key are correct in spite of
editorial errors.
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

MAX_EXCERPT_S = 20.0  # of music: whole bars from the beginning
PHRASE_BARS = 4  # excerpts end with a phrase
MAX_TRACKS = 3  # of one form or mode from a release
HITS_SHARE = 0.25  # of all clips: recordings chosen because they are played most
MODES = (
    "minor",
    "dorian",
    "mixolydian",
)  # each is represented; major is common, and others are mostly editors' guesses
MAX_VERSIONS = 3  # recordings of a song with words, because there are few such songs
MIN_BPM, MAX_BPM = 60.0, 200.0  # range of tempi that people tap


@dataclass(frozen=True)
class Pace:
    """The usual tempi of a form, in beats per minute, and the beats in its bar of 4/4 or 2/2."""

    slowest: int
    fastest: int
    beats: int = 2


# fmt: off
# Usual tempi at dances and sessions. The ranges spread tempi as in a collection of records.
PACES = {
    "reel": Pace(100, 120), "jig": Pace(106, 128), "slip jig": Pace(112, 136), "slide": Pace(132, 152),
    "hornpipe": Pace(72, 92), "clog": Pace(76, 94),  # danced slowly
    "polka": Pace(120, 144), "quick step": Pace(104, 122), "walkaround": Pace(100, 118), "cotillon": Pace(100, 120),
    "march": Pace(88, 112),  # one step per beat
    "strathspey": Pace(116, 140, 4), "highland fling": Pace(120, 146, 4), "schottische": Pace(136, 168, 4),
    "waltz": Pace(150, 190), "minuet": Pace(108, 132), "gavotte": Pace(66, 80), "allemande": Pace(92, 112),
    "air": Pace(70, 88, 4),
}
DEFAULT_PACE = Pace(76, 112, 4)  # without a form: mostly songs and airs
# fmt: on


class TimedNote(NamedTuple):
    onset: Fraction  # whole notes from the beginning of the excerpt
    duration: Fraction
    pitch: int  # MIDI note number
    syllable: str  # of the lyrics; the last syllable of a word ends in a space


@dataclass(frozen=True)
class Take:
    """The excerpt of a recording that is rendered."""

    recording: Recording
    track: int  # number on the release
    tracks: int  # of the release
    notes: tuple[TimedNote, ...]
    bar: Fraction  # whole notes
    bars: int  # whole bars after the upbeat
    upbeat: Fraction  # whole notes before the first bar
    beat: Fraction  # in whole notes: 3/8 in 6/8
    tempo_bpm: float  # beats per minute
    begins: float  # seconds of silence before the first note

    def seconds(self, at: Fraction) -> float:
        """Convert a position in whole notes to seconds."""
        return self.begins + float(at / self.beat) * 60 / self.tempo_bpm

    @property
    def end(self) -> Fraction:
        """Return the end of the last bar, in whole notes."""
        return self.upbeat + self.bars * self.bar

    @property
    def beats(self) -> tuple[float, ...]:
        """Return the time of each beat in seconds, including the upbeat's."""
        first = self.upbeat % self.beat
        count = int((self.end - first) / self.beat)
        return tuple(self.seconds(first + n * self.beat) for n in range(count))

    @property
    def downbeats(self) -> tuple[float, ...]:
        """Return the start of each bar in seconds."""
        return tuple(self.seconds(self.upbeat + n * self.bar) for n in range(self.bars))


def takes(recordings: Sequence[Recording], popularity: Iterable[float], clips: int) -> list[Take]:
    """Choose at most `clips` recordings to render, sorted by artist, release and track. The result is deterministic.

    Songs with words come first, then some of the most played recordings, so that charts have audio. Then each form and
    mode, by popularity, contributes up to MAX_TRACKS of its most played release, rarer keys first. A small folder thus
    has several tracks per album, and many meters and keys. Popularity alone would give reels and hornpipes in G and D.
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
        return sum(played_most[track.id] for track in tracks[:MAX_TRACKS])

    chosen: dict[str, Take] = {}
    keys: Counter[tuple[str | None, str | None]] = Counter()

    def choose(candidates: Iterable[Recording], limit: int) -> int:
        left, before = [r for r in candidates if r.id not in chosen], len(chosen)
        while left and len(chosen) < min(before + limit, clips):
            rarest = min(left, key=lambda r: keys[r.work.key, r.work.mode])  # among equals, the most played
            left.remove(rarest)
            if take := _take(rarest, releases[rarest.release.id]):
                chosen[rarest.id] = take
                keys[rarest.work.key, rarest.work.mode] += 1
        return len(chosen) - before

    for versions in songs.values():
        choose(versions, MAX_VERSIONS)
    for recording in by_plays:
        if len(chosen) < HITS_SHARE * clips:
            choose([recording], 1)
    left = {kind: sorted(by_release.values(), key=weight, reverse=True) for kind, by_release in groups.items()}
    kinds = sorted(left, key=lambda kind: (-sum(map(weight, left[kind])), kind))
    while len(chosen) < clips and any(left.values()):
        for kind in kinds:
            while left[kind] and not choose(left[kind].pop(0), MAX_TRACKS):
                pass
    return sorted(chosen.values(), key=lambda t: (t.recording.credit[0][0].name, t.recording.release.id, t.track))


def _take(recording: Recording, release: Sequence[Recording]) -> Take | None:
    """Return the take of a recording, or None if its score contradicts the work's meter or key."""
    work = recording.work
    if not (work.key and work.mode and work.meter):
        return None
    rng = random.Random(f"take/{recording.id}")
    bars = _bars(work)
    order = played(bars)
    if work.has_sung_score:  # skip the introduction without words
        order = order[next(n for n, (bar, _) in enumerate(order) if any(note.syllables for note in bar.notes)) :]
    tempo_and_beat = _tempo(work, rng)
    if not order or tempo_and_beat is None or not _ends_on(order, work.key) or len({bar.fifths for bar in bars}) > 1:
        return None
    tempo, beat = tempo_and_beat
    bar = Fraction(work.meter)
    count = int(MAX_EXCERPT_S * tempo / 60 * beat / bar)
    count -= count % PHRASE_BARS if count >= 2 * PHRASE_BARS else 0
    upbeat = order[0][0].length if order[0][0].length < bar else Fraction(0)
    notes = _excerpt(order, upbeat, bar, count)
    if not notes:
        return None
    track = 1 + [r.id for r in release].index(recording.id)
    return Take(recording, track, len(release), notes, bar, count, upbeat, beat, tempo, rng.uniform(0.1, 0.5))


@functools.lru_cache(maxsize=64)  # works have several recordings, and large scores take long to parse
def _bars(work: Work) -> list[Bar]:
    return musicxml.read(catalog.musicxml(work)) if work.tune is None else abc_notation.read(catalog.abc(work))


def _excerpt(
    order: Sequence[tuple[Bar, int]], upbeat: Fraction, bar: Fraction, count: int
) -> tuple[TimedNote, ...] | None:
    """Return the notes of the first bars of the repeated tune, or None if bars do not match the meter."""
    end = upbeat + count * bar
    at, starts, notes = Fraction(0), set[Fraction](), list[TimedNote]()
    for current, time in cycle(order):
        if at >= end:
            break
        starts.add(at)
        for note in current.notes:
            onset = at + note.onset
            if onset < end and note.duration:
                syllable = note.syllables.get(time) or (note.syllables[min(note.syllables)] if note.syllables else "")
                notes.append(TimedNote(onset, min(note.duration, end - onset), note.pitch, syllable))
        at += current.length
    return tuple(notes) if all(upbeat + n * bar in starts for n in range(count)) else None


def _ends_on(order: Sequence[tuple[Bar, int]], key: str) -> bool:
    """Return whether a tune ends on its tonic. With several voices, the lowest note of the last bar counts."""
    notes = next((bar.notes for bar, _ in reversed(order) if bar.notes), [])
    if not notes:
        return False
    one_voice = len({note.onset for note in notes}) == len(notes)
    last = notes[-1] if one_voice else min(notes, key=lambda note: note.pitch)
    return last.pitch % 12 == keynote(key)


def keynote(key: str) -> int:
    """Return the pitch class of a tonic, where 0 is C."""
    return 7 * (MAJOR_KEYS.index(key) - MAJOR_KEYS.index("C")) % 12


def _tempo(work: Work, rng: random.Random) -> tuple[float, Fraction] | None:
    """Return beats per minute and the beat, from the file or else at random from the form's usual tempi.

    Return None if the meter is unusual or the tempo out of range. The beat of 6/8, 9/8 and 12/8 is a dotted quarter, in
    another triple meter its unit, else a half or a quarter of the bar.
    """
    pace = PACES.get(work.form or "", DEFAULT_PACE)
    count, unit = map(int, (work.meter or "").split("/"))
    bar = Fraction(count, unit)
    if count % 3 == 0:
        beat = Fraction(3 if count > 3 else 1, unit)
    elif bar in (1, Fraction(1, 2)):
        beat = bar / (pace.beats if bar == 1 else 2)
    else:
        return None
    if not (work.tempo_bpm and work.tempo_beat):
        return float(rng.randint(pace.slowest, pace.fastest)), beat
    file_beat = Fraction(work.tempo_beat)
    if count % 3 and bar / file_beat in (2, 4):
        beat = file_beat
    tempo = work.tempo_bpm * float(file_beat / beat)
    return (tempo, beat) if MIN_BPM <= tempo <= MAX_BPM else None
