"""A chain: what its entries may write, what they mean, and whom they are for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from cognito_rules.chain import Application, Chain, Entry, When
from cognito_rules.errors import ChainError, ConfigurationError
from cognito_rules.manifest import Manifest
from cognito_rules.rule import Rule
from tests.unit.core.chains import a_manifest
from tests.unit.core.documents import CATALOGUE, EVERYBODY, parse


def a_namer() -> Rule:
    """Return a rule that writes the claims that its settings name."""
    manifest = a_manifest(
        "namer",
        stage="token",
        writes=["id_token.claims", "access_token.claims"],
        configuration={
            "id": {"type": "list[string]", "default": []},
            "access": {"type": "list[string]", "default": []},
        },
    )
    rule = Rule(lambda login, effects: None, manifest)

    @rule.claims
    def claims(configuration: dict[str, Any]) -> Iterable[tuple[str, str]]:
        return [(token, name) for token in ("id", "access") for name in configuration[token]]

    @rule.check
    def check(configuration: dict[str, Any]) -> None:
        if "forbidden" in configuration["id"]:
            raise ConfigurationError("id: forbidden is forbidden")

    return rule


# Claims and token versions --------------------------------------------------------------------


def parse_namers(*configurations: Any, token_version: str = "V3_0", **changes: Any) -> Chain:
    rule = a_namer()
    entries = [
        {"rule": "namer", "id": f"e{number}", "configuration": configuration, **changes}
        for number, configuration in enumerate(configurations)
    ]
    return Chain.parse(
        {"rules": entries},
        {"namer": rule.manifest},
        rules={"namer": rule},
        token_version=token_version,
    )


def test_two_entries_write_one_claim_only_when_the_second_says_so() -> None:
    with pytest.raises(ChainError) as refused:
        parse_namers({"id": ["https://x/a"]}, {"id": ["https://x/a"]})

    assert refused.value.problems == [
        "entry e1: entry e0 already writes the id token's https://x/a; "
        "write overrides = true to replace it"
    ]
    replaced = parse_namers({"id": ["https://x/a"]}, {"id": ["https://x/a"]}, overrides=True)
    assert len(replaced.entries) == 2


@pytest.mark.parametrize(
    ("configurations", "changes"),
    [
        pytest.param([{"id": ["a"]}, {"access": ["a"]}], {}, id="one claim of each token"),
        pytest.param([{"id": ["a"]}, {"id": ["b"]}], {}, id="two claims"),
        pytest.param([{"id": ["a"]}, {"id": ["a"]}], {"mode": "shadow"}, id="shadows"),
        pytest.param([{"id": ["a"]}, {"id": ["a"]}], {"mode": "off"}, id="entries that are off"),
    ],
)
def test_what_is_no_conflict(configurations: list[Any], changes: dict[str, Any]) -> None:
    assert len(parse_namers(*configurations, **changes).entries) == len(configurations)


def test_a_rules_own_check_is_made() -> None:
    with pytest.raises(ChainError, match="entry e0: id: forbidden is forbidden"):
        parse_namers({"id": ["forbidden"]})


def test_lite_pools_refuse_what_changes_access_tokens() -> None:
    with pytest.raises(ChainError, match="the feature plan Lite cannot do"):
        parse_namers({"access": ["a"]}, token_version="V1_0")
    with pytest.raises(ChainError, match=r"entry scoper: .* the feature plan Lite cannot do"):
        Chain.parse(
            {"rules": [{"rule": "scoper", "when": EVERYBODY}]}, CATALOGUE, token_version="V1_0"
        )


def test_lite_pools_take_what_changes_the_id_token() -> None:
    assert len(parse_namers({"id": ["a"]}, token_version="V1_0").entries) == 1


# What a document means ------------------------------------------------------------------------


def test_an_entry_has_the_defaults_of_its_manifest() -> None:
    chain = parse(
        {"rule": "guard", "when": EVERYBODY},
        {"rule": "configured", "id": "c", "configuration": {"words": ["a"]}},
    )

    guard, configured = chain.entries
    assert (guard.id, guard.index, guard.mode, guard.rollout) == ("guard", 0, "enforce", 100)
    assert (guard.placement, guard.runs_on_refresh) == ("function", True)
    assert (configured.id, configured.index, configured.runs_on_refresh) == ("c", 1, False)
    assert configured.configuration == {"words": ["a"], "limit": 5, "free": None}
    assert (chain.refuses_unregistered, chain.refuses_uncommitted) == (False, False)


def test_an_entry_changes_them() -> None:
    entry = {"rule": "guard", "when": EVERYBODY, "mode": "shadow", "rollout": 10}
    chain = parse(
        entry | {"runs_on_refresh": False, "placement": "inline"},
        unregistered_applications="refuse",
        on_commit_failure="refuse",
    )

    [guard] = chain.entries
    assert (guard.mode, guard.rollout, guard.placement) == ("shadow", 10, "inline")
    assert guard.runs_on_refresh is False
    assert (chain.refuses_unregistered, chain.refuses_uncommitted) == (True, True)


def test_documents_that_mean_the_same_have_one_version() -> None:
    one = parse({"rule": "enricher", "id": "a"}, unregistered_applications="refuse")
    same = Chain.parse_toml(
        'unregistered_applications = "refuse"\n[[rules]]\nid = "a"\nrule = "enricher"\n', CATALOGUE
    )

    assert one.version == same.version
    assert len(one.version) == 16


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"rule": "configured", "configuration": {"words": ["b"]}}, id="a setting"),
        pytest.param(
            {"rule": "configured", "configuration": {"words": ["a"]}, "mode": "shadow"}, id="a mode"
        ),
        pytest.param(
            {"rule": "configured", "configuration": {"words": ["a"]}, "rollout": 5}, id="a rollout"
        ),
    ],
)
def test_every_change_is_another_version(changed: dict[str, Any]) -> None:
    before = parse({"rule": "configured", "configuration": {"words": ["a"]}})

    assert parse(changed).version != before.version


# For whom -------------------------------------------------------------------------------------


def facts(*connections: str, client: str = "abc", name: str | None = None) -> dict[str, Any]:
    described = {"client_id": client} | ({"name": name} if name else {})
    identities = [{"connection": connection} for connection in connections]
    return {"client": described, "user": {"identities": identities}}


@pytest.mark.parametrize(
    ("when", "login", "runs"),
    [
        pytest.param(When(), facts(), True, id="nothing is said"),
        pytest.param(When(("*",)), facts(), True, id="every application"),
        pytest.param(When(("abc",)), facts(), True, id="the app client"),
        pytest.param(When(("payroll",)), facts(name="payroll"), True, id="its name"),
        pytest.param(When(("payroll",)), facts(), False, id="no name"),
        pytest.param(When(("Payroll",)), facts(name="payroll"), False, id="case counts"),
        pytest.param(When(("x", "abc")), facts(), True, id="one of several"),
        pytest.param(When(("x",)), facts(), False, id="another application"),
        pytest.param(When(None, ("Acme",)), facts("Acme"), True, id="the connection"),
        pytest.param(When(None, ("acme",)), facts("Acme"), False, id="its case counts"),
        pytest.param(When(None, ("Acme",)), facts("COGNITO", "Acme"), True, id="a linked one"),
        pytest.param(When(None, ("COGNITO",)), facts("COGNITO", "Acme"), True, id="the local one"),
        pytest.param(When(None, ("Other",)), facts("COGNITO", "Acme"), False, id="neither"),
        pytest.param(When(None, ("*",)), {"client": {}}, True, id="every connection, a machine"),
        pytest.param(When(None, ("Acme",)), {"client": {}}, False, id="a machine has none"),
        pytest.param(When(("x",), ("Acme",)), facts("Acme"), False, id="both must match"),
    ],
)
def test_an_entry_runs_for(when: When, login: dict[str, Any], runs: bool) -> None:
    assert when.matches(login) is runs


def rolled_out(entry_id: str, percent: int) -> set[str]:
    entry = Entry(entry_id, 0, CATALOGUE["enricher"], rollout=percent)
    return {user for user in map(str, range(2_000)) if entry.is_rolled_out_to(user)}


def test_a_percentage_is_that_part_of_the_users_and_grows_by_adding() -> None:
    sizes = {percent: len(rolled_out("e", percent)) for percent in (0, 10, 50, 100)}

    assert sizes[0] == 0
    assert sizes[100] == 2_000
    assert sizes[10] == pytest.approx(200, abs=60)
    assert sizes[50] == pytest.approx(1_000, abs=100)
    assert rolled_out("e", 10) < rolled_out("e", 50)


def test_two_entries_are_rolled_out_to_different_users() -> None:
    assert rolled_out("a", 50) != rolled_out("b", 50)


def test_applications_carry_their_metadata() -> None:
    chain = parse(applications={"abc": {"name": "payroll", "metadata": {"tier": "gold"}}})

    assert chain.applications == {"abc": Application("abc", "payroll", {"tier": "gold"})}


def test_the_manifests_are_those_of_the_catalogue() -> None:
    manifest: Manifest = parse({"rule": "enricher"}).entries[0].manifest

    assert manifest is CATALOGUE["enricher"]
