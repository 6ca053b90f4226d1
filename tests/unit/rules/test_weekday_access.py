from typing import Any

import pytest

from cognito_rules import ConfigurationError
from cognito_rules.testing import a_login
from functions.weekday_access.app import rule

DAYS, HOURS = "outside_allowed_days", "outside_allowed_hours"


def code_at(now: str, *, groups: list[str] | None = None, **settings: Any) -> str | None:
    known: dict[str, Any] = {} if groups is None else {"groups": groups}
    return rule.decide(a_login(now=now, configuration=settings, **known)).denied_with


@pytest.mark.parametrize(
    ("now", "code"),
    [
        pytest.param("2026-11-21T12:00:00Z", DAYS, id="Saturday"),
        pytest.param("2026-11-22T12:00:00Z", DAYS, id="Sunday"),
        pytest.param("2026-11-21T00:00:00Z", DAYS, id="the first second of Saturday"),
        pytest.param("2026-11-20T23:59:59Z", None, id="the last second of Friday"),
        pytest.param("2026-11-18T12:00:00Z", None, id="Wednesday"),
        pytest.param("2026-11-23T00:00:00Z", None, id="the first second of Monday"),
    ],
)
def test_weekends_are_closed(now: str, code: str | None) -> None:
    assert code_at(now) == code


@pytest.mark.parametrize(
    ("timezone", "now", "code"),
    [
        pytest.param("America/New_York", "2026-11-21T05:00:00Z", DAYS, id="New York, Saturday"),
        pytest.param("America/New_York", "2026-11-21T04:59:00Z", None, id="New York, still Friday"),
        pytest.param("Asia/Tokyo", "2026-11-20T23:30:00Z", DAYS, id="Tokyo, already Saturday"),
        pytest.param("Asia/Kathmandu", "2026-11-20T18:15:00Z", DAYS, id="a zone off the hour"),
        pytest.param("Asia/Kathmandu", "2026-11-20T18:14:59Z", None, id="one second before"),
        pytest.param("Europe/Berlin", "2026-03-27T22:30:00Z", None, id="before summer time"),
        pytest.param("Europe/Berlin", "2026-04-03T22:30:00Z", DAYS, id="in summer time"),
    ],
)
def test_the_weekend_is_that_of_the_time_zone(timezone: str, now: str, code: str | None) -> None:
    assert code_at(now, timezone=timezone) == code


@pytest.mark.parametrize(
    ("hours", "now", "code"),
    [
        pytest.param("08:00-18:00", "2026-11-23T18:00:00Z", HOURS, id="the end is outside"),
        pytest.param("08:00-18:00", "2026-11-23T17:59:59Z", None, id="the second before is not"),
        pytest.param("08:00-18:00", "2026-11-23T07:59:59Z", HOURS, id="before the start"),
        pytest.param("08:00-18:00", "2026-11-23T08:00:00Z", None, id="the start is inside"),
        pytest.param("08:00-18:00", "2026-11-21T12:00:00Z", DAYS, id="Saturday at noon"),
        pytest.param("08:00-24:00", "2026-11-23T23:59:59Z", None, id="until midnight"),
        pytest.param("22:00-06:00", "2026-11-23T23:00:00Z", None, id="Monday night"),
        pytest.param("22:00-06:00", "2026-11-23T22:00:00Z", None, id="as Monday night begins"),
        pytest.param("22:00-06:00", "2026-11-24T06:00:00Z", HOURS, id="as Monday night ends"),
        pytest.param("22:00-06:00", "2026-11-23T12:00:00Z", HOURS, id="Monday at noon"),
        pytest.param(
            "22:00-06:00", "2026-11-21T05:59:59Z", None, id="Saturday morning is Friday's night"
        ),
        pytest.param(
            "22:00-06:00", "2026-11-21T06:00:00Z", DAYS, id="Saturday itself begins at the end"
        ),
        pytest.param(
            "22:00-06:00", "2026-11-23T05:00:00Z", DAYS, id="Monday morning is Sunday's night"
        ),
    ],
)
def test_hours(hours: str, now: str, code: str | None) -> None:
    assert code_at(now, hours=hours) == code


@pytest.mark.parametrize(
    ("now", "code"),
    [
        pytest.param("2026-12-25T12:00:00Z", DAYS, id="the holiday, a Friday"),
        pytest.param("2026-12-24T12:00:00Z", None, id="the day before"),
    ],
)
def test_holidays_are_closed(now: str, code: str | None) -> None:
    assert code_at(now, holidays=["2026-12-25"]) == code


def test_the_night_of_a_holiday_is_closed_until_its_window_ends() -> None:
    code = code_at("2026-12-26T02:00:00Z", hours="22:00-06:00", holidays=["2026-12-25"])

    assert code == DAYS


@pytest.mark.parametrize(
    ("groups", "code"),
    [
        pytest.param(None, DAYS, id="unknown groups exempt nobody"),
        pytest.param([], DAYS, id="no group"),
        pytest.param(["On-Call"], DAYS, id="another case"),
        pytest.param(["sales", "on-call"], None, id="the exempt group"),
    ],
)
def test_exempt_groups(groups: list[str] | None, code: str | None) -> None:
    assert code_at("2026-11-21T12:00:00Z", groups=groups, exempt_groups=["on-call"]) == code


def test_days_can_be_others() -> None:
    assert code_at("2026-11-22T12:00:00Z", days=["sun", "mon"]) is None


def test_the_person_reads_the_configured_message() -> None:
    login = a_login(now="2026-11-22T12:00:00Z", configuration={"message": "Come back on Monday."})

    effects = rule.decide(login)

    assert effects.items[0]["reason"] == "Come back on Monday."


def test_it_runs_again_at_each_refresh() -> None:
    assert rule.manifest.runs_on_refresh


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"timezone": "Mars/Olympus"}, "Mars/Olympus", id="an unknown zone"),
        pytest.param({"timezone": "../zone"}, "time zone", id="a path for a zone"),
        pytest.param({"days": []}, "days", id="no day"),
        pytest.param({"days": ["monday"]}, "days", id="an unknown day"),
        pytest.param({"hours": "8-18"}, "hours", id="a malformed window"),
        pytest.param({"hours": "08:00-25:00"}, "hours", id="an hour that does not exist"),
        pytest.param({"hours": "08:00-24:30"}, "hours", id="a time after midnight's end"),
        pytest.param({"hours": "08:00-08:00"}, "hours", id="an empty window"),
        pytest.param({"hours": "08:00-18:00\n"}, "hours", id="a line end"),
        pytest.param({"holidays": ["2026-02-30"]}, "2026-02-30", id="a date that does not exist"),
        pytest.param({"holidays": ["25.12.2026"]}, "25.12.2026", id="another way to write dates"),
        pytest.param({"holidays": ["20261225"]}, "2026-12-25", id="a date without dashes"),
    ],
)
def test_a_wrong_setting_is_an_error_and_a_guard_fails_closed(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        rule.configure(settings)

    assert rule.manifest.on_error == "deny"
