"""Identifiers that sort by time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cognito_rules.ulid import new_ulid

NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)


def test_a_ulid_has_26_digits_of_crockfords_base_32() -> None:
    found = new_ulid(NOON)

    assert len(found) == 26
    assert set(found) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")


def test_the_first_ten_digits_are_the_milliseconds() -> None:
    digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    number = 0
    for digit in new_ulid(NOON)[:10]:
        number = number * 32 + digits.index(digit)

    assert number == int(NOON.timestamp() * 1000)


def test_the_ids_of_a_later_millisecond_sort_after_it() -> None:
    made = [new_ulid(NOON + timedelta(milliseconds=n)) for n in range(50)]

    assert made == sorted(made)


def test_no_two_ids_of_a_millisecond_are_equal() -> None:
    assert len({new_ulid(NOON) for _ in range(1000)}) == 1000
