"""The sandbox's music folder: recordings rendered to FLAC, tagged as MusicBrainz Picard tags, and what spoils a folder.

What belongs here: files, tags and names. What is played and how it sounds is elsewhere (takes, arrangement,
synthesis).
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
from resources.sandbox.covers import SIDE, cover
from resources.sandbox.listeners import population
from resources.sandbox.performers import INVENTED
from resources.sandbox.renditions import Take, takes
from resources.synthesis import arrangement, synthesizer
from resources.synthesis.synthesizer import RATE

CLIPS = 60  # enough for every form, and some 65 MB
ODD = "Odd Files"  # the folder of those that something is wrong with
LONGEST = 80  # characters of a name: some disks take 255 bytes, and a character may be four
WORDS = (4, 9)  # of a sung line, at least and at most: a comma ends it in between


@dataclass(frozen=True)
class Summary:
    """What was written."""

    clips: int
    releases: int
    lyrics: int  # .lrc files
    odd: int
    seconds: float  # of sound, the odd files left out
    files: tuple[Path, ...]


def rendered(seed: int = 7, listeners: int = 240, clips: int = CLIPS) -> list[Take]:
    """What `write` renders of the world that `world.write` makes of the same seed and number of listeners."""
    recordings = performers.recordings(catalog.works(), seed)
    people = population(recordings, seed, listeners)
    chances = np.diff(people.tastes, prepend=0.0)  # of each taste group, to play each recording
    shares = np.diff(people.mixture, prepend=0.0).mean(axis=0)  # of each taste group, in all that is played
    return takes(recordings, (shares @ chances).tolist(), clips)


def write(folder: Path, *, seed: int = 7, listeners: int = 240, clips: int = CLIPS) -> Summary:
    """Render recordings into a music folder, `Artist/Release/NN Title.flac`; the same arguments write the same bytes.

    An excerpt of about 20 s each, 22.05 kHz, stereo, 16 bits. Songs have an `.lrc` file beside them with the second at
    which each line begins, every other one its words in the tags too. `Odd Files` holds what a real folder has as
    well: files cut short, silent, empty, named after what they are not, and one without tags. Each file appears whole
    or not at all; other files in the folder are left alone. Raises `ValueError` if there is nothing to render.
    """
    if clips < 1:
        raise ValueError(f"nothing to render for {clips} clips")
    chosen = rendered(seed, listeners, clips)
    files, lyrics, seconds, covers = list[Path](), 0, 0.0, dict[str, bytes]()
    for take in chosen:
        recording = take.recording
        artist, release = recording.credit[0][0], recording.release
        if release.id not in covers:
            covers[release.id] = cover(release, artist.name)
        samples = synthesizer.render(arrangement.sounds(take), take.seconds(take.end), release.id)
        seconds += len(samples) / RATE
        named = folder / safe(artist.name) / safe(release.title) / f"{take.track:02} {safe(recording.work.title)}.flac"
        lines = lrc(take)
        embedded = bool(lines) and lyrics % 2 == 0
        files.append(publish(named, [_tagged(_flac(samples), _tags(take, embedded), covers[release.id])]))
        if lines:
            lyrics += 1
            files.append(publish(named.with_suffix(".lrc"), [lines.encode()]))
    odd = [publish(folder / ODD / name, [content]) for name, content in _odd(chosen[0])]
    return Summary(len(chosen), len(covers), lyrics, len(odd), seconds, (*files, *odd))


def safe(name: str) -> str:
    """A name that every disk takes, as Picard makes it: no separators, nothing hidden, no dot at the end."""
    cut = re.sub(r'[\\/:*?"<>|\x00-\x1f]', "_", name).strip()[:LONGEST].rstrip(". ")
    return re.sub(r"^\.", "_", cut) or "_"


def lrc(take: Take) -> str:
    """The words sung in a take, a line each with the time at which it begins; nothing if nothing is sung."""
    lines = "".join(f"[{int(at // 60):02}:{at % 60:05.2f}]{line}\n" for at, line in sung(take))
    recording = take.recording
    head = f"[ar:{recording.credited}]\n[ti:{recording.work.title}]\n[al:{recording.release.title}]\n"
    return head + lines if lines else ""


def sung(take: Take) -> list[tuple[float, str]]:
    """The lines of a take and the second at which each begins; a word that the excerpt cuts is left out.

    Scores do not say where a line ends: it does at a comma or before a capital, if it has some words, and at the latest
    when it is long.
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
        ended = len(line) >= WORDS[0] and (capital or line[-1][-1] in ".,;:!?")
        if not lines or ended or len(line) >= WORDS[1]:
            lines.append((at, []))
        lines[-1][1].append(word.strip())
    return [(at, " ".join(line)) for at, line in lines]


def _flac(samples: synthesizer.Floats) -> io.BytesIO:
    file = io.BytesIO()
    whole = np.rint(samples * 32_767).astype(np.int16)
    soundfile.write(file, whole, RATE, format="FLAC", subtype="PCM_16")
    return file


def _tags(take: Take, embedded: bool) -> dict[str, str | list[str]]:
    """Vorbis comments by the names that Picard gives them.

    https://picard-docs.musicbrainz.org/en/appendices/tag_mapping.html: `musicbrainz_trackid` is the recording.
    """
    recording, work = take.recording, take.recording.work
    lead, release = recording.credit[0][0], recording.release
    told: dict[str, str | list[str]] = {
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
        told["genre"] = work.form
    if embedded and work.lyrics:
        told["lyrics"] = work.lyrics
    return told


def _tagged(file: io.BytesIO, tags: dict[str, str | list[str]], front: bytes) -> bytes:
    file.seek(0)
    flac = FLAC(file)
    flac.update(tags)
    picture = Picture()
    picture.type, picture.mime, picture.desc = PictureType.COVER_FRONT, "image/jpeg", "front"
    picture.width = picture.height = SIDE
    picture.depth = 24
    picture.data = front
    flac.add_picture(picture)
    file.seek(0)
    flac.save(file)
    return file.getvalue()


def _odd(take: Take) -> Iterator[tuple[str, bytes]]:
    """Files that something is wrong with, by a name that says what."""
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
