from typing import Any

import pytest

from cognito_rules import ConfigurationError, Effects
from cognito_rules.testing import a_login
from functions.add_dashboard_metadata_luzmo.app import rule

KEYS = ["tenant", "departments"]


def decide(metadata: Any, *, source: str = "cumulio", **settings: Any) -> Effects:
    login = a_login(
        user={"app_metadata": {source: metadata}},
        configuration={"keys": KEYS, "source": source, **settings},
    )
    return rule.decide(login)


def claims_of(effects: Effects, token: str = "id") -> dict[str, Any]:
    return {
        item["name"]: item["value"]
        for item in effects.items
        if item["effect"] == "set_claim" and item["token"] == token
    }


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param([{"tenant": "a"}], id="a list"),
        pytest.param("tenant=a", id="a text"),
        pytest.param({"tenant": {"$ne": "a"}}, id="a filter that is an object"),
        pytest.param({"tenant": "a", "departments": [["x"]]}, id="a list of lists"),
        pytest.param({"tenant": "a", "departments": ["x" * 5000]}, id="five kilobytes"),
        pytest.param({"tenant": "a", "departments": ["ü" * 510]}, id="too many bytes as UTF-8"),
    ],
)
class TestWhatIsNoGoodAsAWhole:
    def test_sets_no_claim_at_all_and_is_noticed(self, metadata: Any) -> None:
        effects = decide(metadata)

        assert effects.items == []
        assert effects.warnings == ["dashboard_metadata_invalid"]

    def test_refuses_the_login_where_that_is_wished(self, metadata: Any) -> None:
        effects = decide(metadata, on_invalid="deny")

        assert effects.denied_with == "dashboard_metadata_invalid"
        assert claims_of(effects) == {}


@pytest.mark.parametrize(
    "user",
    [
        pytest.param({}, id="metadata that are unknown"),
        pytest.param({"app_metadata": {}}, id="no filters"),
        pytest.param({"app_metadata": {"cumulio": None}}, id="a null"),
        pytest.param({"app_metadata": {"cumulio": {}}}, id="an empty object"),
        pytest.param({"app_metadata": {"luzmo": {"tenant": "a"}}}, id="another key's filters"),
    ],
)
def test_nothing_to_say_is_no_claim_and_no_fault(user: dict[str, Any]) -> None:
    configuration = {"keys": KEYS, "on_invalid": "deny"}

    effects = rule.decide(a_login(user=user, configuration=configuration))

    assert (effects.items, effects.warnings) == ([], [])


def test_both_tokens_get_the_filters() -> None:
    effects = decide({"tenant": "a", "departments": ["hr", 7]})

    expected = {"https://cumulio/tenant": "a", "https://cumulio/departments": ["hr", 7]}
    assert claims_of(effects, "id") == expected
    assert claims_of(effects, "access") == expected


def test_a_refresh_gets_the_same_claims_again() -> None:
    assert rule.manifest.runs_on_refresh
    assert decide({"tenant": "a"}).items == decide({"tenant": "a"}).items


def test_a_key_that_is_not_listed_is_left_out_whatever_it_holds() -> None:
    effects = decide({"tenant": "a", "salary": {"secret": 1}})

    assert claims_of(effects) == {"https://cumulio/tenant": "a"}


def test_without_listed_keys_the_rule_is_off() -> None:
    assert decide(["no object"], keys=[], on_invalid="deny").items == []


def test_one_token_and_another_namespace() -> None:
    effects = decide(
        {"tenant": "a"}, source="luzmo", namespace="https://acme.test/luzmo", targets=["access"]
    )

    assert claims_of(effects) == {}
    assert claims_of(effects, "access") == {"https://acme.test/luzmo/tenant": "a"}


def test_the_limit_counts_what_the_token_grows_by() -> None:
    grows_by = len('"https://cumulio/tenant":"') + 1000 + len('",')

    assert claims_of(decide({"tenant": "a" * 1000}, max_bytes=grows_by))
    assert not claims_of(decide({"tenant": "a" * 1000}, max_bytes=grows_by - 1))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"namespace": "cumulio"}, "must be an http", id="a namespace that is none"),
        pytest.param(
            {"namespace": "https://aws.amazon.com/", "keys": ["tags"]},
            "protected_claim",
            id="a claim that AWS reads",
        ),
        pytest.param({"targets": []}, "targets", id="no token"),
        pytest.param({"max_bytes": 0}, "max_bytes", id="no bytes"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        decide({"tenant": "a"}, **settings)


def test_the_chain_knows_which_claims_it_writes() -> None:
    configuration = rule.configure({"keys": ["tenant"]})

    assert rule.written_claims(configuration) == {
        ("id", "https://cumulio/tenant"),
        ("access", "https://cumulio/tenant"),
    }
