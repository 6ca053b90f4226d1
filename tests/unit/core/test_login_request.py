"""How the login function comes to know where a person is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cognito_rules.effects import Effects
from cognito_rules.geoip import GeoDatabase
from cognito_rules.login import Login
from cognito_rules.pipeline import LoginRefusedError
from cognito_rules.request_context import RequestContext, sign_context
from tests.cognito_events import CLIENT, post_authentication, pre_token
from tests.geo_database import ARGENTINIAN, write_geo_database
from tests.made_up_chain import GUARD, NOW, allow
from tests.unit.core.login_subject import Subject

KEY = "a-key-of-a-test"


def only_the_office(login: Login, effects: Effects) -> None:
    if login.request.ip != "203.0.113.9":
        effects.deny("No.", code="ip_not_allowed")


@pytest.fixture
def office(subject: Subject, tmp_path: Path) -> Subject:
    """A login function that lets people in from one address, and whose database is missing."""
    places = GeoDatabase(tmp_path / "geoip.mmdb")
    subject.context = RequestContext(key=lambda: KEY, places=places)
    subject.rule("office", only_the_office, reads=["request.ip"], **GUARD)
    subject.knows()
    return subject


def signed(**changes: Any) -> dict[str, str]:
    given = {"client_id": CLIENT, "username": "jane", "ip": "203.0.113.9", "at": NOW, **changes}
    return sign_context(KEY, **given)


@pytest.mark.parametrize("event", [post_authentication, pre_token])
def test_a_signed_address_is_an_address(office: Subject, event: Any) -> None:
    office.handle(event(metadata=signed()))

    assert office.ran == ["office"]


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param(None, id="nobody says from where"),
        pytest.param({"ip": "203.0.113.9"}, id="the caller says so"),
        pytest.param(signed() | {"ip": "203.0.113.10"}, id="the caller changed it"),
        pytest.param(signed(at=NOW - 121), id="it was said too long ago"),
        pytest.param(signed(username="joe"), id="it was said of somebody else"),
    ],
)
def test_an_address_that_nobody_vouches_for_is_none(office: Subject, metadata: Any) -> None:
    with pytest.raises(LoginRefusedError, match="access_denied"):
        office.handle(pre_token(metadata=metadata))


def test_a_function_without_a_key_knows_no_address(office: Subject) -> None:
    office.context = None

    with pytest.raises(LoginRefusedError, match="access_denied"):
        office.handle(pre_token(metadata=signed()))


def test_places_are_looked_up_for_rules_that_ask_for_them(
    office: Subject, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    office.handle(pre_token(metadata=signed()))
    assert "geo database cannot be read" not in caplog.text

    office.rule("place", allow, reads=["request.geoip"])
    office.handle(pre_token(metadata=signed()))
    assert "geo database cannot be read" in caplog.text


def test_a_rule_that_asks_for_the_place_sees_it(subject: Subject, tmp_path: Path) -> None:
    places = GeoDatabase(write_geo_database(tmp_path / "geoip.mmdb"))
    subject.context = RequestContext(key=lambda: KEY, places=places)
    seen: list[Any] = []
    subject.rule(
        "place", lambda login, _: seen.append(login.request.geoip), reads=["request.geoip"]
    )
    subject.knows()

    subject.handle(pre_token(metadata=signed(ip=ARGENTINIAN)))

    assert [place["country_code"] for place in seen] == ["AR"]
