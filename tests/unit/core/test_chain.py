"""The chain document: what it is refused for, and whom its entries are for."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

import pytest

from cognito_rules.chain import Application, Chain, Entry, When
from cognito_rules.errors import ChainError, ConfigurationError
from cognito_rules.manifest import Manifest
from cognito_rules.rule import Rule
from tests.unit.core.chains import a_manifest

EVERYBODY = {"applications": ["*"]}
CATALOGUE = {
    manifest.name: manifest
    for manifest in (
        a_manifest("guard", writes=["deny"], on_error="deny"),
        a_manifest("enricher", writes=["user.user_metadata"]),
        a_manifest("namer", stage="token", writes=["id_token.claims", "access_token.claims"]),
        a_manifest("scoper", stage="token", writes=["access_token.scopes"]),
        a_manifest("teller", stage="after_login"),
        a_manifest("secretive", secrets=["API_KEY"]),
        a_manifest("paid", external=True),
        a_manifest("granter", stage="token", writes=["aws.role"]),
        a_manifest("grouper", writes=["user.groups"]),
        a_manifest("authoriser", writes=["authorization"]),
        a_manifest("prover", writes=["mfa"]),
        a_manifest(
            "configured",
            configuration={
                "words": {"type": "list[string]", "required": True, "min_items": 1},
                "limit": {"type": "integer", "default": 5, "minimum": 1},
                "free": {"type": "json"},
                "roles": {"type": "map[string, string]", "default": {}, "source": "template"},
            },
        ),
        a_manifest("open", configuration={"free": {"type": "json"}}),
    )
}


def a_namer() -> Rule:
    """Return a rule that writes the claims that its (undeclared) settings would name."""
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


def parse(*entries: Any, **document: Any) -> Chain:
    return Chain.parse({"rules": list(entries), **document}, CATALOGUE)


def problems(*entries: Any, **document: Any) -> list[str]:
    with pytest.raises(ChainError) as refused:
        parse(*entries, **document)
    return refused.value.problems


# What a document is refused for ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        pytest.param("guard", "entry 1: must be a [[rules]] table", id="no table"),
        pytest.param({"rule": "gaurd"}, "there is no rule 'gaurd'", id="an unknown rule"),
        pytest.param({"rule": ["guard"]}, "there is no rule ['guard']", id="a list as rule"),
        pytest.param({}, "there is no rule None", id="no rule"),
        pytest.param({"rule": "enricher", "order": 1}, "unknown key 'order'", id="an unknown key"),
        pytest.param({"rule": "enricher", "id": "Tall"}, "an id is 1 to 64", id="a bad id"),
        pytest.param({"rule": "enricher", "id": "x" * 65}, "an id is 1 to 64", id="a long id"),
        pytest.param({"rule": "enricher", "id": 7}, "an id is 1 to 64", id="a number as id"),
        pytest.param({"rule": "enricher", "mode": "on"}, "mode is 'on'", id="an unknown mode"),
        pytest.param({"rule": "enricher", "mode": ["off"]}, "mode is", id="a list as mode"),
        pytest.param(
            {"rule": "enricher", "placement": "here"}, "placement is 'here'", id="a placement"
        ),
        pytest.param({"rule": "enricher", "rollout": 101}, "a percentage", id="rollout above 100"),
        pytest.param({"rule": "enricher", "rollout": -1}, "a percentage", id="rollout below 0"),
        pytest.param({"rule": "enricher", "rollout": True}, "a percentage", id="rollout as flag"),
        pytest.param({"rule": "enricher", "rollout": 9.5}, "a percentage", id="half a percent"),
        pytest.param(
            {"rule": "guard", "when": EVERYBODY, "rollout": 99},
            "a guard for 99 % of users is an open door",
            id="a guard for most users",
        ),
        pytest.param(
            {"rule": "teller", "mode": "shadow"},
            "would really tell other systems",
            id="an after_login rule in shadow",
        ),
        pytest.param(
            {"rule": "enricher", "runs_on_refresh": 1}, "must be true or false", id="a number flag"
        ),
        pytest.param(
            {"rule": "enricher", "overrides": "yes"}, "must be true or false", id="a text flag"
        ),
        pytest.param(
            {"rule": "enricher", "runs_on_client_credentials": True},
            "a machine has no login",
            id="a person's rule for machines",
        ),
    ],
)
def test_an_entry_is_refused_for(entry: Any, problem: str) -> None:
    [found] = problems(entry)

    assert problem in found


@pytest.mark.parametrize("rule", ["secretive", "paid", "configured", "teller"])
def test_a_rule_that_reaches_out_cannot_run_inline(rule: str) -> None:
    entry = {"rule": rule, "placement": "inline", "configuration": {}}
    if rule == "configured":
        entry["configuration"] = {"words": ["a"]}

    assert problems(entry) == [f"entry {rule}: {rule} needs its own function, it cannot run inline"]


def test_an_inline_rule_must_be_packaged_where_the_rules_are_at_hand() -> None:
    document = {"rules": [{"rule": "enricher", "placement": "inline"}]}

    with pytest.raises(ChainError, match="enricher is not packaged with the login function"):
        Chain.parse(document, CATALOGUE, rules={})


@pytest.mark.parametrize("rule", ["guard", "scoper", "granter", "grouper", "authoriser", "prover"])
@pytest.mark.parametrize(
    "when",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"when": {}}, id="an empty when"),
        pytest.param({"when": {"connections": ["*"]}}, id="connections alone"),
    ],
)
def test_a_rule_that_grants_or_restricts_says_for_which_applications(
    rule: str, when: dict[str, Any]
) -> None:
    [found] = problems({"rule": rule, **when})

    assert 'write when = {applications = ["*"]}' in found


@pytest.mark.parametrize(
    ("when", "problem"),
    [
        pytest.param("payroll", "when must be a table", id="a text"),
        pytest.param({"application": ["*"]}, "unknown key 'application'", id="an unknown key"),
        pytest.param({"applications": []}, "must be a list with names", id="nobody"),
        pytest.param({"applications": "*"}, "must be a list with names", id="no list"),
        pytest.param({"connections": [7]}, "must be a list with names", id="a number"),
        pytest.param(
            {"applications": ["payrol"]}, "no application 'payrol'", id="an unknown application"
        ),
        pytest.param({"applications": ["Payroll"]}, "no application 'Payroll'", id="another case"),
    ],
)
def test_a_when_is_refused_for(when: Any, problem: str) -> None:
    found = problems({"rule": "enricher", "when": when}, applications={"abc": {"name": "payroll"}})

    assert any(problem in sentence for sentence in found)


@pytest.mark.parametrize(
    ("configuration", "problem"),
    [
        pytest.param([], "configuration must be a table", id="no table"),
        pytest.param({}, "words", id="a required setting is missing"),
        pytest.param({"words": []}, "words", id="an empty list"),
        pytest.param({"words": ["a"], "word": 1}, "word", id="an unknown setting"),
        pytest.param({"words": "a"}, "words", id="a wrong type"),
        pytest.param({"words": ["a"], "limit": 0}, "limit", id="out of range"),
        pytest.param(
            {"words": ["a"], "roles": {}},
            "roles is set in template.yaml and nowhere else",
            id="a setting of the template",
        ),
    ],
)
def test_settings_are_refused_for(configuration: Any, problem: str) -> None:
    [found] = problems({"rule": "configured", "configuration": configuration})

    assert found.startswith("entry configured: ")
    assert problem in found


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("arn:aws:iam::123456789012:role/admin", id="a text"),
        pytest.param("  arn:aws:iam::123456789012:role/admin", id="behind a blank"),
        pytest.param("role=arn:aws-cn:iam::123456789012:role/admin", id="within a text"),
        pytest.param(["x", ["arn:aws-us-gov:s3:::bucket"]], id="in a list of lists"),
        pytest.param({"arn:aws:iam::123456789012:role/admin": 1}, id="as a key"),
        pytest.param({"a": {"b": "arn:aws:iam::123456789012:role/admin"}}, id="deep in a table"),
    ],
)
def test_an_arn_is_refused_anywhere(value: Any) -> None:
    [found] = problems({"rule": "open", "configuration": {"free": value}})

    assert "belongs into template.yaml" in found


@pytest.mark.parametrize(
    "text", ["Learn:about:it", "barn:aws:iam::1", "an ARN of yours", "urn:x:y", "arn:"]
)
def test_other_texts_are_no_arn(text: str) -> None:
    chain = parse({"rule": "open", "configuration": {"free": text}})

    assert chain.entries[0].configuration == {"free": text}


def test_an_arn_is_refused_in_the_metadata_of_an_application_too() -> None:
    metadata = {"role": "arn:aws:iam::123456789012:role/admin"}

    [found] = problems(applications={"abc": {"name": "payroll", "metadata": metadata}})

    assert "belongs into template.yaml" in found


@pytest.mark.parametrize(
    ("applications", "problem"),
    [
        pytest.param([], "must be tables", id="a list"),
        pytest.param({"abc": "payroll"}, "needs a name", id="no table"),
        pytest.param({"abc": {}}, "needs a name", id="no name"),
        pytest.param({"abc": {"name": 7}}, "needs a name", id="a number as name"),
        pytest.param({"abc": {"name": ""}}, "needs a name", id="an empty name"),
        pytest.param({"abc": {"name": "*"}}, "needs a name", id="everyone's name"),
        pytest.param({"abc": {"name": "p", "secret": 1}}, "unknown key", id="an unknown key"),
        pytest.param(
            {"abc": {"name": "p"}, "def": {"name": "p"}}, "the name 'p' is taken", id="twice"
        ),
        pytest.param(
            {"abc": {"name": "def"}, "def": {"name": "p"}},
            "the name 'def' is taken",
            id="the id of another",
        ),
        pytest.param(
            {"def": {"name": "p"}, "abc": {"name": "def"}},
            "the name 'def' is taken",
            id="the id of an earlier one",
        ),
        pytest.param({"abc": {"name": "p", "metadata": "x"}}, "map of texts", id="text metadata"),
        pytest.param({"abc": {"name": "p", "metadata": [1]}}, "map of texts", id="list metadata"),
        pytest.param({"abc": {"name": "p", "metadata": {"tier": 1}}}, "map of texts", id="number"),
    ],
)
def test_applications_are_refused_for(applications: Any, problem: str) -> None:
    [found] = problems(applications=applications)

    assert problem in found


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        pytest.param({"rule": []}, "unknown key 'rule'", id="an unknown key"),
        pytest.param({"rules": {"rule": "guard"}}, "rules must be a list", id="one table"),
        pytest.param({"unregistered_applications": "allow"}, "'allow'", id="unregistered"),
        pytest.param({"on_commit_failure": True}, "True", id="commit failure"),
        pytest.param([], "the document is no table", id="a list"),
        pytest.param(None, "the document is no table", id="nothing"),
        pytest.param("rules", "the document is no table", id="a text"),
    ],
)
def test_a_document_is_refused_for(document: Any, problem: str) -> None:
    with pytest.raises(ChainError) as refused:
        Chain.parse(document, CATALOGUE)

    [found] = refused.value.problems
    assert problem in found


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(date(2026, 1, 1), id="a date"),
        pytest.param(float("nan"), id="not a number"),
        pytest.param(float("inf"), id="infinity"),
        pytest.param("\ud800", id="half a character"),
    ],
)
def test_what_json_cannot_say_is_refused(value: Any) -> None:
    [found] = problems({"rule": "open", "configuration": {"free": [value]}})

    assert "no JSON" in found


def test_text_that_is_no_toml_is_refused() -> None:
    with pytest.raises(ChainError, match="no TOML"):
        Chain.parse_toml("[[rules]", CATALOGUE)


def test_every_problem_is_told_at_once() -> None:
    found = problems(
        {"rule": "nothing"}, {"rule": "guard"}, {"rule": "enricher", "mode": "on"}, surprise=1
    )

    assert len(found) == 4


@pytest.mark.parametrize(
    "second",
    [
        pytest.param({"rule": "enricher"}, id="by default the rule's name"),
        pytest.param({"rule": "configured", "id": "enricher"}, id="another rule's name"),
        pytest.param({"rule": "enricher", "mode": "off"}, id="also when it is off"),
    ],
)
def test_an_id_stands_once(second: dict[str, Any]) -> None:
    if second["rule"] == "configured":
        second["configuration"] = {"words": ["a"]}

    assert problems({"rule": "enricher"}, second) == ["entry enricher: the id stands twice"]


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
