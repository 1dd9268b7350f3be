"""Follows and friendships do not depend on the order, direction and repetition of their records."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.frames.frame import Engine
from tests import tables
from tests.oracle import Row, assert_same
from tests.tables import DELETED, LEAP, at, deletion, relationship
from tests.transformations import FOLLOWS_OF_RELATIONSHIPS, FRIENDSHIPS_OF_RELATIONSHIPS, Transformation

SPAN = (LEAP, LEAP)  # of no effect, since the tables have no partitions


def built(transformation: Transformation, engine: Engine, rows: list[Row]) -> list[Row]:
    result: list[Row] = transformation.on(engine, [rows, DELETED], SPAN).to_pylist()
    return result


def reversed_direction(row: Row) -> Row:
    return row | {"user_id": row["other_id"], "other_id": row["user_id"]}


@given(records=tables.relationships(), data=st.data())
def test_friendships_do_not_depend_on_order_direction_or_repeats(
    records: list[Row], data: st.DataObject, pandas: Engine
) -> None:
    repeats = data.draw(st.lists(st.sampled_from(records), max_size=5)) if records else []
    turned = [reversed_direction(r) if data.draw(st.booleans()) else r for r in [*records, *repeats]]
    rows = data.draw(st.permutations(turned))
    expected = built(FRIENDSHIPS_OF_RELATIONSHIPS, pandas, records)
    actual = FRIENDSHIPS_OF_RELATIONSHIPS.on(pandas, [rows, DELETED], SPAN)
    assert_same(actual, expected, FRIENDSHIPS_OF_RELATIONSHIPS.schema)
    assert all(r["user_a"] < r["user_b"] for r in expected)


@given(records=tables.relationships(), data=st.data())
def test_follows_do_not_depend_on_order_or_repeats(records: list[Row], data: st.DataObject, pandas: Engine) -> None:
    repeats = data.draw(st.lists(st.sampled_from(records), max_size=5)) if records else []
    rows = data.draw(st.permutations([*records, *repeats]))
    expected = built(FOLLOWS_OF_RELATIONSHIPS, pandas, records)
    assert_same(FOLLOWS_OF_RELATIONSHIPS.on(pandas, [rows, DELETED], SPAN), expected, FOLLOWS_OF_RELATIONSHIPS.schema)


A, B, C = at(LEAP, 1), at(LEAP, 2), at(LEAP, 3)


@pytest.mark.parametrize(
    ("records", "periods"),
    [
        ([(A, False)], [(A, None)]),
        ([(A, False), (B, True)], [(A, B)]),
        ([(A, False), (B, True), (C, False)], [(A, B), (C, None)]),
        ([(A, False), (B, False), (C, True)], [(A, C)]),
        ([(A, False), (B, True), (C, True)], [(A, B)]),
        ([(B, True)], [(None, B)]),
        ([(None, False)], [(None, None)]),
        ([(None, False), (A, False)], [(A, None)]),
        ([(A, False), (A, True)], [(A, A)]),
    ],
)
def test_each_period_of_a_relationship_is_a_row(records: list[Any], periods: list[Any], local: Engine) -> None:
    rows = [relationship(n, "ada", "bob", when, ends=ends) for n, (when, ends) in enumerate(records)]
    result = built(FOLLOWS_OF_RELATIONSHIPS, local, rows)
    assert sorted(((r["since"], r["until"]) for r in result), key=repr) == sorted(periods, key=repr)


def test_a_follow_has_a_direction(local: Engine) -> None:
    result = built(
        FOLLOWS_OF_RELATIONSHIPS, local, [relationship(0, "ada", "bob", A), relationship(1, "bob", "ada", B)]
    )
    assert {(r["user_id"], r["followed_id"]) for r in result} == {("ada", "bob"), ("bob", "ada")}


@pytest.mark.parametrize(
    ("by", "when", "until"),
    [("ada", C, C), ("bob", C, C), ("eve", C, None), ("ada", None, A), ("ada", at(LEAP, -5), A)],
)
def test_a_relationship_deleted_by_its_id_ends(by: str, when: Any, until: Any, local: Engine) -> None:
    records = [relationship(0, "ada", "bob", A, submitted_id="x"), relationship(1, "ada", "cy", A, submitted_id="y")]
    result = FOLLOWS_OF_RELATIONSHIPS.on(local, [records, [deletion(0, by, "x", when)]], SPAN).to_pylist()
    assert {r["followed_id"]: r["until"] for r in result} == {"bob": until, "cy": None}
