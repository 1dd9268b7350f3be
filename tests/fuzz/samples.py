"""Small valid sample files of every format."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

UTS = 1_695_047_940
MBID = "8f3471b5-7e6a-48da-86a9-c1c07a0f47ae"
NAMES = {"artist_name": "Artist", "track_name": "Song"}
LISTENS = [{"listened_at": UTS + n, "track_metadata": NAMES} for n in range(3)]
TRACKS = [{"artist": {"#text": "A"}, "name": "S", "album": {"#text": "B"}, "date": {"uts": str(UTS)}}] * 2
SCROBBLES = [{"time": UTS, "track": {"artists": ["A"], "title": "S"}, "origin": "client:x"}] * 2
PLAYLIST = {"playlist": {"title": "P", "track": [{"title": "a", "creator": "b", "identifier": ["x"]}] * 2}}
CSV = f'# a comment\nArtist,Track,Album,Time\n"A",C,B,{UTS}\nA,C,B,{UTS}\n'
XSPF = '<playlist xmlns="http://xspf.org/ns/0/"><title>P</title><trackList><track><title>a</title></track></trackList></playlist>'
PRESSED = [
    {"event": "play", "user_id": "ada", "timestamp": UTS + n, "properties": {"position_ms": n, "new": {"a": [1.5]}}}
    for n in range(3)
]
ENDED = [
    {
        "ts": f"2023-09-18T14:3{n}:00Z",
        "ms_played": 200_000 + n,
        "ip_addr": "203.0.113.77",
        "master_metadata_track_name": f"Söng {n}",
        "master_metadata_album_artist_name": "Artist",
        "master_metadata_album_album_name": None,
        "spotify_track_uri": "spotify:track:4uLU6hMCjMI75M1A2tKUQC",
    }
    for n in range(4)
]
ACCOUNT = [
    {"endTime": f"2023-09-18 14:3{n}", "artistName": "A", "trackName": f"S{n}", "msPlayed": 9_000} for n in range(3)
]
SUBMITTED = {
    "duration_played": 181,
    "recording_mbid": MBID,
    "artist_mbids": [MBID],
    "isrc": "GBAYE6800011",
    "spotify_id": "https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC",
    "time_zone": "Europe/Berlin",
}
DUMPED = [
    {
        "timestamp": UTS + n,
        "user_name": "ada",
        "track_metadata": NAMES | {"release_name": "R", "additional_info": SUBMITTED},
    }
    for n in range(4)
]
GIVEN = [{"recording_mbid": MBID, "score": score, "created": UTS, "user_name": "ada"} for score in (1, -1, 0)]
LOGGED = [
    {"timeMs": UTS * 1000 + n, "event": event, "artist": "A", "track": "S", "durationMs": 1}
    for n, event in enumerate(("scrobble", "love", "focus"))
]
NOTE = {
    "id": "https://music.example/users/ada/statuses/1",
    "type": "Note",
    "published": "2023-09-18T14:39:00Z",
    "attributedTo": "https://music.example/users/ada",
    "content": '<p>#nowplaying Artist – Song <a href="https://musicbrainz.org/recording/' + MBID + '">x</a></p>',
    "tag": [{"type": "Hashtag", "name": "#nowplaying"}, {"type": "Mention", "href": "https://music.example/@bob"}],
}
ADA = "https://music.example/users/ada"
FRIENDS = {
    "type": "Relationship",
    "subject": ADA,
    "relationship": "http://purl.org/vocab/relationship/friendOf",
    "object": "https://music.example/users/bob",
    "startTime": "2023-09-18T14:39:00Z",
}
ACTIVITIES = [
    {"id": f"{ADA}/{n}", "type": kind, "actor": ADA, "published": "2023-09-18T14:40:00Z", "object": about}
    for n, (kind, about) in enumerate(
        [
            ("Follow", "https://music.example/users/bob"),
            ("Create", NOTE),
            ("Update", NOTE),
            ("Delete", {"type": "Tombstone", "id": NOTE["id"], "published": NOTE["published"]}),
            ("Announce", "https://musicbrainz.org/recording/" + MBID),
            ("Like", "https://musicbrainz.org/recording/" + MBID),
            ("Create", FRIENDS),
            ("Undo", {"type": "Follow", "actor": ADA, "object": "https://music.example/users/bob"}),
        ]
    )
]
RECORDINGS = [
    {
        "id": MBID,
        "title": f"Song {n}",
        "length": 200_000,
        "first-release-date": "1968-08",
        "artist-credit": [{"name": "A", "joinphrase": " & ", "artist": {"id": MBID}}],
        "isrcs": ["GBAYE6800011"],
        "releases": [{"id": MBID, "date": "1968"}],
    }
    for n in range(3)
]
LYRICS = [
    {
        "id": n,
        "trackName": "Song",
        "artistName": "A",
        "duration": 200.5,
        "plainLyrics": "La la\nla",
        "syncedLyrics": "[00:01.00] La la\n[00:02.50] la",
        "instrumental": False,
        "recording_mbid": MBID,
    }
    for n in range(3)
]


def lines(records: list[Any]) -> bytes:
    """Return the records as JSON lines."""
    return "\n".join(json.dumps(record, ensure_ascii=False) for record in records).encode()


def listed(records: list[Any]) -> bytes:
    """Return the records as a JSON array with one record a line."""
    return ("[\n" + ",\n".join(map(json.dumps, records)) + "\n]").encode()


def parquet() -> bytes:
    """Return three listens as in the Spark dump of ListenBrainz."""
    out = io.BytesIO()
    when = pa.array([UTS * 1000] * 3, pa.timestamp("ms"))
    columns = {"listened_at": when, "user_id": [1, 2, 3], "artist_name": ["A"] * 3, "recording_name": ["S"] * 3}
    pq.write_table(pa.table(columns), out, row_group_size=1)
    return out.getvalue()


def zipped(data: bytes, *names: str) -> bytes:
    """Return a zip of files with the same content."""
    return zip_of(dict.fromkeys(names or ("a.json", "b.json"), data))


def zip_of(files: Mapping[str, bytes]) -> bytes:
    """Return a zip of these files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return out.getvalue()


