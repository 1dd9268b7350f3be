"""The client of MusicBrainz against a mock service: every entity once, whatever fails, within the rate limit."""

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
from resources.services.musicbrainz import LOOKUP_INCLUDES, URL, MusicBrainz, agent, min_interval_s
from resources.services.web import Unanswered, Web
from resources.sources.formats.musicbrainz import ARTISTS, KINDS, RECORDINGS, RELEASE_GROUPS, RELEASES, Kind
from tests.serving import Clock, patience, sandbox

NOBODY = "00000000-0000-4000-8000-000000000000"
PAGE_SIZE = 7  # entities


@pytest.fixture(scope="module")
def sandbox_entities() -> Entities:
    return entities(performers.recordings(catalog.works()[:120], 7))


@dataclass
class World:
    """The mock service, and its clients."""

    url: str
    entities: Entities
    faults: Faults
    log: list[str] = field(default_factory=list)

    def api(self, attempts: int = 30, page_size: int = PAGE_SIZE) -> MusicBrainz:
        clock = Clock(time.time())  # the server uses the real time
        settings: dict[str, Any] = {"now": clock.now, "sleep": clock.sleep, "log": self.log.append}
        web = Web("MusicBrainz", self.url, attempts=attempts, timeout=patience(self.faults), **settings)
        return MusicBrainz(web, page_size)

    def ids(self, kind: Kind) -> list[str]:
        return list(self.entities.of[kind.path])


@pytest.fixture(scope="module")
def serving(sandbox_entities: Entities) -> Iterator[World]:
    faults = Faults(delay=0.3, retry_after=0)
    with sandbox(Accounts([]), faults, entities=sandbox_entities) as url:
        yield World(url, sandbox_entities, faults)


@pytest.fixture
def world(serving: World) -> World:
    """The mock service without faults."""
    serving.faults.configure(0, FAULTS)
    serving.faults.script.clear()
    serving.log.clear()
    return serving


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.entity)
def test_lookup_includes_everything_that_the_table_needs(world: World, kind: Kind) -> None:
    mbid = world.ids(kind)[3]
    answer = world.api().lookup(kind, mbid.upper())
    assert (answer.asked, answer.merged) == (mbid, False)
    expected = {key: value for key, value in world.entities.of[kind.path][mbid].items() if key != "provenance"}
    assert answer.record == expected
    kind.parse(answer.record)


def test_lookup_without_includes_has_no_related_data(world: World) -> None:
    record = world.api().lookup(RECORDINGS, world.ids(RECORDINGS)[0], include=()).record
    assert record and {"id", "title", "length"} <= record.keys()
    assert not {"artist-credit", "releases", "tags"} & record.keys()


def test_unknown_id_has_no_record(world: World) -> None:
    assert world.api(attempts=1).lookup(ARTISTS, NOBODY).record is None


def test_merged_id_returns_the_other_entity_and_both_ids(world: World) -> None:
    old, new = next(iter(world.entities.merged["recording"].items()))
    answer = world.api(attempts=1).lookup(RECORDINGS, old)
    assert answer.record
    assert (answer.asked, answer.record["id"], answer.merged) == (old, new, True)
    assert "artist-credit" in answer.record  # with the requested related data


def test_pages_contain_every_entity_once_with_the_next_offset(world: World) -> None:
    artist = max(
        world.ids(ARTISTS),
        key=lambda id: sum(id in json.dumps(r["artist-credit"]) for r in world.entities.of["recording"].values()),
    )
    expected = [id for id, r in world.entities.of["recording"].items() if artist in json.dumps(r["artist-credit"])]
    assert len(expected) > PAGE_SIZE
    pages = list(world.api().browse(RECORDINGS, ARTISTS, artist))
    assert [record["id"] for page in pages for record in page.records] == expected
    assert [page.cursor for page in pages] == [*range(PAGE_SIZE, len(expected), PAGE_SIZE), None]
    rest = [r["id"] for p in world.api().browse(RECORDINGS, ARTISTS, artist, offset=PAGE_SIZE) for r in p.records]
    assert rest == expected[PAGE_SIZE:]
    for kind, of in ((RELEASES, ARTISTS), (RELEASE_GROUPS, ARTISTS), (RECORDINGS, RELEASES), (ARTISTS, RECORDINGS)):
        (first, *_) = world.api().browse(kind, of, world.ids(of)[0])
        assert [kind.parse(record) for record in first.records]
    assert [page.records for page in world.api().browse(RELEASES, ARTISTS, NOBODY)] == [[]]


