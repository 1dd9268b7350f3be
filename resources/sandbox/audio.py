"""Audio: the sandbox's music folder, with recordings rendered to FLAC, Picard's tags, and some broken files.

This module writes files, tags and names. `renditions.py` and `resources/synthesis` decide what is played and how it
sounds.
"""

import io
import re
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from mutagen.flac import FLAC, Picture
from mutagen.id3 import PictureType

from resources.files import publish
from resources.sandbox import catalog, performers
from resources.sandbox.covers import SIDE_PIXELS, cover
from resources.sandbox.listeners import population
from resources.sandbox.performers import INVENTED
from resources.sandbox.renditions import Take, takes
from resources.synthesis import arrangement, synthesizer
from resources.synthesis.synthesizer import RATE

CLIPS = 60  # enough for every form; about 65 MB
ODD = "Odd Files"  # the folder of broken files
MAX_NAME_CHARS = 80  # some disks allow 255 bytes, and a character may have four
MIN_LINE_WORDS, MAX_LINE_WORDS = 4, 9  # of a sung line


@dataclass(frozen=True)
class Summary:
    """Counts of what was written."""

    clips: int
    releases: int
    lyrics: int  # .lrc files
    odd: int
    seconds: float  # of sound, without the odd files
    files: tuple[Path, ...]


def rendered(seed: int = 7, listeners: int = 240, clips: int = CLIPS) -> list[Take]:
    """Return the takes that `write` renders. They belong to the world of `world.write` with the same arguments."""
    recordings = performers.recordings(catalog.works(), seed)
    people = population(recordings, seed, listeners)
    probabilities = np.diff(people.tastes, prepend=0.0)  # [taste groups, recordings]
    shares = np.diff(people.mixture, prepend=0.0).mean(axis=0)  # of each taste group in all plays
    return takes(recordings, (shares @ probabilities).tolist(), clips)


def write(folder: Path, *, seed: int = 7, listeners: int = 240, clips: int = CLIPS) -> Summary:
    """Render recordings to a music folder, `Artist/Release/NN Title.flac`. The same arguments give the same bytes.

    Each file has an excerpt of about 20 s, 22.05 kHz, stereo, 16 bits. Songs have an `.lrc` file with the time of each
    line, and every other song also has its words in the tags. The folder `Odd Files` has problems of real folders:
    truncated, silent, empty and misnamed files, and one without tags. Files are written atomically, and other files in
    the folder are not changed. Raise ValueError if `clips` is less than 1.
    """
    if clips < 1:
        raise ValueError(f"nothing to render: {clips} clips. Must be at least 1.")
    chosen = rendered(seed, listeners, clips)
    files, lyrics, seconds, covers = list[Path](), 0, 0.0, dict[str, bytes]()
    for take in chosen:
        recording = take.recording
        artist, release = recording.credit[0][0], recording.release
        if release.id not in covers:
            covers[release.id] = cover(release, artist.name)
        samples = synthesizer.render(arrangement.sounds(take), take.seconds(take.end), release.id)
        seconds += len(samples) / RATE
        path = folder / safe(artist.name) / safe(release.title) / f"{take.track:02} {safe(recording.work.title)}.flac"
        lines = lrc(take)
        embedded = bool(lines) and lyrics % 2 == 0
        files.append(publish(path, [_tagged(_flac(samples), _tags(take, embedded), covers[release.id])]))
        if lines:
            lyrics += 1
            files.append(publish(path.with_suffix(".lrc"), [lines.encode()]))
    odd = [publish(folder / ODD / name, [content]) for name, content in _odd(chosen[0])]
    return Summary(len(chosen), len(covers), lyrics, len(odd), seconds, (*files, *odd))


def safe(name: str) -> str:
    """Return a file name that is valid on every disk, as Picard does: no separators, no dot at either end."""
    cut = re.sub(r'[\\/:*?"<>|\x00-\x1f]', "_", name).strip()[:MAX_NAME_CHARS].rstrip(". ")
    return re.sub(r"^\.", "_", cut) or "_"


def lrc(take: Take) -> str:
    """Return the lyrics of a take in LRC format, or an empty string if it has none."""
    lines = "".join(f"[{int(at // 60):02}:{at % 60:05.2f}]{line}\n" for at, line in sung(take))
    recording = take.recording
    head = f"[ar:{recording.credited}]\n[ti:{recording.work.title}]\n[al:{recording.release.title}]\n"
    return head + lines if lines else ""