def tarred(data: bytes, *names: str) -> bytes:
    """Return a tar of files with the same content."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        for name in names or ("a.json", "x" * 150):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            file.addfile(entry, io.BytesIO(data))
    return out.getvalue()


EXPORTS: Mapping[str, bytes] = {
    "lines": lines(LISTENS),
    "app events": lines(PRESSED),
    "list": json.dumps(LISTENS).encode(),
    "page": json.dumps({"recenttracks": {"track": TRACKS, "@attr": {"user": "ada"}}}).encode(),
    "maloja": json.dumps({"maloja": {"export_time": 1}, "scrobbles": SCROBBLES}, indent=1).encode(),
    "jspf": json.dumps(PLAYLIST).encode(),
    "csv": CSV.encode(),
    "bare csv": b'A,B,C,"18 Sep 2023, 14:39"\n' * 3,
    "xspf": XSPF.encode(),
    "parquet": parquet(),
    "zip": zipped(lines(LISTENS)),
    "tar": tarred(lines(LISTENS)),
    "tar of parquet": tarred(parquet()),
    "gz": gzip.compress(tarred(lines(LISTENS))),
    "bz2": bz2.compress(lines(LISTENS)),
    "xz": lzma.compress(lines(LISTENS)),
    "zst": zstandard.compress(tarred(lines(LISTENS))),
}
MORE: Mapping[str, bytes] = {
    "spotify": listed(ENDED),
    "spotify account": listed(ACCOUNT),
    "dump": lines(DUMPED),
    "feedback": lines(GIVEN),
    "pano": lines(LOGGED),
    "plain csv": f"uts,artist,album,track\n{UTS},A,B,C\n{UTS + 1},A,B,D\n{UTS + 2},Ä,B,E\n".encode(),
    "activities": lines(ACTIVITIES),
    "outbox": json.dumps({"type": "OrderedCollection", "orderedItems": ACTIVITIES}).encode(),
    "hetrec": zip_of(
        {
            "artists.dat": b"id\tname\turl\tpictureURL\n1\tA\tu\tp\n",
            "tags.dat": b"tagID\ttagValue\n7\tmetal\n",
            "user_friends.dat": b"userID\tfriendID\n2\t275\n275\t2\n",
            "user_taggedartists.dat": b"userID\tartistID\ttagID\tday\tmonth\tyear\n2\t1\t7\t1\t4\t2009\n",
        }
    ),
}
SUBMISSIONS: Mapping[str, bytes] = {
    kind: json.dumps({"listen_type": kind, "payload": payload}).encode()
    for kind, payload in {
        "single": [{"listened_at": UTS, "track_metadata": NAMES | {"additional_info": SUBMITTED}}],
        "playing_now": [{"track_metadata": NAMES}],
        "import": LISTENS,
    }.items()
}
