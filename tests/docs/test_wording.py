"""The guard: words to avoid, and long sentences, become fewer and never more."""

from tests.docs import wording
from tests.docs.pages import sentences, words


def test_no_place_has_more_words_to_avoid_than_its_limit() -> None:
    assert wording.above(wording.count(), wording.limits()) == []


def test_limits_are_no_larger_than_needed() -> None:
    counts = wording.count()
    assert wording.above(wording.limits(), counts) == [], "run `python -m tests.docs.wording`"


def test_reads_every_kind_of_text() -> None:
    kinds = {place for place, text in wording.texts() if text.strip() and not place.endswith(".md")}
    of = ("asset", "check", "column", "config field", "job", "sensor and schedule")
    assert kinds == {"help", *(f"{kind} descriptions" for kind in of)}


def test_counts_words_in_any_case_and_only_whole_ones() -> None:
    told = wording.PATTERNS["told, tells"]
    assert [m.group() for m in told.finditer("Told by a teller: it TELLS, untold")] == ["Told", "TELLS"]


def test_code_is_not_wording() -> None:
    page = "Run `tell me`.\n\n```sh\ntell me\n```\n\nSee [the page](what-is-told.md)."
    assert not wording.PATTERNS["told, tells"].search(wording.prose(page))


def test_counts_the_words_of_each_sentence() -> None:
    page = (
        "# A heading\n\nOne, two. Three `and more`\nfour!\n\n- a list item\n- Another one\n\n| a | table |\n|---|---|\n"
    )
    assert [words(each) for each in sentences(page)] == [2, 3, 3, 2]