def sung(take: Take) -> list[tuple[float, str]]:
    """Return the lyrics of a take as lines, each with its start in seconds. A word cut by the excerpt is left out.

    Scores have no line ends. A line ends at a punctuation mark or before a capital, if it has MIN_LINE_WORDS, and at
    the latest after MAX_LINE_WORDS.
    """
    words: list[tuple[float, str]] = []
    within = False
    for note in take.notes:
        if note.syllable:
            at, before = words.pop() if within else (take.seconds(note.onset), "")
            words.append((at, before + note.syllable))
            within = not note.syllable.endswith(" ")
    if within:
        words.pop()
    lines: list[tuple[float, list[str]]] = []
    for at, word in words:
        line = lines[-1][1] if lines else []
        capital = word[0].isupper() and word.strip() != "I"
        ended = len(line) >= MIN_LINE_WORDS and (capital or line[-1][-1] in ".,;:!?")
        if not lines or ended or len(line) >= MAX_LINE_WORDS:
            lines.append((at, []))
        lines[-1][1].append(word.strip())
    return [(at, " ".join(line)) for at, line in lines]


def _flac(samples: synthesizer.Floats) -> io.BytesIO:
    file = io.BytesIO()
    integers = np.rint(samples * 32_767).astype(np.int16)
    soundfile.write(file, integers, RATE, format="FLAC", subtype="PCM_16")
    return file


def _tags(take: Take, embedded: bool) -> dict[str, str | list[str]]:
    """Return Vorbis comments with Picard's names, in which `musicbrainz_trackid` is the recording.

    See https://picard-docs.musicbrainz.org/en/appendices/tag_mapping.html.
    """
    recording, work = take.recording, take.recording.work
    lead, release = recording.credit[0][0], recording.release
    tags: dict[str, str | list[str]] = {
        "title": work.title,
        "artist": recording.credited,
        "artists": [artist.name for artist, _ in recording.credit],
        "artistsort": "".join(artist.sort_name + phrase for artist, phrase in recording.credit),
        "album": release.title,
        "albumartist": lead.name,
        "albumartistsort": lead.sort_name,
        "tracknumber": str(take.track),
        "tracktotal": str(take.tracks),
        "discnumber": "1",
        "disctotal": "1",
        "date": release.date,
        "media": "Digital Media",
        "releasestatus": "official",
        "musicbrainz_trackid": recording.id,
        "musicbrainz_albumid": release.id,
        "musicbrainz_artistid": [artist.id for artist, _ in recording.credit],
        "musicbrainz_albumartistid": lead.id,
        "musicbrainz_workid": work.id,
        "comment": f"{work.provenance} An excerpt, played by a synthesizer; performers, release and date are "
        f"{INVENTED}.",
    }
    if work.form:
        tags["genre"] = work.form
    if embedded and work.lyrics:
        tags["lyrics"] = work.lyrics
    return tags


def _tagged(file: io.BytesIO, tags: dict[str, str | list[str]], front: bytes) -> bytes:
    """Add tags and a front cover to a FLAC file, and return its bytes."""
    file.seek(0)
    flac = FLAC(file)
    flac.update(tags)
    picture = Picture()
    picture.type, picture.mime, picture.desc = PictureType.COVER_FRONT, "image/jpeg", "front"
    picture.width = picture.height = SIDE_PIXELS
    picture.depth = 24
    picture.data = front
    flac.add_picture(picture)
    file.seek(0)
    flac.save(file)
    return file.getvalue()


def _odd(take: Take) -> Iterator[tuple[str, bytes]]:
    """Yield the names and contents of broken files. The names describe the problem."""
    samples = synthesizer.render(arrangement.sounds(take), take.seconds(take.end), take.recording.release.id)
    plain = _flac(samples).getvalue()
    yield "no tags.flac", plain
    yield "cut short.flac", plain[: len(plain) * 2 // 5]
    yield "silence.flac", _flac(np.zeros((10 * RATE, 2), dtype=np.float32)).getvalue()
    waves = io.BytesIO()
    with wave.open(waves, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.rint(samples[: 5 * RATE, 0] * 32_767).astype("<i2").tobytes())
    yield "a WAV named otherwise.flac", waves.getvalue()
    yield "a text named otherwise.m4a", b"This is no audio, whatever its name says.\n"
    yield "empty.mp3", b""
