"""Printable text: hostile characters are escaped, and names in any script stay as they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.text.printable import JOINERS, VARIANTS, printable
from tests.hostile import BENIGN, CONTROLS, misleading


@pytest.mark.parametrize("name", CONTROLS.values(), ids=CONTROLS)
def test_hostile_characters_are_escaped(name: str) -> None:
    shown = printable(name)
    assert misleading(shown) == []
    assert len(shown.splitlines()) == 1
    assert shown.encode()  # raises for a surrogate
    plain = [c for c in name if c.isascii() and c.isprintable()]
    assert [c for c in plain if c not in shown] == []


@pytest.mark.parametrize("name", BENIGN)
def test_names_in_any_script_stay_as_they_are(name: str) -> None:
    assert printable(name) == name


def test_escapes_are_those_of_python() -> None:
    assert printable("é\x1b\x9b\u202e\U000e0041\udc80") == r"é\x1b\x9b\u202e\U000e0041\udc80"


@given(st.text(st.characters()))
def test_any_text_becomes_one_line_without_controls(text: str) -> None:
    shown = printable(text)
    assert misleading(shown.translate(dict.fromkeys(map(ord, JOINERS + VARIANTS)))) == []
    assert printable(shown) == shown
