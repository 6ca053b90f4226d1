"""``region_override``: consent by the country of the login."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cognito_rules.announcement import Announcement, build_announcement
from cognito_rules.errors import ChainError
from cognito_rules.fields import Facts
from cognito_rules.geoip import GeoDatabase
from cognito_rules.regions import COUNTRIES, GROUPS
from cognito_rules.request_context import RequestContext, sign_context
from tests.cognito_events import CLIENT, pre_token
from tests.geo_database import ARGENTINIAN, write_geo_database
from tests.made_up_chain import NOW
from tests.unit.core.chains import a_chain, a_manifest
from tests.unit.core.login_subject import Subject

EUROPE_AGREES = {"opt_in": ["EEA", "UK", "CH"], "elsewhere": "opt_out"}


def announce(
    country: Any,
    *,
    said: Any = None,
    purpose: str = "analytics",
    override: Any = EUROPE_AGREES,
    **entry: Any,
) -> Announcement:
    manifest = a_manifest("tell", stage="after_login", purpose=purpose)
    chain = a_chain(manifest, tell=entry, region_override={"analytics": override})
    consent = {} if said is None else {purpose: said}
    facts: Facts = {"user": {"user_id": "u1", "user_metadata": {"consent": consent}}}
    if country is not None:
        facts["request"] = {"geoip": {"country_code": country}}
    return build_announcement(
        "LoginCompleted",
        chain.entries,
        facts,
        event_id="e-1",
        occurred_at="2026-11-22T12:00:00.000Z",
    )


# For whom ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("country", "told_without_an_answer"),
    [
        pytest.param("DE", False, id="a member of the Union"),
        pytest.param("NO", False, id="a member of the EEA"),
        pytest.param("RE", False, id="a part of a member with a code of its own"),
        pytest.param("GB", False, id="a country of another name"),
        pytest.param("CH", False, id="a country by its code"),
        pytest.param("US", True, id="elsewhere"),
        pytest.param("XK", True, id="a code that only MaxMind has"),
        pytest.param(None, False, id="nobody knows: the stricter"),
        pytest.param("EU", False, id="a code that is no country: the stricter"),
        pytest.param("us", False, id="another writing: the stricter"),
        pytest.param(["US"], False, id="no text: the stricter"),
    ],
)
@pytest.mark.parametrize("said", [None, True, False])
def test_the_country_decides_what_no_answer_means(
    country: Any, said: bool | None, told_without_an_answer: bool
) -> None:
    found = announce(country, said=said)

    told = told_without_an_answer if said is None else said
    assert found.not_told == ({} if told else {"tell": "no_consent"})
    assert (found.text is not None) is told


def test_the_country_itself_is_not_told() -> None:
    text = announce("US").text

    assert text is not None
    assert "geoip" not in text


@pytest.mark.parametrize(
    ("override", "told"),
    [
        pytest.param({"opt_out": ["US"], "elsewhere": "opt_in"}, False, id="elsewhere"),
        pytest.param({"off": ["US"], "opt_in": ["DE"], "elsewhere": "opt_out"}, False, id="a list"),
        pytest.param({"off": ["US"], "elsewhere": "opt_out"}, True, id="nothing asks for a grant"),
    ],
)
def test_an_unknown_country_takes_the_strictest_of_all(override: Any, told: bool) -> None:
    assert (announce(None, override=override).text is not None) is told


def test_off_asks_nobody_there() -> None:
    override = {"off": ["US"], "elsewhere": "opt_in"}

    assert announce("US", said=False, override=override).text is not None
    assert announce("CA", said=False, override=override).text is None


def test_a_browser_that_opts_out_is_heard_in_every_country() -> None:
    chain = a_chain(
        a_manifest("tell", stage="after_login", purpose="analytics"),
        region_override={"analytics": EUROPE_AGREES},
    )
    facts = {
        "user": {"user_metadata": {"consent": {"analytics": True}}},
        "request": {"client_metadata": {"gpc": "1"}, "geoip": {"country_code": "US"}},
    }

    found = build_announcement(
        "LoginCompleted",
        chain.entries,
        facts,
        event_id="e-1",
        occurred_at="2026-11-22T12:00:00.000Z",
    )

    assert found.not_told == {"tell": "no_consent"}


def test_another_purpose_is_as_it_was() -> None:
    assert announce("US", purpose="marketing").text is None
    assert announce("DE", purpose="operations").text is not None


@pytest.mark.parametrize(
    ("mode", "told"), [("opt_in", False), ("opt_out", True), ("off", True)], ids=str
)
@pytest.mark.parametrize("country", ["DE", "US", None])
def test_what_an_entry_says_itself_holds_everywhere(
    country: str | None, mode: str, told: bool
) -> None:
    assert (announce(country, require_consent=mode).text is not None) is told


def test_the_login_function_looks_the_country_up(subject: Subject, tmp_path: Path) -> None:
    places = GeoDatabase(write_geo_database(tmp_path / "geoip.mmdb"))
    subject.context = RequestContext(key=lambda: "a-key-of-a-test", places=places)
    subject.rule("tell", stage="after_login", purpose="marketing")
    subject.document = {
        "region_override": {"marketing": {"opt_in": ["EEA"], "elsewhere": "opt_out"}}
    }

    def rules_told(**metadata: str) -> list[str]:
        subject.knows()
        subject.handle(pre_token(metadata=metadata))
        announcement = subject.committed()["login"].get("announcement")
        return json.loads(announcement)["rules"] if announcement else []

    signed = sign_context(
        "a-key-of-a-test", client_id=CLIENT, username="jane", ip=ARGENTINIAN, at=NOW
    )

    assert rules_told(**signed) == ["tell"]
    assert rules_told() == []


# What a document may say ------------------------------------------------------------------------


def test_the_groups_are_of_countries() -> None:
    assert len(COUNTRIES) == 250
    assert all(group <= COUNTRIES for group in GROUPS.values())
    assert len(GROUPS["EEA"] - {"AX", "GF", "GP", "MF", "MQ", "RE", "YT"}) == 30


@pytest.mark.parametrize(
    ("override", "problem", "path"),
    [
        pytest.param([], "must be tables [region_override.PURPOSE]", (), id="a list"),
        pytest.param(
            {"sales": EUROPE_AGREES}, "there is no purpose 'sales'", ("sales",), id="no purpose"
        ),
        pytest.param({"analytics": "opt_in"}, "must be a table", ("analytics",), id="a mode alone"),
        pytest.param(
            {"analytics": {"opt_in": ["DE"]}},
            "say what holds elsewhere, off or opt_out or opt_in",
            ("analytics", "elsewhere"),
            id="nothing elsewhere",
        ),
        pytest.param(
            {"analytics": {"opt_in": ["DE"], "elsewhere": ["opt_in"]}},
            "say what holds elsewhere",
            ("analytics", "elsewhere"),
            id="a list elsewhere",
        ),
        pytest.param(
            {"analytics": {"elsewhere": "opt_in"}},
            "name countries, as in opt_in = ['EEA']",
            ("analytics",),
            id="no country",
        ),
        pytest.param(
            {"analytics": {"opt_in": "EEA", "elsewhere": "off"}},
            "opt_in must be a list with countries in it",
            ("analytics", "opt_in"),
            id="a text",
        ),
        pytest.param(
            {"analytics": {"opt_in": ["Germany"], "elsewhere": "off"}},
            "'Germany' is no country: write its two capital letters (ISO 3166), or EU, EEA, UK",
            ("analytics", "opt_in"),
            id="a name",
        ),
        pytest.param(
            {"analytics": {"opt_in": ["de"], "elsewhere": "off"}},
            "'de' is no country",
            ("analytics", "opt_in"),
            id="small letters",
        ),
        pytest.param(
            {"analytics": {"opt_in": [49], "elsewhere": "off"}},
            "49 is no country",
            ("analytics", "opt_in"),
            id="a number",
        ),
        pytest.param(
            {"analytics": {"opt_in": ["EEA"], "opt_out": ["DE"], "elsewhere": "off"}},
            "DE is in opt_out and in opt_in",
            ("analytics", "opt_in"),
            id="a country in two lists",
        ),
        pytest.param(
            {"analytics": {"ask": ["DE"], "opt_in": ["FR"], "elsewhere": "off"}},
            "unknown key 'ask'",
            ("analytics", "ask"),
            id="an unknown mode",
        ),
    ],
)
def test_an_override_is_refused(override: Any, problem: str, path: tuple[str, ...]) -> None:
    with pytest.raises(ChainError) as refused:
        a_chain(a_manifest("tell", stage="after_login"), region_override=override)

    assert any(problem in found for found in refused.value.problems)
    assert ("region_override", *path) in [found.path for found in refused.value.problems]
