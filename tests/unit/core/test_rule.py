"""What ``@lambda_rule`` does around a rule, shown on rules written to a folder of the test."""

import importlib.util
import json
import runpy
from pathlib import Path
from typing import Any, cast

import pytest

from cognito_rules.errors import (
    ConfigurationError,
    ManifestError,
    RuleError,
    UndeclaredEffectError,
    UndeclaredReadError,
)
from cognito_rules.rule import Rule
from cognito_rules.testing import a_context, a_login
from tests.log_lines import log_lines

MANIFEST = """
title    = "A rule"
summary  = "It does something."
category = "Login"
stage    = "post_authentication"
on_error = "deny"
reads    = ["user.email", "user.app_metadata"]
writes   = ["deny"]
secrets  = ["TOKEN"]

[configuration.message]
type    = "string"
default = "No."
"""

TEMPLATE_SETTING = """
[configuration.allowed_hosts]
type     = "list[string]"
required = true
source   = "template"
"""


FORGETTING = """
title    = "A rule"
summary  = "It does something."
category = "Integrations"
stage    = "after_login"
on_error = "continue"
purpose  = "marketing"
once_per_user = true
reads    = ["user.email", "event"]
forget_reads = ["user.user_id", "user.known_as"]
writes   = []
"""


@pytest.fixture
def write_rule(tmp_path: Path) -> Any:
    """Return a function that writes a rule's two files and loads it as Lambda would."""

    def write(body: str, manifest: str | None = MANIFEST, *, more: str = "") -> Rule:
        folder = tmp_path / "a_rule"
        folder.mkdir(exist_ok=True)
        lines = [
            "from cognito_rules import *",
            "from cognito_rules import UpstreamError",
            "@lambda_rule",
            "def rule(login, effects):",
            *(f"    {line}" for line in body.splitlines()),
            *more.splitlines(),
        ]
        (folder / "app.py").write_text("\n".join(lines))
        if manifest is not None:
            (folder / "rule.toml").write_text(manifest)
        spec = importlib.util.spec_from_file_location("a_rule_of_a_test", folder / "app.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return cast(Rule, module.rule)

    return write


def a_request(**changes: Any) -> dict[str, Any]:
    login = {"user": {"email": "jane@example.com"}, "now": "2026-11-22T09:30:00Z"}
    return {"version": 1, "login": login, "configuration": {}, **changes}


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        pytest.param(None, "does not exist", id="no manifest"),
        pytest.param(MANIFEST + "\nrole = 1", "unknown key", id="a bad one"),
    ],
)
def test_a_function_with_a_bad_manifest_does_not_start(
    write_rule: Any, manifest: str | None, message: str
) -> None:
    with pytest.raises(ManifestError, match=message):
        write_rule("pass", manifest)


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        pytest.param("login.user.name", "undeclared_read", "user.name", id="an undeclared read"),
        pytest.param(
            "effects.add_scope('a')", "undeclared_effect", "add_scope", id="an undeclared effect"
        ),
        pytest.param(
            "effects.deny('No.', code='Not Snake')",
            "invalid_effect",
            "code",
            id="an illegal effect",
        ),
        pytest.param("login.secret('OTHER')", "secret_error", "OTHER", id="an undeclared secret"),
        pytest.param(
            "raise ConfigurationError('x')", "configuration_error", "x", id="a bad setting"
        ),
        pytest.param(
            "raise ValueError(login.user.email)", "rule_error", "ValueError in a_rule", id="a bug"
        ),
        pytest.param("raise RecursionError", "rule_error", "RecursionError", id="a deep bug"),
    ],
)
def test_a_fault_names_itself(write_rule: Any, body: str, code: str, text: str) -> None:
    response = write_rule(body).answer(a_request())

    assert response["fault"]["code"] == code
    assert text in response["fault"]["message"]
    assert response["fault"]["retryable"] is False
    assert "effects" not in response


def test_a_bug_shows_nothing_of_the_person(write_rule: Any) -> None:
    response = write_rule("raise ValueError(login.user.email)").answer(a_request())

    assert "jane" not in json.dumps(response)


def test_what_was_recorded_before_a_fault_does_not_count(write_rule: Any) -> None:
    response = write_rule("effects.deny('No.', code='a')\n1 / 0").answer(a_request())

    assert set(response) == {"version", "fault"}


