"""The chain document: what it is refused for."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from cognito_rules.chain import Chain, canonical, fingerprint, version_of
from cognito_rules.errors import ChainError, Problem
from tests.unit.core.chains import a_manifest
from tests.unit.core.documents import CATALOGUE, EVERYBODY, parse


def problems(*entries: Any, **document: Any) -> list[Problem]:
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
            {"rule": "guard", "when": EVERYBODY, "once_per_user": True},
            "once_per_user is for after_login rules",
            id="a guard that runs once for each person",
        ),
        pytest.param(
            {"rule": "refresher", "once_per_user": True, "configuration": {"again": True}},
            "again is for every login: leave once_per_user out",
            id="once, and at every login",
        ),
        pytest.param(
            {"rule": "teller", "once_per_user": "yes"},
            "once_per_user must be true or false",
            id="a word for once",
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
            {"rule": "enricher", "runs_on_sign_up": True},
            "a sign-up can only be refused, enricher cannot",
            id="a rule that refuses nothing, at sign-up",
        ),
        pytest.param(
            {"rule": "registrar", "when": EVERYBODY, "runs_on_sign_up": False},
            "registrar runs at sign-up and nowhere else",
            id="a rule for sign-ups, not at sign-up",
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


@pytest.mark.parametrize("when", [{}, {"when": {}}, {"when": EVERYBODY}])
def test_a_rule_that_needs_applications_is_never_for_all_of_them(when: dict[str, Any]) -> None:
    assert problems({"rule": "closer", **when}) == [
        "entry closer: closer is never meant for all applications: name them in when"
    ]


def test_a_rule_that_needs_applications_is_content_with_a_named_one() -> None:
    entry = {"rule": "closer", "when": {"applications": ["wiki"]}}

    assert parse(entry, applications={"abc": {"name": "wiki"}}).entries[0].when.applications


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


@pytest.mark.parametrize("write", ["aws.role", "aws.tags", "user.groups"])
def test_a_rule_that_grants_needs_the_templates_permission(write: str) -> None:
    manifest = a_manifest("grants", stage="token", writes=[write])
    document = {"rules": [{"rule": "grants", "when": EVERYBODY}]}

    with pytest.raises(ChainError, match=r"entry grants: .* PrivilegedRules"):
        Chain.parse(document, {"grants": manifest}, privileged=frozenset())

    chain = Chain.parse(document, {"grants": manifest}, privileged=frozenset({"grants"}))
    assert [entry.id for entry in chain.entries] == ["grants"]


# What the deployment requires ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        pytest.param({"rule": "enricher"}, "the entry door is required", id="missing"),
        pytest.param(
            {"rule": "guard", "id": "door", "when": EVERYBODY, "mode": "off"},
            "entry door: is required",
            id="off",
        ),
        pytest.param(
            {"rule": "guard", "id": "door", "when": EVERYBODY, "mode": "shadow"},
            "entry door: is required",
            id="in shadow",
        ),
        pytest.param(
            {"rule": "enricher", "id": "door", "rollout": 99},
            "entry door: is required",
            id="for some people",
        ),
    ],
)
def test_a_document_is_refused_whose_required_entry_is(entry: dict[str, Any], problem: str) -> None:
    with pytest.raises(ChainError) as refused:
        Chain.parse({"rules": [entry]}, CATALOGUE, required=["door"])

    [found] = refused.value.problems
    assert problem in found
    assert "RequiredEntries" in found


def test_a_document_with_its_required_entries_is_taken() -> None:
    entries = [{"rule": "guard", "id": "door", "when": EVERYBODY}, {"rule": "enricher"}]

    chain = Chain.parse({"rules": entries}, CATALOGUE, required=["door", "enricher"])

    assert len(chain.entries) == 2


DOOR = {"rule": "guard", "id": "door", "when": {"applications": ["wiki"]}}
BY_ID = {**DOOR, "when": {"applications": ["abc"]}}
READER = {"rule": "reader", "id": "door"}
TELLER = {"rule": "teller", "id": "door"}
WIKI: dict[str, Any] = {"applications": {"abc": {"name": "wiki"}}}
GOLD = {"applications": {"abc": {"name": "wiki", "metadata": {"tier": "gold"}}}}
SHOP = {"applications": {**WIKI["applications"], "def": {"name": "shop"}}}
# Where else who is told would have to agree.
NOBODY = {"region_override": {"security": {"opt_in": ["EEA"], "elsewhere": "opt_in"}}}


def pin(document: dict[str, Any], index: int = 0) -> str:
    entry = document["rules"][index]
    return f"door={fingerprint(document, index, CATALOGUE[entry['rule']])}"


@pytest.mark.parametrize(
    ("entry", "changed"),
    [
        pytest.param(DOOR, {"rules": [{**DOOR, "rule": "enricher"}]}, id="another rule"),
        pytest.param(DOOR, {"rules": [{**DOOR, "when": EVERYBODY}]}, id="for others"),
        pytest.param(DOOR, {"rules": [{**DOOR, "runs_on_refresh": False}]}, id="at fewer logins"),
        pytest.param(
            DOOR, {"applications": {"def": {"name": "wiki"}}}, id="an application renamed"
        ),
        pytest.param(BY_ID, GOLD, id="another metadata of an application that is named by its id"),
        pytest.param(READER, GOLD, id="another metadata that the rule reads of every application"),
        pytest.param(TELLER, NOBODY, id="another consent by country"),
    ],
)
def test_a_pinned_entry_is_refused_once_it_says_something_else(
    entry: dict[str, Any], changed: dict[str, Any]
) -> None:
    pinned = pin(WIKI | {"rules": [entry]})
    document = WIKI | {"rules": [entry]} | changed
    now = pin(document)

    with pytest.raises(ChainError) as refused:
        Chain.parse(document, CATALOGUE, required=[pinned])

    [found] = refused.value.problems
    assert found.startswith("entry door: is required as it was")
    assert found.endswith(f"{pinned}; it is {now.removeprefix('door=')} now")
    assert Chain.parse(document, CATALOGUE, required=[now]).entries


@pytest.mark.parametrize(
    ("entry", "changed"),
    [
        pytest.param(DOOR, SHOP | {"rules": [{"rule": "enricher"}, DOOR]}, id="entries and others"),
        pytest.param(DOOR, NOBODY, id="consent, which a guard needs none of"),
        pytest.param({**TELLER, "require_consent": "off"}, NOBODY, id="consent, which it settles"),
        pytest.param(READER, SHOP, id="applications without metadata"),
        pytest.param(TELLER, GOLD, id="metadata that its rule does not read"),
    ],
)
def test_a_pinned_entry_stays_while_others_change(
    entry: dict[str, Any], changed: dict[str, Any]
) -> None:
    document = WIKI | {"rules": [entry]}

    assert Chain.parse(document | changed, CATALOGUE, required=[pin(document)]).entries


def test_a_pinned_entry_must_be_enforced_all_the_same() -> None:
    document = WIKI | {"rules": [{**DOOR, "mode": "shadow"}]}

    with pytest.raises(ChainError, match="enforced for everybody"):
        Chain.parse(document, CATALOGUE, required=[pin(document)])


def test_an_entry_is_pinned_by_a_fingerprint_and_not_by_its_absence() -> None:
    with pytest.raises(ChainError, match="is required as it was"):
        Chain.parse(WIKI | {"rules": [DOOR]}, CATALOGUE, required=["door="])


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"rules": [{**DOOR, "when": "wiki"}]}, id="when"),
        pytest.param({"rules": [{**DOOR, "when": {"applications": [["wiki"]]}}]}, id="names"),
        pytest.param({"applications": {"abc": "wiki"}}, id="an application"),
        pytest.param(
            {"rules": [{**DOOR, "configuration": {"since": date(2026, 1, 1)}}]}, id="TOML"
        ),
    ],
)
def test_a_pinned_entry_that_is_malformed_is_refused_like_any_other(
    changed: dict[str, Any],
) -> None:
    document = WIKI | {"rules": [DOOR]}

    with pytest.raises(ChainError):
        Chain.parse(document | changed, CATALOGUE, required=[pin(document)])


def test_a_condition_of_nothing_is_none() -> None:
    document = {"rules": [{"rule": "enricher", "id": "door", "when": None}]}

    assert Chain.parse(document, CATALOGUE, required=[pin(document)]).entries


def test_a_document_that_could_not_be_kept_is_refused() -> None:
    metadata = {"motto": "x" * 300_000}
    document = {"applications": {"abc": {"name": "wiki", "metadata": metadata}}}

    with pytest.raises(ChainError, match="may have 300000"):
        Chain.parse(document, CATALOGUE)


# Where a problem is ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "path"),
    [
        pytest.param({"rule": "nobody"}, ("rule",), id="an unknown rule"),
        pytest.param({"rule": "enricher", "modes": 1}, ("modes",), id="an unknown key"),
        pytest.param({"rule": "enricher", "mode": 1}, ("mode",), id="a wrong choice"),
        pytest.param(
            {"rule": "enricher", "when": {"applications": ["x"]}},
            ("when", "applications"),
            id="an unknown application",
        ),
        pytest.param(
            {"rule": "configured", "configuration": {"words": ["a", 7]}},
            ("configuration", "words", 1),
            id="a wrong item of a setting",
        ),
        pytest.param(
            {"rule": "configured", "configuration": {"words": ["a"], "limits": 7}},
            ("configuration", "limits"),
            id="an unknown setting",
        ),
        pytest.param(
            {"rule": "configured", "configuration": {"words": ["a"], "roles": {}}},
            ("configuration", "roles"),
            id="a setting of the template",
        ),
        pytest.param({"rule": "configured"}, ("configuration",), id="a missing setting"),
        pytest.param(
            {"rule": "open", "configuration": {"free": ["arn:aws:iam::1:role/x"]}},
            ("configuration", "free", 0),
            id="an ARN",
        ),
    ],
)
def test_a_problem_knows_its_place(entry: dict[str, Any], path: tuple[str | int, ...]) -> None:
    with pytest.raises(ChainError) as refused:
        parse({"rule": "enricher", "id": "before"}, entry)

    [found] = refused.value.problems
    assert found.path == ("rules", 1, *path)


def test_a_published_document_means_what_was_written() -> None:
    written = parse({"rule": "enricher", "rollout": 10}, on_commit_failure="refuse")

    published = Chain.parse_json(canonical(written.document), CATALOGUE)

    assert published.version == written.version == version_of(canonical(published.document))


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "[]", "null"])
def test_a_published_text_that_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(ChainError):
        Chain.parse_json(text, CATALOGUE)
