"""Follows and friends: one graph, whatever the order, the direction and the repetition in which it is told."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.frames.frame import Engine
from tests import tables
from tests.oracle import Row, assert_same
from tests.tables import DELETED, LEAP, at, deletion, relation
from tests.transformations import FOLLOWS_OF_RELATIONSHIPS, FRIENDSHIPS_OF_RELATIONSHIPS, Transformation

NEVER = (LEAP, LEAP)


def made(of: Transformation, engine: Engine, rows: list[Row]) -> list[Row]:
    found: list[Row] = of.on(engine, [rows, DELETED], NEVER).to_pylist()
    return found


def turned(row: Row) -> Row:
    return row | {"user_id": row["other_id"], "other_id": row["user_id"]}


@given(told=tables.relationships(), data=st.data())
def test_friends_are_the_same_whoever_tells_it_how_often_and_in_what_order(
    told: list[Row], data: st.DataObject, pandas: Engine
) -> None:
    again = data.draw(st.lists(st.sampled_from(told), max_size=5)) if told else []
    rows = data.draw(st.permutations([turned(r) if data.draw(st.booleans()) else r for r in [*told, *again]]))
    want = made(FRIENDSHIPS_OF_RELATIONSHIPS, pandas, told)
    got = FRIENDSHIPS_OF_RELATIONSHIPS.on(pandas, [rows, DELETED], NEVER)
    assert_same(got, want, FRIENDSHIPS_OF_RELATIONSHIPS.schema)
    assert all(r["user_a"] < r["user_b"] for r in want)


@given(told=tables.relationships(), data=st.data())
def test_follows_are_the_same_in_whatever_order_and_how_often_they_are_told(
    told: list[Row], data: st.DataObject, pandas: Engine
) -> None:
    again = data.draw(st.lists(st.sampled_from(told), max_size=5)) if told else []
    rows = data.draw(st.permutations([*told, *again]))
    want = made(FOLLOWS_OF_RELATIONSHIPS, pandas, told)
    assert_same(FOLLOWS_OF_RELATIONSHIPS.on(pandas, [rows, DELETED], NEVER), want, FOLLOWS_OF_RELATIONSHIPS.schema)


A, B, C = at(LEAP, 1), at(LEAP, 2), at(LEAP, 3)


@pytest.mark.parametrize(
    ("told", "spells"),
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
def test_each_time_people_are_related_is_a_spell(told: list[Any], spells: list[Any], local: Engine) -> None:
    rows = [relation(n, "ada", "bob", when, ends=ends) for n, (when, ends) in enumerate(told)]
    found = made(FOLLOWS_OF_RELATIONSHIPS, local, rows)
    assert sorted(((r["since"], r["until"]) for r in found), key=repr) == sorted(spells, key=repr)


def test_a_follow_has_a_direction(local: Engine) -> None:
    found = made(FOLLOWS_OF_RELATIONSHIPS, local, [relation(0, "ada", "bob", A), relation(1, "bob", "ada", B)])
    assert {(r["user_id"], r["followed_id"]) for r in found} == {("ada", "bob"), ("bob", "ada")}


@pytest.mark.parametrize(
    ("by", "when", "until"),
    [("ada", C, C), ("bob", C, C), ("eve", C, None), ("ada", None, A), ("ada", at(LEAP, -5), A)],
)
def test_a_relation_taken_back_by_its_id_ends_then_and_where_no_time_is_told_at_once(
    by: str, when: Any, until: Any, local: Engine
) -> None:
    told = [relation(0, "ada", "bob", A, submitted_id="x"), relation(1, "ada", "cy", A, submitted_id="y")]
    found = FOLLOWS_OF_RELATIONSHIPS.on(local, [told, [deletion(0, by, "x", when)]], NEVER).to_pylist()
    assert {r["followed_id"]: r["until"] for r in found} == {"bob": until, "cy": None}
