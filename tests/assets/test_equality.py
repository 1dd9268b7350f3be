"""Every asset gives, on every engine, the rows that plain Python gives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.frames.frame import Engine
from tests.oracle import assert_same
from tests.transformations import ASSETS, TRANSFORMATIONS, Transformation

ELSEWHERE = {  # compared in test_catalog.py and, for the last two, as a part of what reads them
    "content/credits",
    "content/genres",
    "content/mbid_redirects",
    "content/match_keys",
    "content/blocking_keys",
}
every = pytest.mark.parametrize("made", TRANSFORMATIONS, ids=lambda t: t.name)


def test_every_asset_that_is_made_of_tables_alone_is_compared_with_plain_python() -> None:
    folders = {"landing", "music"}
    of_tables = {t for t, a in ASSETS.items() if a.keys_by_input_name and not folders & a.required_resource_keys}
    compared = {made.table for made in TRANSFORMATIONS}
    assert of_tables == compared | ELSEWHERE, "add a Transformation of it to tests/transformations.py"


@pytest.mark.slow
@every
@given(data=st.data())
def test_any_table_gives_what_plain_python_gives(made: Transformation, local: Engine, data: st.DataObject) -> None:
    rows, span = data.draw(made.drawn)
    read = made.prepare(rows, span)
    assert_same(made.on(local, read, span), made.oracle(*read, span=span), made.schema)


@every
def test_hard_cases_give_what_plain_python_gives(made: Transformation, engine: Engine) -> None:
    equal(made, engine, "tricky")


@every
@pytest.mark.parametrize("case", ["empty", "a single row"])
def test_few_rows_give_what_plain_python_gives(made: Transformation, local: Engine, case: str) -> None:
    """Clusters get them in the tests of frames, for each way that there is to work on them."""
    equal(made, local, case)


def equal(made: Transformation, engine: Engine, case: str) -> None:
    rows, span = made.hard[("empty", "a single row", "tricky").index(case)]
    read = made.prepare(rows, span)
    assert_same(made.on(engine, read, span), made.oracle(*read, span=span), made.schema)
