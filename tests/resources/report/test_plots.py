"""Plots: valid SVG for any values and names."""

import base64
import re
from xml.etree import ElementTree

import dagster as dg
from hypothesis import given
from hypothesis import strategies as st

from resources.report.plots import bars, colors, histograms, waveforms

SVG = "{http://www.w3.org/2000/svg}"


def drawn(markdown: dg.MetadataValue) -> ElementTree.Element:
    """Parse the SVG embedded in Markdown."""
    match = re.fullmatch(r"!\[[^\]]*\]\(data:image/svg\+xml;base64,([A-Za-z0-9+/=]*)\)", str(markdown.value))
    assert match
    return ElementTree.fromstring(base64.b64decode(match[1]))


def titles(picture: ElementTree.Element) -> list[str]:
    return [str(g.findtext(f"{SVG}text")) for g in picture.iter(f"{SVG}g")]


def test_each_column_with_values_has_a_histogram() -> None:
    picture = drawn(histograms({"tempo": [60, 60, 120.5], "nothing": [], "energy": [0.5, float("nan")]}))
    assert titles(picture) == ["tempo: 3", "energy: 1"]
    tempo = next(picture.iter(f"{SVG}g"))
    heights = sorted(float(r.attrib["height"]) for r in tempo.iter(f"{SVG}rect"))
    assert len(heights) == 2
    assert heights[1] == 2 * heights[0]
    assert [t.text for t in tempo.iter(f"{SVG}text")][1:] == ["60", "120"]


def test_bars_are_in_the_given_order() -> None:
    picture = drawn(bars("keys", {"C": 2, "D": 0, "E": 1}))
    assert [t.text for t in picture.iter(f"{SVG}text")] == ["keys", "C", "D", "E"]


def test_colors_are_as_wide_as_their_shares() -> None:
    picture = drawn(colors([("cover", ["#ff0000", "#0000ff"], [0.75, 0.25])]))
    widths = {r.attrib["fill"]: float(r.attrib["width"]) for r in picture.iter(f"{SVG}rect")}
    assert widths["#ff0000"] == 3 * widths["#0000ff"]


@given(
    st.dictionaries(st.text(), st.lists(st.floats(width=32), max_size=20), max_size=5),
    st.dictionaries(st.text(), st.lists(st.floats(0, 1), max_size=20), max_size=5),
)
def test_any_names_and_values_can_be_drawn(values: dict[str, list[float]], peaks: dict[str, list[float]]) -> None:
    drawn(histograms(values))
    assert len(titles(drawn(waveforms(peaks)))) == len(peaks)
