"""Partial dates: known parts are kept, unknown ones are None, and invalid dates raise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.sources.text.partial_date import PartialDate, parse

FULL = st.dates().map(lambda day: PartialDate(day.year, day.month, day.day))
PARTS = st.tuples(st.booleans(), st.booleans(), st.booleans()).filter(any)


@pytest.mark.parametrize(
    ("text", "parsed", "written"),
    [
        ("1883", PartialDate(1883), "1883"),
        ("1883-05", PartialDate(1883, 5), "1883-05"),
        ("1883-05-01", PartialDate(1883, 5, 1), "1883-05-01"),
        (" 1883 ", PartialDate(1883), "1883"),
        ("????-05-01", PartialDate(None, 5, 1), "????-05-01"),
        ("????-05", PartialDate(None, 5), "????-05"),
        ("????-??-31", PartialDate(None, None, 31), "????-??-31"),
        ("2005-??", PartialDate(2005), "2005"),
        ("2005-??-??", PartialDate(2005), "2005"),
        ("2005-??-13", PartialDate(2005, None, 13), "2005-??-13"),
        ("1998-00-00", PartialDate(1998), "1998"),
        ("0000-02-29", PartialDate(None, 2, 29), "????-02-29"),
        ("2004-02-29", PartialDate(2004, 2, 29), "2004-02-29"),
        ("-044-03-15", PartialDate(-44, 3, 15), "-044-03-15"),
        ("0044", PartialDate(44), "0044"),
        ("9999-12-31", PartialDate(9999, 12, 31), "9999-12-31"),
    ],
)
def test_a_partial_date_is_parsed_and_formatted_in_its_shortest_form(
    text: str, parsed: PartialDate, written: str
) -> None:
    assert parse(text) == parsed
    assert str(parsed) == written


@pytest.mark.parametrize("text", ["", "  ", "????", "????-??", "????-??-??", "0000", "0000-00-00"])
def test_a_date_without_known_parts_is_none(text: str) -> None:
    assert parse(text) is None


NO_DATES = [
    *("2005-13", "2005-02-30", "2003-02-29", "1900-02-29", "2005-04-31", "????-02-30", "????-??-32", "05-2005"),
    *("2005-5", "20050501", "2005/05/01", "2005-05-01T00:00:00Z", "??-05", "2005-", "2005-05-", "x", "٢٠٠٥", "12345"),
]


@pytest.mark.parametrize("text", [*NO_DATES, "2005\n-05"])
def test_an_invalid_date_raises(text: str) -> None:
    with pytest.raises(ValueError, match=r"date|month|day"):
        parse(text)


@given(FULL, PARTS)
def test_any_partial_date_survives_a_round_trip(day: PartialDate, known: tuple[bool, bool, bool]) -> None:
    part = PartialDate(*(value if keep else None for value, keep in zip(day, known, strict=True)))
    assert parse(str(part)) == part


@given(st.one_of(st.text(max_size=12), st.text("0123456789-? ", max_size=12)))
def test_any_text_is_parsed_or_raises_value_error(text: str) -> None:
    try:
        parsed = parse(text)
    except ValueError:
        return
    if parsed:
        assert any(part is not None for part in parsed)
        assert parse(str(parsed)) == parsed