def test_search_returns_matching_entities_page_by_page(world: World) -> None:
    everything = [r["id"] for page in world.api().search(RECORDINGS, "*") for r in page.records]
    assert everything == world.ids(RECORDINGS)
    entity = world.entities.of["recording"][everything[5]]
    words = f'recording:"{entity["title"]}" AND artist:"{entity["artist-credit"][0]["name"]}"'
    (page,) = world.api().search(RECORDINGS, words)
    assert entity["id"] in [record["id"] for record in page.records]
    either = f"rid:({everything[1]} OR {everything[2]})"
    assert [r["id"] for page in world.api().search(RECORDINGS, either) for r in page.records] == everything[1:3]
    assert [page.records for page in world.api().search(ARTISTS, "Nobody at all")] == [[]]


@pytest.mark.parametrize("fault", FAULTS)
def test_no_fault_loses_or_repeats_an_entity(world: World, fault: str) -> None:
    world.faults.script = [fault, None, fault, fault]
    ids = [record["id"] for page in world.api(page_size=50).search(RECORDINGS, "*") for record in page.records]
    assert ids == world.ids(RECORDINGS)
    world.faults.script = [] if fault == "empty" else [fault, fault]
    mbid = world.ids(RELEASES)[0]
    record = world.api().lookup(RELEASES, mbid).record
    assert record and record["id"] == mbid


def test_all_faults_together_leave_the_same_answers(world: World) -> None:
    ids = world.ids(ARTISTS)
    fine = [world.api().lookup(ARTISTS, id) for id in ids]
    assert len(ids) > 5
    world.faults.configure(0.6, [kind for kind in FAULTS if kind != "slow"], seed=5)
    assert [world.api().lookup(ARTISTS, id) for id in ids] == fine
    assert len(world.faults.happened) > 3, world.faults.happened


def test_unavailable_service_is_an_error_in_one_line(world: World) -> None:
    world.faults.configure(1, ["unavailable"])
    with pytest.raises(Unanswered, match=r"MusicBrainz .* 3 times in a row .*503") as raised:
        world.api(attempts=3).lookup(ARTISTS, NOBODY)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("mbid", ["", "x", "../../artist", NOBODY + "0", "🎵"])
def test_invalid_id_is_never_requested(world: World, mbid: str) -> None:
    world.faults.configure(0, FAULTS)
    with pytest.raises(TuttiError, match="invalid MusicBrainz id"):
        world.api().lookup(ARTISTS, mbid)
    assert world.faults.requests == 0


def test_refusal_contains_the_service_s_text(world: World) -> None:
    with pytest.raises(TuttiError, match=r"400 .*is not a valid inc parameter"):
        world.api(attempts=1).lookup(ARTISTS, NOBODY, include=["works"])
    with pytest.raises(TuttiError, match="query"):
        next(world.api().search(ARTISTS, "  "))


class Scripted:
    """A service with scripted answers, of which the last one repeats."""

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
        (Response("Not Found", 404), "no MusicBrainz API at 127.*TUTTI_MUSICBRAINZ_URL"),
        (RedirectResponse("https://elsewhere.example/"), "redirects"),
        (Response("", 301), "MusicBrainz refused|no usable answer"),
        (JSONResponse({"title": "no id"}), "without its id"),
        (JSONResponse([]), "unknown format"),
        (JSONResponse({"error": "soon"}), "unknown format"),
    ],
)
def test_unusable_answer_is_an_error_in_one_line(answer: Response, line: str) -> None:
    clock = Clock()
    with served(Scripted(answer)) as url:
        api = MusicBrainz(Web("MusicBrainz", url, attempts=2, now=clock.now, sleep=clock.sleep))
        with pytest.raises(TuttiError, match=line) as raised:
            api.lookup(ARTISTS, NOBODY)
    assert len(str(raised.value).splitlines()) == 1


