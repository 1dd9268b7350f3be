"""Every asset gives the same rows on every engine as plain Python."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.frames.frame import Engine
from tests.oracle import assert_same
from tests.transformations import ASSETS, TRANSFORMATIONS, Transformation

ELSEWHERE = {  # tested in test_catalog.py, and the last two together with recording_matches and posts
    "content/credits",
    "content/genres",
    "content/mbid_redirects",
    "content/match_keys",
    "content/blocking_keys",
}
every = pytest.mark.parametrize("transformation", TRANSFORMATIONS, ids=lambda t: t.name)


def test_every_asset_of_tables_is_compared_with_plain_python() -> None:
    folders = {"landing", "music"}
    of_tables = {t for t, a in ASSETS.items() if a.keys_by_input_name and not folders & a.required_resource_keys}
    compared = {transformation.table for transformation in TRANSFORMATIONS}
    assert of_tables == compared | ELSEWHERE, "add a Transformation of it to tests/transformations.py"


@pytest.mark.slow
@every
@given(data=st.data())
def test_drawn_rows_give_the_rows_of_plain_python(
    transformation: Transformation, local: Engine, data: st.DataObject
) -> None:
    rows, span = data.draw(transformation.drawn)
    read = transformation.prepare(rows, span)
    assert_same(transformation.on(local, read, span), transformation.oracle(*read, span=span), transformation.schema)


@every
def test_tricky_rows_give_the_rows_of_plain_python(transformation: Transformation, engine: Engine) -> None:
    equal(transformation, engine, "tricky")


@every
@pytest.mark.parametrize("case", ["empty", "a single row"])
def test_no_row_and_one_row_give_the_rows_of_plain_python(
    transformation: Transformation, local: Engine, case: str
) -> None:
    """Clusters are tested with few rows in the tests of frames, for each operation."""
    equal(transformation, local, case)


def equal(transformation: Transformation, engine: Engine, case: str) -> None:
    rows, span = transformation.hard[("empty", "a single row", "tricky").index(case)]
    read = transformation.prepare(rows, span)
    assert_same(transformation.on(engine, read, span), transformation.oracle(*read, span=span), transformation.schema)