def test_a_fault_says_whether_and_when_to_try_again(write_rule: Any) -> None:
    body = "raise UpstreamError('api.example.com', 'busy', retryable=True, retry_after=2.5)"

    fault = write_rule(body).answer(a_request())["fault"]

    assert (fault["retryable"], fault["retry_after"]) == (True, 2.5)


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(None, id="null"),
        pytest.param("", id="a text"),
        pytest.param([], id="a list"),
        pytest.param({}, id="an empty object"),
        pytest.param(
            {"version": "1", "login": {}, "configuration": {}}, id="a text for the version"
        ),
        pytest.param(a_request(version=2), id="another version"),
        pytest.param(a_request(login=None), id="no login"),
        pytest.param(a_request(login=["user"]), id="a list for a login"),
        pytest.param(a_request(login={"now": "soon"}), id="a time that is none"),
        pytest.param(a_request(login={"now": 5}), id="a number for a time"),
        pytest.param(a_request(configuration=[1]), id="a list for the configuration"),
        pytest.param(a_request(configuration={"mesage": "No."}), id="an unknown setting"),
        pytest.param(a_request(configuration={"message": 1}), id="a setting of another type"),
    ],
)
def test_junk_is_a_fault_and_one_log_line(write_rule: Any, request_: Any) -> None:
    with log_lines() as log:
        response = write_rule("pass")(request_, a_context())

    assert response["fault"]["code"] == "configuration_error"
    assert [record["level"] for record in log.records] == ["ERROR"]


@pytest.mark.parametrize("section", [None, [], "x", 7])
def test_a_section_of_junk_is_unknown(write_rule: Any, section: Any) -> None:
    rule = write_rule("if login.user.email is UNKNOWN: effects.deny('No.', code='unknown')")

    with log_lines() as log:
        response = rule(a_request(login={"user": section, "transaction": section}), a_context())

    assert response["effects"][0]["code"] == "unknown"
    assert [record["outcome"] for record in log.records] == ["deny"]


def test_a_rule_sees_only_what_it_declares_whatever_is_sent(write_rule: Any) -> None:
    rule = write_rule("effects.deny(' '.join(sorted(login.facts['user'])), code='a')")
    login = {"user": {"email": "x", "name": "y", "phone_number": "z"}, "client": {"name": "c"}}

    response = rule.answer(a_request(login=login))

    assert response["effects"][0]["reason"] == "app_metadata email"


def test_a_null_is_unknown_and_an_empty_value_is_not(write_rule: Any) -> None:
    rule = write_rule(
        "effects.deny(f'{login.user.email!r} {login.user.app_metadata!r}', code='a')\n"
        "assert login.unknown == {'user.email'}"
    )

    response = rule.answer(a_request(login={"user": {"email": None, "app_metadata": {}}}))

    assert response["effects"][0]["reason"] == "UNKNOWN {}"


def test_the_clock_is_that_of_the_request(write_rule: Any) -> None:
    rule = write_rule("effects.deny(login.now.isoformat(), code='a')")

    response = rule.answer(a_request())

    assert response["effects"][0]["reason"] == "2026-11-22T09:30:00+00:00"


def test_an_answer_holds_effects_and_warnings(write_rule: Any) -> None:
    rule = write_rule("effects.warn('odd')\neffects.deny(login.configuration['message'], code='a')")

    assert rule.answer(a_request(configuration={"message": "Not today."})) == {
        "version": 1,
        "effects": [
            {"effect": "deny", "code": "a", "public_code": "access_denied", "reason": "Not today."}
        ],
        "warnings": ["odd"],
    }
    assert write_rule("pass").answer(a_request()) == {"version": 1, "effects": []}


def test_inside_the_login_function_the_answer_is_the_same(write_rule: Any) -> None:
    rule = write_rule(
        "if login.user.app_metadata is UNKNOWN:\n"
        "    effects.deny(login.configuration['message'], code='a')\n"
        "assert login.unknown == {'user.app_metadata'}"
    )
    request = a_request(
        login={
            "user": {"email": "x", "app_metadata": None},
            "now": "2026-11-22T09:30:00.000Z",
            "unknown": ["user.app_metadata"],
        },
        configuration={"message": "No."},
    )

    assert rule.answer_inline(request) == rule.answer(request)
    assert rule.answer_inline(request)["effects"][0]["code"] == "a"


def test_a_rules_own_check_runs_at_publication_and_at_each_run(write_rule: Any) -> None:
    rule = write_rule(
        "effects.deny('No.', code='a')",
        more="@rule.check\n"
        "def check(configuration):\n"
        "    if configuration['message'] == 'bad': raise ConfigurationError('message is bad')\n",
    )

    with pytest.raises(ConfigurationError, match="bad"):
        rule.configure({"message": "bad"})
    with pytest.raises(ConfigurationError, match="bad"):
        rule.decide(a_login(configuration={"message": "bad"}))
    response = rule.answer(a_request(configuration={"message": "bad"}))
    assert response["fault"]["code"] == "configuration_error"