def test_requests_and_redirects_keep_the_minimum_interval() -> None:
    clock, other = Clock(), "10000000-0000-4000-8000-000000000000"
    there = RedirectResponse(f"/ws/2/artist/{other}", 301)
    with served(Scripted(there, JSONResponse({"id": other}), JSONResponse({"id": NOBODY}))) as url:
        api = MusicBrainz(Web("MusicBrainz", url, min_interval_s=1.0, now=clock.now, sleep=clock.sleep))
        assert api.lookup(ARTISTS, NOBODY).merged
        api.lookup(ARTISTS, NOBODY)
    assert clock.slept == [1.0, 1.0]


def test_client_waits_if_the_rate_limit_is_exceeded(sandbox_entities: Entities) -> None:
    clock, lines, mbid = Clock(), list[str](), next(iter(sandbox_entities.of["artist"]))
    face = Starlette(routes=[Mount("/ws/2", Starlette(routes=musicbrainz.routes(sandbox_entities)))])
    with served(Limited(face, 1, 1, clock.now, over=musicbrainz.OVER)) as url:
        one, other = (
            MusicBrainz(Web("MusicBrainz", url, now=clock.now, sleep=clock.sleep, log=lines.append)) for _ in range(2)
        )
        assert one.lookup(ARTISTS, mbid) == other.lookup(ARTISTS, mbid)
        assert len(lines) == len(clock.slept) == 1
        assert "overloaded or down (503)" in lines[0]
        assert 1 <= clock.slept[0] < 2  # as Retry-After says
        other.lookup(ARTISTS, mbid)  # waits in advance, because no request is left
    assert len(lines) == 1
    assert len(clock.slept) == 2


@pytest.mark.parametrize(
    ("url", "configured", "seconds"),
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
def test_limit_of_the_real_service_holds_for_any_setting(url: str, configured: str, seconds: float) -> None:
    assert min_interval_s(url, configured) == seconds


@pytest.mark.parametrize("configured", ["fast", "-1", "nan", "1e9", "inf"])
def test_invalid_interval_names_the_variable(configured: str) -> None:
    with pytest.raises(TuttiError, match="TUTTI_MUSICBRAINZ_MIN_INTERVAL_S"):
        min_interval_s("http://127.0.0.1", configured)


def test_real_service_requires_a_contact_address() -> None:
    real = "https://musicbrainz.org"
    with pytest.raises(TuttiError, match="TUTTI_MUSICBRAINZ_CONTACT") as raised:
        agent(real, None, " ")
    assert "\n" not in str(raised.value)
    with pytest.raises(TuttiError, match="TUTTI_MUSICBRAINZ_CONTACT"):
        agent(real, "MyProgram/1", "")
    user_agent = agent(real, None, " ada@example.org ")
    assert user_agent and user_agent.startswith("Tutti/") and user_agent.endswith("( ada@example.org )")
    assert agent(real, "MyProgram/1 (ada@example.org)", "") == "MyProgram/1 (ada@example.org)"
    assert agent("http://127.0.0.1:8760", None, "") is None
    for wrong in ("ada\n@example.org", "ädä@example.org"):
        with pytest.raises(TuttiError, match="TUTTI_MUSICBRAINZ_CONTACT"):
            agent(real, None, wrong)


def test_every_lookup_includes_tags_and_genres() -> None:
    """The include parameters are those of MusicBrainz's documentation."""
    assert set(LOOKUP_INCLUDES) == set(KINDS)
    for kind, include in LOOKUP_INCLUDES.items():
        assert {"tags", "genres"} <= set(include), kind.entity


def test_mirror_host_is_none_for_musicbrainz_itself() -> None:
    hosts = {
        url: MusicBrainz(Web("MusicBrainz", url)).mirror_host for url in (URL, f"{URL}/", "http://mirror.org:5000")
    }
    assert hosts == {URL: None, f"{URL}/": None, "http://mirror.org:5000": "mirror.org:5000"}
