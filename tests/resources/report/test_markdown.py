"""Markdown for the web UI: text from data stays text."""

import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from resources.report.markdown import code, image, literal, table
from resources.text.printable import printable
from tests.hostile import BENIGN, NAMES

TAGS = {"table", "thead", "tbody", "tr", "th", "td", "code"}
RENDERED = MarkdownIt("js-default", {"html": True, "linkify": False}).enable("table")


def rendered(markdown: str) -> tuple[set[str], list[str]]:
    """Return the elements of rendered Markdown, and the texts of its table cells."""
    html = RENDERED.render(markdown)
    cells = re.findall(r"<t[hd]>(.*?)</t[hd]>", html, re.DOTALL)
    return set(re.findall(r"<(\w+)", html)), [unescape(re.sub(r"</?code>", "", cell)) for cell in cells]


@pytest.mark.parametrize("name", [*NAMES.values(), *BENIGN])
def test_a_cell_shows_a_name_as_it_is(name: str) -> None:
    tags, cells = rendered(table(["name", "plays"], [(name, 3)]))
    assert tags <= TAGS
    assert cells == ["name", "plays", printable(" ".join(name.split())), "3"]


@given(st.text(st.sampled_from("ab1 |\\`*_[]()<>!#&;:/.@-+=~^$\n\t")))
def test_any_punctuation_is_shown_as_it_is(text: str) -> None:
    tags, (_, _, cell, after) = rendered(table(["name", "plays"], [(text, 3)]))
    assert tags <= TAGS
    assert (" ".join(cell.split()), after) == (" ".join(text.split()), "3")


@pytest.mark.parametrize("name", [name for name in NAMES.values() if "://" in name or "www." in name or "@" in name])
def test_an_address_is_code_since_the_ui_makes_links_of_others(name: str) -> None:
    assert re.fullmatch(r"(`+)[^\n]+\1", literal(name))


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_block_of_code_ends_where_its_text_ends(name: str) -> None:
    text = f"first\n{name.encode(errors='replace').decode()}\n```\nlast"
    assert rendered(code(text, "python"))[0] == {"pre", "code"}


def test_an_image_is_never_requested_from_elsewhere() -> None:
    with pytest.raises(AssertionError, match="requested"):
        image("plot", "http://203.0.113.250/pix.png")
