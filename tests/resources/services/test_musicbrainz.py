"""MusicBrainz's API, asked of the sandbox's face: every entity once, whatever goes wrong, and never too often."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount

from resources.errors import TuttiError
from resources.sandbox import catalog, performers
from resources.sandbox.entities import Entities, entities
from resources.sandbox.http import musicbrainz
from resources.sandbox.http.accounts import Accounts
from resources.sandbox.http.faults import KINDS as FAULTS
from resources.sandbox.http.faults import Faults
from resources.sandbox.http.limit import Limited
from resources.sandbox.http.server import served
from resources.services.musicbrainz import LOOKED_UP, URL, MusicBrainz, agent, pace
from resources.services.web import Unanswered, Web
from resources.sources.formats.musicbrainz import ARTISTS, KINDS, RECORDINGS, RELEASE_GROUPS, RELEASES, Kind
from tests.serving import Clock, patience, sandbox

NOBODY = "00000000-0000-4000-8000-000000000000"
MOST = 7  # entities on a page


@pytest.fixture(scope="module")
def told() -> Entities:
    return entities(performers.recordings(catalog.works()[:120], 7))


@dataclass
class World:
    """The sandbox, and programs that ask it."""

    url: str
    told: Entities
    faults: Faults
    said: list[str] = field(default_factory=list)

    def api(self, attempts: int = 30, most: int = MOST) -> MusicBrainz:
        clock = Clock(time.time())  # the server has the time of day
        settings: dict[str, Any] = {"now": clock.now, "sleep": clock.sleep, "log": self.said.append}
        web = Web("MusicBrainz", self.url, attempts=attempts, timeout=patience(self.faults), **settings)
        return MusicBrainz(web, most)

    def ids(self, kind: Kind) -> list[str]:
        return list(self.told.of[kind.path])


@pytest.fixture(scope="module")
def serving(told: Entities) -> Iterator[World]:
    faults = Faults(delay=0.3, retry_after=0)
    with sandbox(Accounts([]), faults, entities=told) as url:
        yield World(url, told, faults)


@pytest.fixture
def world(serving: World) -> World:
    """With nothing wrong."""
    serving.faults.tell(0, FAULTS)
    serving.faults.script.clear()
    serving.said.clear()
    return serving


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.entity)
def test_an_entity_is_looked_up_with_all_that_its_table_holds(world: World, kind: Kind) -> None:
    id = world.ids(kind)[3]
    found = world.api().lookup(kind, id.upper())
    assert (found.asked, found.merged) == (id, False)
    whole = {key: value for key, value in world.told.of[kind.path][id].items() if key != "provenance"}
    assert found.record == whole
    kind.parse(found.record)


def test_what_is_not_asked_for_is_not_told(world: World) -> None:
    record = world.api().lookup(RECORDINGS, world.ids(RECORDINGS)[0], include=()).record
    assert record and {"id", "title", "length"} <= record.keys()
    assert not {"artist-credit", "releases", "tags"} & record.keys()


def test_an_id_that_nobody_knows_is_a_fact(world: World) -> None:
    assert world.api(attempts=1).lookup(ARTISTS, NOBODY).record is None


def test_an_id_that_was_merged_leads_to_the_other_and_both_are_told(world: World) -> None:
    old, new = next(iter(world.told.merged["recording"].items()))
    found = world.api(attempts=1).lookup(RECORDINGS, old)
    assert found.record
    assert (found.asked, found.record["id"], found.merged) == (old, new, True)
    assert "artist-credit" in found.record  # what was to be included still is


def test_pages_hold_everything_once_and_tell_where_the_next_begins(world: World) -> None:
    artist = max(
        world.ids(ARTISTS),
        key=lambda id: sum(id in json.dumps(r["artist-credit"]) for r in world.told.of["recording"].values()),
    )
    wanted = [id for id, r in world.told.of["recording"].items() if artist in json.dumps(r["artist-credit"])]
    assert len(wanted) > MOST
    pages = list(world.api().browse(RECORDINGS, ARTISTS, artist))
    assert [record["id"] for page in pages for record in page.records] == wanted
    assert [page.cursor for page in pages] == [*range(MOST, len(wanted), MOST), None]
    rest = [r["id"] for p in world.api().browse(RECORDINGS, ARTISTS, artist, offset=MOST) for r in p.records]
    assert rest == wanted[MOST:]
    for kind, of in ((RELEASES, ARTISTS), (RELEASE_GROUPS, ARTISTS), (RECORDINGS, RELEASES), (ARTISTS, RECORDINGS)):
        (first, *_) = world.api().browse(kind, of, world.ids(of)[0])
        assert [kind.parse(record) for record in first.records]
    assert [page.records for page in world.api().browse(RELEASES, ARTISTS, NOBODY)] == [[]]


def test_words_find_entities_page_by_page(world: World) -> None:
    everything = [r["id"] for page in world.api().search(RECORDINGS, "*") for r in page.records]
    assert everything == world.ids(RECORDINGS)
    wanted = world.told.of["recording"][everything[5]]
    words = f'recording:"{wanted["title"]}" AND artist:"{wanted["artist-credit"][0]["name"]}"'
    (page,) = world.api().search(RECORDINGS, words)
    assert wanted["id"] in [record["id"] for record in page.records]
    either = f"rid:({everything[1]} OR {everything[2]})"
    assert [r["id"] for page in world.api().search(RECORDINGS, either) for r in page.records] == everything[1:3]
    assert [page.records for page in world.api().search(ARTISTS, "Nobody at all")] == [[]]


@pytest.mark.parametrize("fault", FAULTS)
def test_no_fault_loses_or_repeats_an_entity(world: World, fault: str) -> None:
    world.faults.script = [fault, None, fault, fault]
    found = [record["id"] for page in world.api(most=50).search(RECORDINGS, "*") for record in page.records]
    assert found == world.ids(RECORDINGS)
    world.faults.script = [] if fault == "empty" else [fault, fault]
    id = world.ids(RELEASES)[0]
    record = world.api().lookup(RELEASES, id).record
    assert record and record["id"] == id


def test_all_faults_together_leave_the_same_answers(world: World) -> None:
    ids = world.ids(ARTISTS)
    fine = [world.api().lookup(ARTISTS, id) for id in ids]
    assert len(ids) > 5
    world.faults.tell(0.6, [kind for kind in FAULTS if kind != "slow"], seed=5)
    assert [world.api().lookup(ARTISTS, id) for id in ids] == fine
    assert len(world.faults.happened) > 3, world.faults.happened


def test_a_service_that_stays_away_is_told_in_one_line(world: World) -> None:
    world.faults.tell(1, ["unavailable"])
    with pytest.raises(Unanswered, match=r"MusicBrainz .* 3 times in a row .*503.*: try again later") as told:
        world.api(attempts=3).lookup(ARTISTS, NOBODY)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("id", ["", "x", "../../artist", NOBODY + "0", "🎵"])
def test_what_is_no_id_is_never_asked_for(world: World, id: str) -> None:
    world.faults.tell(0, FAULTS)
    with pytest.raises(TuttiError, match="is no MusicBrainz id"):
        world.api().lookup(ARTISTS, id)
    assert world.faults.requests == 0


def test_what_the_service_refuses_is_told_in_its_own_words(world: World) -> None:
    with pytest.raises(TuttiError, match=r"400 .*is not a valid inc parameter"):
        world.api(attempts=1).lookup(ARTISTS, NOBODY, include=["works"])
    with pytest.raises(TuttiError, match="name a word"):
        next(world.api().search(ARTISTS, "  "))


class Stranger:
    """A service that answers one thing."""

    def __init__(self, *answers: Response) -> None:
        self.answers, self.asked = list(answers), list[str]()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.append(Request(scope).url.path)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        await answer(scope, receive, send)


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (JSONResponse({"error": "Your user agent is blocked"}, 403), "blocked.*TUTTI_MUSICBRAINZ_CONTACT"),
        (JSONResponse({"error": "Bad"}, 400), "400 Bad"),
        (Response("Not Found", 404), "there is no MusicBrainz at 127.*TUTTI_MUSICBRAINZ_URL"),
        (RedirectResponse("https://elsewhere.example/"), "sends us elsewhere"),
        (Response("", 301), "MusicBrainz does not answer|did not answer"),
        (JSONResponse({"title": "no id"}), "without its id"),
        (JSONResponse([]), "another form"),
        (JSONResponse({"error": "soon"}), "another form"),
    ],
)
def test_what_is_no_answer_is_told_in_one_line(answer: Response, line: str) -> None:
    clock = Clock()
    with served(Stranger(answer)) as url:
        api = MusicBrainz(Web("MusicBrainz", url, attempts=2, now=clock.now, sleep=clock.sleep))
        with pytest.raises(TuttiError, match=line) as told:
            api.lookup(ARTISTS, NOBODY)
    assert len(str(told.value).splitlines()) == 1


def test_each_request_waits_its_turn_and_so_does_a_redirect() -> None:
    clock, other = Clock(), "10000000-0000-4000-8000-000000000000"
    there = RedirectResponse(f"/ws/2/artist/{other}", 301)
    with served(Stranger(there, JSONResponse({"id": other}), JSONResponse({"id": NOBODY}))) as url:
        api = MusicBrainz(Web("MusicBrainz", url, pace=1.0, now=clock.now, sleep=clock.sleep))
        assert api.lookup(ARTISTS, NOBODY).merged
        api.lookup(ARTISTS, NOBODY)
    assert clock.slept == [1.0, 1.0]


def test_who_asks_too_often_is_refused_as_by_the_real_one_and_waits(told: Entities) -> None:
    clock, lines, id = Clock(), list[str](), next(iter(told.of["artist"]))
    face = Starlette(routes=[Mount("/ws/2", Starlette(routes=musicbrainz.routes(told)))])
    with served(Limited(face, 1, 1, clock.now, over=musicbrainz.OVER)) as url:
        one, other = (
            MusicBrainz(Web("MusicBrainz", url, now=clock.now, sleep=clock.sleep, log=lines.append)) for _ in range(2)
        )
        assert one.lookup(ARTISTS, id) == other.lookup(ARTISTS, id)
        assert len(lines) == len(clock.slept) == 1
        assert "overloaded or down (503)" in lines[0]
        assert 1 <= clock.slept[0] < 2  # as Retry-After says
        other.lookup(ARTISTS, id)  # who was told that nothing is left waits unasked
    assert len(lines) == 1
    assert len(clock.slept) == 2


@pytest.mark.parametrize(
    ("url", "wanted", "seconds"),
    [
        ("https://musicbrainz.org", "", 1.0),
        ("https://musicbrainz.org", "0", 1.0),
        ("https://beta.musicbrainz.org.", "0.2", 1.0),
        ("https://MusicBrainz.org", "5", 5.0),
        ("http://127.0.0.1:8760", "", 0.0),
        ("http://localhost", "1", 1.0),
        ("https://mirror.example", "", 1.0),
        ("https://mirror.example", "0.1", 0.1),
        ("https://notmusicbrainz.org", "0", 0.0),
    ],
)
def test_the_rule_of_the_real_service_holds_whatever_is_wanted_of_a_mirror(
    url: str, wanted: str, seconds: float
) -> None:
    assert pace(url, wanted) == seconds


@pytest.mark.parametrize("wanted", ["fast", "-1", "nan", "1e9", "inf"])
def test_what_is_no_number_of_seconds_is_told(wanted: str) -> None:
    with pytest.raises(TuttiError, match="TUTTI_MUSICBRAINZ_MIN_INTERVAL_S"):
        pace("http://127.0.0.1", wanted)


def test_the_real_service_is_told_who_asks_or_is_not_asked() -> None:
    real = "https://musicbrainz.org"
    with pytest.raises(TuttiError, match="TUTTI_MUSICBRAINZ_CONTACT") as told:
        agent(real, None, " ")
    assert "\n" not in str(told.value)
    with pytest.raises(TuttiError, match="TUTTI_MUSICBRAINZ_CONTACT"):
        agent(real, "MyProgram/1", "")
    said = agent(real, None, " ada@example.org ")
    assert said and said.startswith("Tutti/") and said.endswith("( ada@example.org )")
    assert agent(real, "MyProgram/1 (ada@example.org)", "") == "MyProgram/1 (ada@example.org)"
    assert agent("http://127.0.0.1:8760", None, "") is None
    for wrong in ("ada\n@example.org", "ädä@example.org"):
        with pytest.raises(TuttiError, match="plain letters"):
            agent(real, None, wrong)


def test_what_is_asked_for_is_what_the_tables_hold() -> None:
    """Of the sandbox and the real one alike: these are the words of MusicBrainz's documentation."""
    assert set(LOOKED_UP) == set(KINDS)
    for kind, include in LOOKED_UP.items():
        assert {"tags", "genres"} <= set(include), kind.entity


def test_musicbrainz_itself_is_told_from_another_host_that_speaks_as_it_does() -> None:
    asked = {url: MusicBrainz(Web("MusicBrainz", url)).elsewhere for url in (URL, f"{URL}/", "http://mirror.org:5000")}
    assert asked == {URL: None, f"{URL}/": None, "http://mirror.org:5000": "mirror.org:5000"}