def test_a_rule_tells_which_claims_it_writes(write_rule: Any) -> None:
    more = (
        "@rule.claims\ndef claims(configuration):\n    return [('id', configuration['message'])]\n"
    )

    assert write_rule("pass").written_claims({"message": "a"}) == set()
    assert write_rule("pass", more=more).written_claims({"message": "a"}) == {("id", "a")}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[", id="no JSON"),
        pytest.param("[]", id="a list"),
        pytest.param('{"message": "x"}', id="a setting of the chain"),
        pytest.param("{}", id="a required one is missing"),
        pytest.param('{"allowed_hosts": "a"}', id="another type"),
    ],
)
def test_bad_settings_of_the_template_are_a_fault(
    write_rule: Any, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("RULE_SETTINGS", text)
    rule = write_rule("pass", MANIFEST + TEMPLATE_SETTING)

    response = rule.answer(a_request())

    assert response["fault"]["code"] == "configuration_error"


def test_a_request_cannot_carry_a_setting_of_the_template(
    write_rule: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RULE_SETTINGS", '{"allowed_hosts": ["a.example.com"]}')
    rule = write_rule("pass", MANIFEST + TEMPLATE_SETTING)

    response = rule.answer(a_request(configuration={"allowed_hosts": ["b.example.com"]}))

    assert "template.yaml" in response["fault"]["message"]


def test_settings_of_the_template_join_those_of_the_chain(
    write_rule: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RULE_SETTINGS", '{"allowed_hosts": ["a.example.com"]}')
    rule = write_rule(
        "effects.deny(login.configuration['allowed_hosts'][0], code='a')",
        MANIFEST + TEMPLATE_SETTING,
    )

    response = rule.answer(a_request(configuration={"message": "x"}))

    assert response["effects"][0]["reason"] == "a.example.com"


def test_without_template_settings_the_variable_is_not_looked_at(
    write_rule: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RULE_SETTINGS", "no JSON")

    assert write_rule("pass").answer(a_request()) == {"version": 1, "effects": []}


def test_decide_raises_what_a_test_should_see(write_rule: Any) -> None:
    for body, error in (
        ("login.user.name", UndeclaredReadError),
        ("effects.add_scope('a')", UndeclaredEffectError),
        ("raise RuleError('x')", RuleError),
        ("1 / 0", ZeroDivisionError),
    ):
        with pytest.raises(error):
            write_rule(body).decide(a_login(user={"email": "x", "name": "y"}))


def test_a_rule_cannot_change_the_login_of_the_test(write_rule: Any) -> None:
    login = a_login(user={"app_metadata": {"a": [1]}})

    write_rule("login.user.app_metadata['a'].append(2)").decide(login)

    assert login.user.app_metadata == {"a": [1]}


def test_each_run_writes_one_line_without_personal_data(write_rule: Any) -> None:
    rule = write_rule("effects.warn('odd')\neffects.deny(login.user.email, code='not_here')")
    login = {
        "user": {"user_id": "6f1c", "email": "jane@example.com"},
        "transaction": {"id": "t-1"},
    }

    with log_lines() as log:
        rule(a_request(login=login), a_context())

    assert "jane" not in log.text
    [record] = log.records
    assert record["level"] == "WARNING"
    assert record["rule"] == "a_rule"
    assert record["user_id"] == "6f1c"
    assert record["transaction_id"] == "t-1"
    assert record["outcome"] == "deny"
    assert record["code"] == "not_here"
    assert record["warnings"] == ["odd"]
    assert record["duration_ms"] >= 0


def test_a_deployed_rule_takes_its_name_from_its_function(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = tmp_path / "task"
    task.mkdir()
    (task / "rule.toml").write_text(Path("functions/require_group/rule.toml").read_text())
    (task / "app.py").write_text(Path("functions/require_group/app.py").read_text())
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "our-rule-s-stack-rule-require_group")

    rule = runpy.run_path(str(task / "app.py"))["rule"]

    assert rule.manifest.name == "require_group"


# -- people who are forgotten ----------------------------------------------------------------------


def told(event_type: str) -> dict[str, Any]:
    user = {"user_id": "u1", "email": "ann@acme.test", "known_as": "501"}
    event = {"id": "e1", "type": event_type, "occurred_at": "2026-11-22T09:30:00.000Z"}
    return {"version": 1, "login": {"user": user, "event": event}, "configuration": {}}


def test_a_rule_that_forgets_hears_of_a_deletion_by_its_other_function(write_rule: Any) -> None:
    rule = write_rule(
        "effects.warn(f'told {login.user.email}')",
        FORGETTING,
        more=(
            "@rule.forget\n"
            "def forget(login, effects):\n"
            "    effects.warn(f'forgets {login.user.known_as} of {login.event.id}')\n"
            "    effects.warn(str(login.unknown))"
        ),
    )

    assert rule.answer(told("LoginCompleted"))["warnings"] == ["told ann@acme.test"]
    assert rule.answer(told("UserDeleted"))["warnings"] == ["forgets 501 of e1", "frozenset()"]


def test_a_handler_sees_the_fields_that_were_declared_for_it(write_rule: Any) -> None:
    rule = write_rule(
        "pass",
        FORGETTING,
        more="@rule.forget\ndef forget(login, effects):\n    login.user.email",
    )

    assert rule.answer(told("UserDeleted"))["fault"]["code"] == "undeclared_read"


def test_a_rule_says_by_which_id_its_system_knows_the_person(write_rule: Any) -> None:
    rule = write_rule("effects.remember_as('501')", FORGETTING)

    assert rule.answer(told("LoginCompleted")) == {"version": 1, "effects": [], "known_as": "501"}
