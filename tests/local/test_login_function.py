"""The login function against real tables: which trigger decides, and what takes effect when."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from cognito_rules.aws import Aws
from cognito_rules.chain import Chain
from cognito_rules.dynamodb_json import from_item
from cognito_rules.effects import Effects
from cognito_rules.executors import RuleInvoker, invoker_threads
from cognito_rules.login import UNKNOWN, Login
from cognito_rules.manifest import Manifest
from cognito_rules.pipeline import LoginFunction, LoginRefusedError
from cognito_rules.rule import Rule
from cognito_rules.store import Store
from local.server import EmbeddedAws
from tests.cognito_events import (
    CLIENT,
    FEDERATED,
    SUB,
    attributes,
    client_credentials,
    post_authentication,
    post_confirmation,
    pre_token,
)

Decide = Callable[[Login, Effects], None]


class Clock:
    """Seconds since the epoch that only move when told."""

    def __init__(self) -> None:
        self.now = 1_795_300_000.0

    def __call__(self) -> float:
        return self.now


class Subject:
    """A login function under test: its rules count their runs, its tables are real."""

    def __init__(self, aws: EmbeddedAws, tables: dict[str, str]) -> None:
        self.dynamodb = aws.client("dynamodb")
        self.tables = tables
        self.clock = Clock()
        self.runs: dict[str, int] = {}
        self._rules: dict[str, Rule] = {}
        self._entries: list[dict[str, Any]] = []
        self._aws = Aws()
        self._threads = invoker_threads()
        self.document: dict[str, Any] = {}

    def rule(self, name: str, decide: Decide, *, entry: Any = None, **declared: Any) -> None:
        """Put a rule at the end of the chain."""
        manifest = Manifest.parse(
            name,
            {
                "title": name,
                "summary": "",
                "category": "Test",
                "stage": "post_authentication",
                "on_error": "continue",
                "reads": [],
                "writes": [],
            }
            | declared,
        )

        def counted(login: Login, effects: Effects) -> None:
            self.runs[name] = self.runs.get(name, 0) + 1
            decide(login, effects)

        self._rules[name] = Rule(counted, manifest)
        given = {"rule": name, "when": {"applications": ["*"]}}
        given |= {} if manifest.stage == "after_login" else {"placement": "inline"}
        self._entries.append(given | (entry or {}))

    @property
    def function(self) -> LoginFunction:
        catalogue = {name: rule.manifest for name, rule in self._rules.items()}
        store = Store(self._aws, **self.tables)
        return LoginFunction(
            chain=Chain.parse({"rules": self._entries, **self.document}, catalogue),
            store=store,
            invoker=RuleInvoker(self._aws, "none-"),
            inline=self._rules,
            threads=self._threads,
            roles={"reader": "arn:aws:iam::123456789012:role/reader"},
            clock=self.clock,
        )

    def handle(self, event: Any) -> Any:
        return self.function.handle(event)["response"]

    def profile(self) -> dict[str, Any]:
        key = {"pk": {"S": f"USER#{SUB}"}}
        found = self.dynamodb.get_item(
            TableName=self.tables["profiles"], Key=key, ConsistentRead=True
        )
        return from_item(found.get("Item", {}))

    def records(self, prefix: str) -> list[dict[str, Any]]:
        items = self.dynamodb.scan(TableName=self.tables["sessions"], ConsistentRead=True)["Items"]
        return [item for item in map(from_item, items) if item["pk"].startswith(prefix + "#")]


@pytest.fixture
def subject(aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[Subject]:
    for name, value in aws.environment.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    dynamodb = aws.client("dynamodb")
    tables = {"profiles": f"profiles-{uuid4()}", "sessions": f"sessions-{uuid4()}"}
    for table in tables.values():
        dynamodb.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        )
    yield Subject(aws, tables)
    for table in tables.values():
        dynamodb.delete_table(TableName=table)


def refuse(login: Login, effects: Effects) -> None:
    effects.deny("No.", code="refused")


def allow(login: Login, effects: Effects) -> None:
    pass


GUARD = {"writes": ["deny"], "on_error": "deny"}


def claims(response: Any, token: str = "id") -> dict[str, Any]:
    details = response["claimsAndScopeOverrideDetails"]
    claims: dict[str, Any] = details[f"{token}TokenGeneration"]["claimsToAddOrOverride"]
    return claims


# Which trigger decides ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(post_authentication(), id="after authentication"),
        pytest.param(pre_token(), id="at the token stage alone"),
        pytest.param(pre_token("TokenGeneration_HostedAuth"), id="managed login"),
        pytest.param(pre_token("TokenGeneration_NewPasswordChallenge"), id="a new password"),
        pytest.param(pre_token("TokenGeneration_AuthenticateDevice"), id="a remembered device"),
        pytest.param(pre_token("TokenGeneration_SomethingNew"), id="a source nobody knows yet"),
        pytest.param(pre_token("TokenGeneration_RefreshTokens"), id="a refresh"),
        pytest.param(post_confirmation(user=attributes(**FEDERATED)), id="a first federated login"),
    ],
)
def test_a_guard_refuses_whichever_trigger_is_called(subject: Subject, event: Any) -> None:
    subject.rule("guard", refuse, **GUARD)

    with pytest.raises(LoginRefusedError, match=r"^access_denied: No\.$"):
        subject.handle(event)


def test_both_triggers_share_one_decision(subject: Subject) -> None:
    subject.rule("guard", allow, **GUARD)

    subject.handle(post_authentication())
    subject.handle(pre_token())

    assert subject.runs == {"guard": 1}
    assert len(subject.records("login")) == 1


def test_the_other_order_shares_it_too(subject: Subject) -> None:
    subject.rule("guard", allow, **GUARD)

    subject.handle(pre_token())
    subject.handle(post_authentication())

    assert subject.runs == {"guard": 1}
    assert subject.profile()["logins_count"] == 1


def test_the_other_order_shares_it_although_the_login_changed_the_profile(
    subject: Subject,
) -> None:
    def write(login: Login, effects: Effects) -> None:
        effects.set_app_metadata("seen", [login.stats.logins_count, login.user.app_metadata])

    subject.rule(
        "writer",
        write,
        reads=["user.app_metadata", "stats.logins_count"],
        writes=["user.app_metadata"],
    )

    subject.handle(pre_token())
    subject.handle(post_authentication())
    subject.handle(pre_token())

    assert subject.runs == {"writer": 1}
    assert subject.profile()["app_metadata"] == {"seen": [1, {}]}


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(pre_token(metadata={"channel": "mobile"}), id="other client metadata"),
        pytest.param(pre_token(user=attributes(email="new@example.com")), id="other attributes"),
        pytest.param(pre_token(client_id="another"), id="another application"),
        pytest.param(pre_token(user=attributes(sub="another")), id="another user"),
        pytest.param(pre_token("TokenGeneration_RefreshTokens"), id="a refresh"),
    ],
)
def test_different_inputs_are_decided_afresh(subject: Subject, event: Any) -> None:
    reads = ["user.email", "request.client_metadata"]
    subject.rule("guard", allow, reads=reads, **GUARD)
    subject.handle(post_authentication(metadata={"channel": "web"}))

    subject.handle(event)

    assert subject.runs == {"guard": 2}


def test_a_profile_changed_in_between_is_decided_afresh(subject: Subject) -> None:
    def guard(login: Login, effects: Effects) -> None:
        if login.user.app_metadata.get("deleted"):
            effects.deny("No.", code="user_flagged")

    subject.rule("guard", guard, reads=["user.app_metadata"], **GUARD)
    subject.handle(post_authentication())
    flagged = {"pk": {"S": f"USER#{SUB}"}, "app_metadata": {"M": {"deleted": {"BOOL": True}}}}
    subject.dynamodb.put_item(TableName=subject.tables["profiles"], Item=flagged)

    with pytest.raises(LoginRefusedError):
        subject.handle(pre_token())


def test_a_memo_is_good_for_a_minute(subject: Subject) -> None:
    subject.rule("guard", allow, **GUARD)

    subject.handle(post_authentication())
    subject.clock.now += 60
    subject.handle(pre_token())
    subject.clock.now += 1
    subject.handle(pre_token())

    assert subject.runs == {"guard": 2}


def test_a_refusal_is_never_remembered(subject: Subject) -> None:
    refusing = True

    def guard(login: Login, effects: Effects) -> None:
        if refusing:
            effects.deny("No.", code="refused")

    subject.rule("guard", guard, **GUARD)
    with pytest.raises(LoginRefusedError):
        subject.handle(post_authentication())
    refusing = False

    subject.handle(post_authentication())

    assert subject.runs == {"guard": 2}


def test_what_only_the_token_stage_knows_waits_for_it(subject: Subject) -> None:
    seen: list[Any] = []

    def guard(login: Login, effects: Effects) -> None:
        seen.append(login.user.groups)

    subject.rule("guard", guard, reads=["user.groups"], **GUARD)

    subject.handle(post_authentication())
    subject.handle(pre_token(groups=["staff"]))

    assert seen == [["staff"]]


def test_a_token_rule_sees_what_earlier_triggers_decided(subject: Subject) -> None:
    def enrich(login: Login, effects: Effects) -> None:
        effects.set_user_metadata("color", "blue", only_if_missing=True)

    def show(login: Login, effects: Effects) -> None:
        effects.set_claim("id", "https://x/color", login.user.user_metadata.get("color"))

    subject.rule("enrich", enrich, writes=["user.user_metadata.color"])
    subject.rule(
        "show", show, stage="token", reads=["user.user_metadata.color"], writes=["id_token.claims"]
    )
    subject.handle(post_authentication())

    response = subject.handle(pre_token())

    assert claims(response) == {"https://x/color": "blue"}
    assert subject.profile()["user_metadata"] == {"color": "blue"}


def test_client_credentials_run_the_rules_that_ask_for_them_and_touch_no_table(
    subject: Subject,
) -> None:
    def tag(login: Login, effects: Effects) -> None:
        assert login.user.user_id is UNKNOWN
        effects.set_claim("access", "https://x/client", login.client.client_id)

    subject.rule("guard", refuse, **GUARD)
    subject.rule(
        "tag",
        tag,
        stage="token",
        reads=["client.client_id", "user.user_id"],
        writes=["access_token.claims"],
        runs_on_client_credentials=True,
    )

    response = subject.handle(client_credentials())

    assert claims(response, "access") == {"https://x/client": CLIENT}
    assert subject.profile() == {}
    assert subject.records("login") == []


def test_a_forgotten_password_is_no_login(subject: Subject) -> None:
    subject.rule("guard", refuse, **GUARD)
    event = post_confirmation("PostConfirmation_ConfirmForgotPassword")

    assert subject.function.handle(event) == event


def test_the_confirmation_of_a_local_account_is_no_login(subject: Subject) -> None:
    subject.rule("guard", refuse, **GUARD)
    subject.rule("tell", allow, stage="after_login", events=["SignUpConfirmed"])

    subject.handle(post_confirmation())

    [record] = subject.records("signup")
    assert json.loads(record["announcement"])["type"] == "SignUpConfirmed"


def test_a_refresh_skips_what_does_not_run_on_refresh_and_announces_nothing(
    subject: Subject,
) -> None:
    subject.rule("at_login", allow)
    subject.rule("guard", allow, **GUARD)
    subject.rule("tell", allow, stage="after_login")

    subject.handle(pre_token("TokenGeneration_RefreshTokens"))

    assert subject.runs == {"guard": 1}
    assert subject.records("login") == []
    assert subject.profile() == {}


# What takes effect ----------------------------------------------------------------------------


def test_nothing_takes_effect_before_the_token_stage(subject: Subject) -> None:
    def write(login: Login, effects: Effects) -> None:
        effects.set_user_metadata("color", "blue")

    subject.rule("write", write, writes=["user.user_metadata"])
    subject.rule("tell", allow, stage="after_login")

    subject.handle(post_authentication())

    assert subject.profile() == {}
    assert subject.records("login") == []


def test_a_refusal_at_the_token_stage_discards_what_was_pending(subject: Subject) -> None:
    def write(login: Login, effects: Effects) -> None:
        effects.set_user_metadata("color", "blue")

    def late_guard(login: Login, effects: Effects) -> None:
        effects.deny("No.", code="late")

    subject.rule("write", write, writes=["user.user_metadata"])
    subject.rule("late", late_guard, reads=["user.groups"], **GUARD)
    subject.rule("tell", allow, stage="after_login", events=["LoginCompleted", "LoginDenied"])
    subject.handle(post_authentication())

    with pytest.raises(LoginRefusedError):
        subject.handle(pre_token())

    assert subject.profile() == {}
    assert subject.records("login") == []
    [denied] = subject.records("denied")
    view = json.loads(denied["announcement"])["views"]["tell"]["deliveries"][0]["request"]
    assert view["login"]["now"] == "2026-11-21T22:26:40.000Z"


def test_a_login_is_announced_with_one_view_for_each_subscribed_entry(subject: Subject) -> None:
    subject.rule("tell", allow, stage="after_login", reads=["user.user_id", "event.first_login"])
    subject.rule("crm", allow, stage="after_login", reads=["user.email"])
    subject.rule("denials", allow, stage="after_login", events=["LoginDenied"])

    subject.handle(pre_token())

    [record] = subject.records("login")
    announcement = json.loads(record["announcement"])
    assert announcement["type"] == "LoginCompleted"
    assert announcement["rules"] == ["crm", "tell"]
    views = {
        rule: view["deliveries"][0]["request"]["login"]
        for rule, view in announcement["views"].items()
    }
    assert views["tell"]["user"] == {"user_id": SUB}
    assert views["tell"]["event"] == {"first_login": True}
    assert views["crm"]["user"] == {"email": "jane@example.com"}


def test_a_login_counts_once_in_fifteen_seconds(subject: Subject) -> None:
    counts = []
    for seconds in (0, 14, 2, 20):
        subject.clock.now += seconds
        subject.handle(pre_token())
        counts.append(subject.profile()["logins_count"])

    assert counts == [1, 1, 2, 3]


def test_two_applications_count_apart(subject: Subject) -> None:
    subject.handle(pre_token())
    subject.handle(pre_token(client_id="another"))

    assert subject.profile()["logins_count"] == 2


@pytest.mark.parametrize("clients", [1, 2], ids=["one client", "two clients"])
def test_parallel_sign_ins_of_one_person_do_not_mix(subject: Subject, clients: int) -> None:
    def remember(login: Login, effects: Effects) -> None:
        channel = login.request.client_metadata["channel"]
        effects.set_claim("id", "https://x/channel", channel)
        effects.set_user_metadata(f"from_{channel}", True)

    subject.rule(
        "remember",
        remember,
        reads=["request.client_metadata"],
        writes=["id_token.claims", "user.user_metadata"],
    )
    ready = threading.Barrier(8)
    function = subject.function

    def sign_in(number: int) -> str:
        details: dict[str, Any] = {
            "metadata": {"channel": f"c{number}"},
            "client_id": f"app{number % clients}",
        }
        ready.wait()
        function.handle(post_authentication(**details))
        response = function.handle(pre_token(**details))["response"]
        return str(claims(response)["https://x/channel"])

    with ThreadPoolExecutor(8) as threads:
        channels = list(threads.map(sign_in, range(8)))

    assert channels == [f"c{number}" for number in range(8)]
    profile = subject.profile()
    assert profile["logins_count"] == clients
    assert profile["user_metadata"] == {f"from_c{number}": True for number in range(8)}
    assert len(subject.records("login")) == clients


def test_a_value_that_somebody_set_between_read_and_write_is_kept(subject: Subject) -> None:
    def default(login: Login, effects: Effects) -> None:
        green: dict[str, Any] = {"pk": {"S": f"USER#{SUB}"}}
        for kind in ("user_metadata", "app_metadata", "profile"):
            green[kind] = {"M": {}}
        green["user_metadata"] = {"M": {"color": {"S": "green"}}}
        subject.dynamodb.put_item(TableName=subject.tables["profiles"], Item=green)
        effects.set_user_metadata("color", "blue", only_if_missing=True)

    subject.rule("default", default, writes=["user.user_metadata"])

    subject.handle(pre_token())

    assert subject.profile()["user_metadata"] == {"color": "green"}
    assert subject.profile()["logins_count"] == 1


def test_metadata_keeps_its_types_and_null_removes(subject: Subject) -> None:
    stored = {"n": 1, "f": 1.5, "t": "ö\u0000", "l": [1, {"a": None}], "b": False, "e": ""}

    def write(login: Login, effects: Effects) -> None:
        for key, value in stored.items():
            effects.set_app_metadata(key, value)
        effects.set_app_metadata("gone", None)

    subject.rule("write", write, writes=["user.app_metadata"])
    subject.handle(pre_token())
    subject.clock.now += 100
    subject.handle(pre_token())

    assert subject.profile()["app_metadata"] == stored


# Faults ---------------------------------------------------------------------------------------


def test_a_crashing_guard_refuses_and_a_crashing_enricher_does_not(subject: Subject) -> None:
    def crash(login: Login, effects: Effects) -> None:
        raise KeyError("x")

    subject.rule("enricher", crash)
    subject.handle(pre_token())
    subject.rule("guard", crash, **GUARD)

    with pytest.raises(LoginRefusedError, match=r"^try_again: Sign-in is unavailable right now"):
        subject.handle(pre_token(client_id="another"))


def test_without_tables_rules_that_need_the_profile_do_as_they_declare(subject: Subject) -> None:
    def guard(login: Login, effects: Effects) -> None:
        if login.user.app_metadata is UNKNOWN:
            effects.deny("No.", code="metadata_unavailable")

    subject.rule("enricher", allow, reads=["user.user_metadata!"])
    subject.tables = {"profiles": "absent", "sessions": "absent"}

    subject.handle(pre_token())
    subject.rule("guard", guard, reads=["user.app_metadata"], **GUARD)
    with pytest.raises(LoginRefusedError):
        subject.handle(pre_token())

    assert subject.runs == {"guard": 1}


def test_without_tables_a_chain_may_insist_on_its_record(subject: Subject) -> None:
    subject.document = {"on_commit_failure": "refuse"}
    subject.tables = {"profiles": "absent", "sessions": "absent"}

    with pytest.raises(LoginRefusedError, match=r"^try_again"):
        subject.handle(pre_token())


def test_an_unregistered_application_is_refused_when_the_chain_says_so(subject: Subject) -> None:
    subject.document = {
        "unregistered_applications": "refuse",
        "applications": {CLIENT: {"name": "payroll"}},
    }

    subject.handle(pre_token())
    with pytest.raises(LoginRefusedError, match=r"^access_denied"):
        subject.handle(pre_token(client_id="another"))


def test_an_unknown_role_is_refused_by_the_chain(subject: Subject) -> None:
    def grant(login: Login, effects: Effects) -> None:
        effects.set_aws_role(["arn:aws:iam::123456789012:role/administrator"])

    subject.rule("grant", grant, stage="token", writes=["aws.role"], on_error="deny")

    with pytest.raises(LoginRefusedError, match=r"^try_again"):
        subject.handle(pre_token())


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(None, id="nothing"),
        pytest.param([], id="a list"),
        pytest.param({}, id="an empty object"),
        pytest.param({**pre_token(), "triggerSource": "CustomMessage_SignUp"}, id="other trigger"),
        pytest.param({**pre_token(), "callerContext": {}}, id="no client"),
        pytest.param({**pre_token(), "request": None}, id="no request"),
        pytest.param({**pre_token(), "userPoolId": 7}, id="a pool that is no text"),
        pytest.param({**pre_token(user={"email": "x"}), "userName": ""}, id="nobody"),
    ],
)
def test_a_malformed_event_is_refused(subject: Subject, event: Any) -> None:
    with pytest.raises(LoginRefusedError, match=r"^try_again"):
        subject.handle(event)


def test_long_and_unicode_attributes_reach_the_tokens_unchanged(subject: Subject) -> None:
    name = "Žofie \U0001f600 " + "x" * 2_000

    def show(login: Login, effects: Effects) -> None:
        effects.set_claim("id", "https://x/name", login.user.name)

    subject.rule("show", show, reads=["user.name"], writes=["id_token.claims"])
    subject.handle(post_authentication(user=attributes(name=name)))

    response = subject.handle(pre_token(user=attributes(name=name)))

    assert claims(response) == {"https://x/name": name}


# Feature plan Lite ----------------------------------------------------------------------------


def test_an_event_of_version_1_is_answered_in_its_shape(subject: Subject) -> None:
    def show(login: Login, effects: Effects) -> None:
        effects.set_claim("id", "https://x/list", ["a", "b"])
        effects.set_claim("access", "https://x/lost", "x")

    subject.rule("show", show, writes=["id_token.claims", "access_token.claims"])

    response = subject.handle(pre_token(version="1", groups=["staff"]))

    assert response == {
        "claimsOverrideDetails": {
            "claimsToAddOrOverride": {"https://x/list": '["a","b"]'},
            "claimsToSuppress": [],
            "groupOverrideDetails": {"groupsToOverride": ["staff"], "iamRolesToOverride": []},
        }
    }


def test_a_scope_that_version_1_cannot_take_away_is_a_refusal(subject: Subject) -> None:
    def reduce(login: Login, effects: Effects) -> None:
        effects.remove_scope("orders/write")

    subject.rule("reduce", reduce, stage="token", writes=["access_token.scopes"])

    with pytest.raises(LoginRefusedError, match=r"^access_denied"):
        subject.handle(pre_token(version="1"))


def test_an_error_of_our_own_refuses_without_its_text(
    subject: Subject, capsys: pytest.CaptureFixture[str]
) -> None:
    event = pre_token()
    event["request"]["userAttributes"] = ["jane@example.com"]

    with pytest.raises(LoginRefusedError) as refusal:
        subject.handle(event)

    assert str(refusal.value) == "try_again: Sign-in is unavailable right now. Please try again."
    assert "jane@example.com" not in capsys.readouterr().out
