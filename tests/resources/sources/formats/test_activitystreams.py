"""ActivityStreams: activities as Mastodon and the specification write them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from resources.sources.readers.archive import UnsupportedFile
from resources.sources.records.listen import RecordResult
from resources.sources.records.social import Deletion, Post, Relationship, Share, TagAssignment, id_of
from tests.exporting import feedback, read, reasons

CONTEXT = "https://www.w3.org/ns/activitystreams"
PUBLIC = f"{CONTEXT}#Public"
HOST = "https://music.example"
ADA, BOB = f"{HOST}/users/ada", f"{HOST}/users/bob"
MBID = "0b0e2bd7-6ffd-4a4a-8b11-3ce7c8ee0c4f"
PAGE = f"https://musicbrainz.org/recording/{MBID}"
AT, LATER = "2024-02-28T12:00:00Z", "2024-02-29T12:00:00Z"
NOON, NEXT_NOON = datetime(2024, 2, 28, 12, tzinfo=UTC), datetime(2024, 2, 29, 12, tzinfo=UTC)


def activity(type: str, object: Any, actor: Any = ADA, **more: Any) -> dict[str, Any]:
    return {"@context": CONTEXT, "type": type, "actor": actor, "object": object, "published": AT} | more


def note(content: Any, **more: Any) -> dict[str, Any]:
    return {"id": f"{ADA}/statuses/1", "type": "Note", "attributedTo": ADA, "published": AT, "content": content} | more


def read_results(folder: Path, *activities: Any, listener: str | None = None) -> list[RecordResult]:
    return read(folder, "\n".join(map(json.dumps, activities)), listener)


def records(folder: Path, *activities: Any, listener: str | None = None) -> list[Any]:
    results = read_results(folder, *activities, listener=listener)
    assert [r.reason or r.skipped for r in results if not r.parsed] == []
    return [r.parsed for r in results]


def post(folder: Path, content: Any, **more: Any) -> Post:
    (one,) = records(folder, activity("Create", note(content, **more)))
    assert isinstance(one, Post)
    return one


def test_a_follow_has_a_direction_and_its_undo_is_an_end(tmp_path: Path) -> None:
    follow = {"type": "Follow", "actor": ADA, "object": BOB}  # Mastodon gives no time
    undo = activity("Undo", follow, published=LATER)
    assert records(tmp_path, {"@context": CONTEXT, **follow}, activity("Follow", {"id": BOB}), undo) == [
        Relationship("ada@music.example", "bob@music.example", "follow", False, None, "activitystreams"),
        Relationship("ada@music.example", "bob@music.example", "follow", False, NOON, "activitystreams"),
        Relationship("ada@music.example", "bob@music.example", "follow", True, NEXT_NOON, "activitystreams"),
    ]


def test_a_friendship_may_be_submitted_by_either_friend(tmp_path: Path) -> None:
    friends = {"type": "Relationship", "subject": ADA, "object": BOB,
               "relationship": "http://purl.org/vocab/relationship/friendOf"}  # fmt: skip
    begun, from_bob, undone, removed = records(
        tmp_path,
        activity("Create", friends),
        activity("Create", friends | {"startTime": LATER}, BOB),
        activity("Undo", activity("Create", friends), published=LATER),
        activity("Delete", friends, published=LATER),
    )
    assert begun == Relationship("ada@music.example", "bob@music.example", "friendship", False, NOON, "activitystreams")
    assert from_bob.happened_at == NEXT_NOON
    assert undone == removed
    assert (undone.ends, undone.happened_at) == (True, NEXT_NOON)


def test_a_post_has_text_mentions_hashtags_and_the_playing_track(tmp_path: Path) -> None:
    tags = [
        {"type": "Mention", "href": BOB, "name": "@bob@music.example"},
        {"type": "Hashtag", "href": f"{HOST}/tags/nowplaying", "name": "#NowPlaying"},
        {"type": "Emoji", "name": ":note:"},
    ]
    got = post(tmp_path, "<p>@bob #NowPlaying Artist – Title</p>", tag=tags)
    assert got == Post(
        post_id=id_of(f"{ADA}/statuses/1"),
        user_id="ada@music.example",
        posted_at=NOON,
        updated_at=NOON,
        text="@bob #NowPlaying Artist – Title",
        mentions=("bob@music.example",),
        hashtags=("nowplaying",),
        artist_name="Artist",
        recording_name="Title",
        recording_mbid=None,
        is_deleted=False,
        source="activitystreams",
    )


def test_mentions_and_hashtags_come_from_the_text_without_tags(tmp_path: Path) -> None:
    got = post(tmp_path, "@bob @cy@other.example #Jazz")
    assert (got.mentions, got.hashtags) == (("bob@music.example", "cy@other.example"), ("jazz",))
    assert post(tmp_path, "@bob #Jazz", tag=[]).hashtags == ()
    assert post(tmp_path, "#Jazz", tag={"type": "Hashtag", "name": "#Rock"}).hashtags == (
        "rock",
    )  # one, without a list


def test_a_linked_recording_counts_only_if_it_is_playing(tmp_path: Path) -> None:
    link = f'<a href="{PAGE}">this</a>'
    assert post(tmp_path, f"#nowplaying {link}").recording_mbid == MBID
    assert post(tmp_path, f"read about {link}").recording_mbid is None


def test_plain_text_stays_and_content_map_replaces_content(tmp_path: Path) -> None:
    assert post(tmp_path, "a <b> c", mediaType="text/plain").text == "a <b> c"
    assert post(tmp_path, None, contentMap={"en": "<p>hello</p>"}).text == "hello"


def test_an_edit_and_a_deletion_keep_the_time_of_the_post(tmp_path: Path) -> None:
    edit = activity("Update", note("new", updated=LATER), published=None)
    gone = activity("Delete", {"type": "Tombstone", "id": f"{ADA}/statuses/1", "published": AT}, published=LATER)
    edited, deleted = records(tmp_path, edit, gone)
    assert (edited.text, edited.posted_at, edited.updated_at) == ("new", NOON, NEXT_NOON)
    assert (deleted.post_id, deleted.posted_at, deleted.is_deleted) == (edited.post_id, NOON, True)


def test_posts_that_are_not_public_are_skipped(tmp_path: Path) -> None:
    public = activity("Create", note("a"), to=[PUBLIC], cc=[f"{ADA}/followers"])
    unlisted = activity("Create", note("b", id="2", cc=PUBLIC, to=[f"{ADA}/followers"]))
    private = activity("Create", note("c"), to=[BOB])
    within = activity("Create", note("d", to=[f"{ADA}/followers"]), to=[PUBLIC])
    results = read_results(tmp_path, public, unlisted, private, within)
    assert [r.skipped for r in results] == [None, None, "a post that is not public", "a post that is not public"]


@pytest.mark.parametrize(
    ("object", "entity", "entity_id"),
    [
        (PAGE, "recording", MBID),
        ({"type": "Audio", "id": PAGE}, "recording", MBID),
        (f"https://listenbrainz.org/playlist/{MBID}", "playlist", f"https://listenbrainz.org/playlist/{MBID}"),
        ({"type": "OrderedCollection", "id": f"{HOST}/lists/1"}, "playlist", f"{HOST}/lists/1"),
        (f"{BOB}/statuses/7", "post", id_of(f"{BOB}/statuses/7")),
        ({"type": "Note", "id": f"{BOB}/statuses/7"}, "post", id_of(f"{BOB}/statuses/7")),
    ],
)
def test_a_share_is_of_a_recording_a_playlist_or_a_post(
    tmp_path: Path, object: Any, entity: str, entity_id: str
) -> None:
    announce = activity("Announce", object, id=f"{ADA}/statuses/9/activity", to=[PUBLIC])
    shared, undone = records(tmp_path, announce, activity("Undo", announce, published=LATER))
    share_id = id_of(f"{ADA}/statuses/9/activity")
    assert shared == Share(share_id, "ada@music.example", NOON, entity, entity_id, False, "activitystreams")
    assert undone == Share(share_id, "ada@music.example", NOON, entity, entity_id, True, "activitystreams")


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("Delete", f"{ADA}/statuses/1"),
        ("Delete", {"type": "Tombstone", "id": f"{ADA}/statuses/1", "atomUri": f"{ADA}/statuses/1"}),  # Mastodon's
        ("Delete", {"id": f"{ADA}/statuses/1"}),
        ("Undo", f"{ADA}/statuses/1"),
        ("Undo", {"id": f"{ADA}/statuses/1"}),
    ],
)
@pytest.mark.parametrize(("when", "at"), [(LATER, NEXT_NOON), (None, None)])
def test_an_undo_or_delete_by_id_alone_is_a_deletion(
    tmp_path: Path, kind: str, what: Any, when: str | None, at: datetime | None
) -> None:
    id = post(tmp_path, "hi").post_id
    assert records(tmp_path, activity(kind, what, published=when)) == [
        Deletion("ada@music.example", id, at, "activitystreams")
    ]


def test_a_relationship_gets_its_id_from_its_address(tmp_path: Path) -> None:
    friends = {"type": "Relationship", "subject": ADA, "object": BOB, "relationship": "friendOf"}
    activities = [
        activity("Follow", BOB, id=f"{ADA}/1"),
        activity("Create", friends, id=f"{ADA}/1"),
        activity("Create", friends | {"id": f"{ADA}/1"}, id=f"{ADA}/2"),
        activity("Undo", activity("Follow", BOB, id=f"{ADA}/1")),
    ]
    assert [r.submitted_id for r in records(tmp_path, *activities)] == [id_of(f"{ADA}/1")] * 3 + [None]


def test_liking_a_recording_is_feedback_and_liking_a_post_is_skipped(tmp_path: Path) -> None:
    like = activity("Like", PAGE)
    results = read_results(
        tmp_path, like, activity("Dislike", PAGE), activity("Undo", like), activity("Like", f"{BOB}/statuses/7")
    )
    assert [(f.recording_mbid, f.score) for f in feedback(results)] == [(MBID, 1), (MBID, -1), (MBID, 0)]
    assert results[3].skipped == "an opinion on something other than a recording"


ARTIST = f"https://musicbrainz.org/artist/{MBID}"


@pytest.mark.parametrize(("target", "name"), [(ARTIST, None), ({"type": "Person", "id": ARTIST, "name": "A"}, "A")])
def test_a_hashtag_added_to_an_artist_is_a_tag_assignment(tmp_path: Path, target: Any, name: str | None) -> None:
    add = activity("Add", {"type": "Hashtag", "name": "#Trip-Hop"}, target=target)
    origin = f"musicbrainz:artist:{MBID}"
    assert records(tmp_path, add) == [
        TagAssignment("ada@music.example", name, origin, "Trip-Hop", NOON.date(), "activitystreams")
    ]


def test_a_hashtag_added_to_a_profile_is_skipped(tmp_path: Path) -> None:
    featured = activity("Add", {"type": "Hashtag", "name": "#a"}, target=f"{ADA}/collections/featured")
    assert read_results(tmp_path, activity("Follow", BOB), featured)[1].skipped


@pytest.mark.parametrize(
    ("actor", "known"),
    [
        (ADA, "ada@music.example"),
        ("https://Music.example/@ada", "ada@music.example"),
        ("acct:ada@music.example", "ada@music.example"),
        ({"type": "Person", "id": ADA, "name": "Ada L."}, "ada@music.example"),
        ({"type": "Person", "name": "ada"}, "ada"),
        ("ada", "ada"),
        (f"{HOST}/ap/17", f"{HOST}/ap/17"),
        ([ADA, BOB], "ada@music.example"),
    ],
)
def test_the_user_id_is_the_account_else_the_address_or_name(tmp_path: Path, actor: Any, known: str) -> None:
    (follow,) = records(tmp_path, activity("Follow", "cy", actor))
    assert follow.user_id == known


def test_the_listener_named_at_import_is_the_actor_of_an_outbox(tmp_path: Path) -> None:
    outbox = {
        "@context": CONTEXT,
        "id": "outbox.json",
        "type": "OrderedCollection",
        "totalItems": 2,
        "orderedItems": [activity("Create", note("hi @ada")), activity("Follow", BOB)],
    }
    hi, follow = (r.parsed for r in read(tmp_path, json.dumps(outbox, indent=2), "countess"))
    assert isinstance(hi, Post) and isinstance(follow, Relationship)
    assert (hi.user_id, hi.mentions) == ("countess", ("countess",))
    assert (follow.user_id, follow.other_id) == ("countess", "bob@music.example")


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (activity("Follow", ADA), "are the same"),
        (activity("Follow", None), "followed account"),
        (activity("Undo", None), "is missing"),
        (activity("Delete", {"type": "Tombstone"}), "is missing"),
        (activity("Delete", ADA), "make erase"),
        (activity("Undo", activity("Follow", BOB, "cy")), "another person"),
        (activity("Undo", {"type": "Follow", "actor": ADA, "object": BOB}, published=None), "is missing"),
        (activity("Create", f"{ADA}/statuses/1"), "by its id alone"),
        (activity("Create", note("x", published=None), published=None), "published"),
        (activity("Create", note("x", published="soon")), "published"),
        (activity("Create", note(["x"])), "content is not text"),
        (activity("Create", note("x" * 100_001)), "longer than 100,000"),
        (activity("Create", note("x", tag=[{"type": "Hashtag", "name": "#a"}] * 1_001)), "more than 1,000 tags"),
        (activity("Create", note("a\0b")), "NUL"),
        (activity("Create", note("x", published="2030-01-01T00:00:00Z")), "posted at 2030-01-01T00:00:00+00:00"),
        (activity("Follow", BOB, published="1999-01-01T00:00:00Z"), "happened at 1999"),
        (activity("Announce", PAGE, published=None), "published"),
        (activity("Announce", None), "is missing"),
        (activity("Add", {"type": "Hashtag", "name": "#"}, target=ARTIST), "hashtag is missing"),
        (activity("Add", {"type": "Hashtag"}, target=ARTIST), "name of the hashtag is missing"),
        (activity("Remove", {"type": "Hashtag", "name": "#a"}, target=ARTIST), "removal of a tag"),
        (activity("Follow", "x" * 3_000), "longer than 2,048"),
        ({"type": "Follow", "object": BOB, "published": AT}, "actor is missing"),
        ({"type": "Follow", "actor": ADA, "obj": 1}, "followed account"),
    ],
)
def test_a_malformed_activity_is_quarantined_with_its_reason(
    tmp_path: Path, record: dict[str, Any], reason: str
) -> None:
    results = read_results(tmp_path, activity("Follow", BOB), record, activity("Follow", "cy"))
    (quarantine_reason,) = reasons(results)
    assert reason in quarantine_reason
    assert [r.record for r in results if r.parsed] == [1, 3]


@pytest.mark.parametrize("kind", ["Accept", "Listen", "Block", "Move"])
def test_other_activities_are_skipped(tmp_path: Path, kind: str) -> None:
    results = read_results(tmp_path, activity("Follow", BOB), activity(kind, BOB))
    assert results[1].skipped and not results[1].reason


def test_personal_fields_reach_neither_records_nor_quarantine(tmp_path: Path) -> None:
    actor = {"type": "Person", "id": ADA, "email": "ada@home.example", "ip": "203.0.113.77", "userAgent": "Kepler/1.0"}
    results = read_results(tmp_path, activity("Follow", BOB, actor), activity("Follow", None, actor))
    assert not {word for word in ("ada@home", "203.0.113", "Kepler") if word in str(results)}


def test_a_truncated_line_loses_no_other(tmp_path: Path) -> None:
    lines = [json.dumps(activity("Follow", name)) for name in ("a", "b", "c")]
    results = read(tmp_path, "\n".join([lines[0], lines[1][:40], lines[2]]), None)
    assert [bool(r.parsed) for r in results] == [True, False, True]


def test_activities_without_an_actor_ask_for_the_listener(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedFile, match="LISTENER="):
        read_results(tmp_path, activity("Follow", BOB, None))
