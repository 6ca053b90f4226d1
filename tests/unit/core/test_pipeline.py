"""The login function where something is wrong: with tables, rules, time, or the event itself.

What it decides and stores when all is well stands in tests/local/test_login_function.py.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cognito_rules.aws import Aws
from cognito_rules.call import changes
from cognito_rules.chain import Chain
from cognito_rules.dynamodb_json import from_item, to_item
from cognito_rules.effects import Effects
from cognito_rules.executors import RuleInvoker, invoker_threads
from cognito_rules.login import Login
from cognito_rules.pipeline import LoginFunction, LoginRefusedError
from cognito_rules.rule import Rule
from cognito_rules.store import ProfileWrite, Store
from tests.cognito_events import (
    CLIENT,
    SUB,
    attributes,
    client_credentials,
    post_authentication,
    post_confirmation,
    pre_token,
)
from tests.log_lines import log_lines
from tests.loopback import Reply, Server, reply
from tests.unit.core.chains import a_manifest, answer

NOW = 1_795_300_000.0
GUARD: dict[str, Any] = {"writes": ["deny"], "on_error": "deny"}
REFUSED = r"^try_again: Sign-in is unavailable right now\. Please try again\.$"

Decide = Callable[[Login, Effects], None]


def allow(login: Login, effects: Effects) -> None:
    pass


def refuse(login: Login, effects: Effects) -> None:
    effects.deny("No.", code="refused")


class Subject:
    """A login function under test; AWS is a server on loopback."""

    def __init__(self, amazon: Server, threads: ThreadPoolExecutor) -> None:
        self.amazon = amazon
        self.threads = threads
        self.runs: list[str] = []
        self.roles: dict[str, str] = {}
        self.document: dict[str, Any] = {}
        self._rules: dict[str, Rule] = {}
        self._entries: list[dict[str, Any]] = []

    def rule(
        self, name: str, decide: Decide = allow, *, entry: Any = None, **declared: Any
    ) -> None:
        """Put a rule at the end of the chain; it runs inline unless ``entry`` says otherwise."""
        manifest = a_manifest(name, **declared)

        def counted(login: Login, effects: Effects) -> None:
            self.runs.append(name)
            decide(login, effects)

        self._rules[name] = Rule(counted, manifest)
        given = {"rule": name, "when": {"applications": ["*"]}}
        given |= {} if manifest.stage == "after_login" else {"placement": "inline"}
        self._entries.append(given | (entry or {}))

    @property
    def function(self) -> LoginFunction:
        aws = Aws()
        catalogue = {name: rule.manifest for name, rule in self._rules.items()}
        return LoginFunction(
            chain=Chain.parse({"rules": self._entries, **self.document}, catalogue),
            store=Store(aws, profiles="profiles", sessions="sessions"),
            invoker=RuleInvoker(aws, "stack-rule-"),
            inline=self._rules,
            threads=self.threads,
            roles=self.roles,
            clock=lambda: NOW,
        )

    def handle(self, event: Any, **options: Any) -> Any:
        return self.function.handle(event, **options)["response"]

    def knows(self, profile: dict[str, Any] | None = None, *sessions: dict[str, Any]) -> None:
        """Let the tables hold this, and take every write."""
        profiles = [to_item({"pk": f"USER#{SUB}", **profile})] if profile is not None else []
        responses = {"profiles": profiles, "sessions": [to_item(item) for item in sessions]}
        self.amazon.replies = [reply(200, {"Responses": responses}), Reply()]

    @property
    def calls(self) -> list[str]:
        return [
            request.headers.get("x-amz-target", "Lambda.Invoke").partition(".")[2]
            for request in self.amazon.received
        ]

    def committed(self) -> dict[str, dict[str, Any]]:
        """Return the items of the last write by the part of their key before ``#``."""
        body = json.loads(self.amazon.received[-1].body)
        puts = [write["Put"]["Item"] for write in body["TransactItems"] if "Put" in write]
        return {item["pk"].partition("#")[0]: item for item in map(from_item, puts)}


@pytest.fixture
def subject(amazon: Server) -> Iterator[Subject]:
    with invoker_threads() as threads:
        subject = Subject(amazon, threads)
        subject.knows()
        yield subject


# Nothing but a refusal comes out --------------------------------------------------------------


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(None, id="nothing"),
        pytest.param({**pre_token(), "callerContext": {"clientId": ["x"]}}, id="a malformed event"),
        pytest.param({**pre_token(), "request": {"userAttributes": [1]}}, id="odd attributes"),
        pytest.param(pre_token(scopes=[["x"]]), id="odd scopes"),  # type: ignore[list-item]
    ],
)
def test_a_fault_of_ours_is_told_to_nobody(subject: Subject, event: Any) -> None:
    subject.rule(
        "scoper",
        lambda login, effects: effects.remove_scope("y"),
        stage="token",
        writes=["access_token.scopes"],
    )

    with pytest.raises(LoginRefusedError, match=REFUSED):
        subject.handle(event)


def test_a_fault_of_ours_is_logged_without_what_it_was_about(subject: Subject) -> None:
    with log_lines() as lines, pytest.raises(LoginRefusedError):
        subject.handle(pre_token(scopes=[{"jane@example.com": 1}]))  # type: ignore[list-item]

    assert "jane" not in lines.text
    assert any(record["level"] == "ERROR" for record in lines.records)


def test_a_login_whose_tokens_cannot_be_made_does_not_take_effect(subject: Subject) -> None:
    subject.rule(
        "scoper",
        lambda login, effects: effects.add_scope("y"),
        stage="token",
        writes=["access_token.scopes"],
    )
    subject.rule("tell", stage="after_login")

    with pytest.raises(LoginRefusedError):
        subject.handle(pre_token(scopes=[["x"]]))  # type: ignore[list-item]

    assert subject.calls == ["BatchGetItem"]


# Without tables -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 500])
def test_a_denial_needs_no_tables(subject: Subject, status: int) -> None:
    subject.rule("guard", refuse, **GUARD)
    subject.amazon.replies = [Reply(status)]

    with pytest.raises(LoginRefusedError, match=r"^access_denied: No\.$"):
        subject.handle(post_authentication())


def test_an_allowed_login_goes_on_without_tables(subject: Subject) -> None:
    subject.rule("guard", **GUARD)
    subject.amazon.replies = [Reply(400)]

    with log_lines() as lines:
        response = subject.handle(pre_token(groups=["staff"]))

    details = response["claimsAndScopeOverrideDetails"]
    assert details["groupOverrideDetails"]["groupsToOverride"] == ["staff"]
    [record] = [record for record in lines.records if record["message"] == "login decided"]
    assert record["level"] == "ERROR"
    assert record["commit"] == "failed"


def test_a_chain_may_insist_on_its_record(subject: Subject) -> None:
    subject.document = {"on_commit_failure": "refuse"}
    subject.amazon.replies = [Reply(400)]

    with pytest.raises(LoginRefusedError, match=REFUSED):
        subject.handle(pre_token())


@pytest.mark.parametrize("required", [True, False])
def test_a_guard_of_an_unread_profile_refuses(subject: Subject, required: bool) -> None:
    def guard(login: Login, effects: Effects) -> None:
        if not isinstance(login.user.app_metadata, dict):
            effects.deny("No.", code="metadata_unavailable")

    read = "user.app_metadata" + ("!" if required else "")
    subject.rule("guard", guard, reads=[read], **GUARD)
    subject.amazon.replies = [Reply(400)]

    with pytest.raises(LoginRefusedError):
        subject.handle(pre_token())

    assert subject.runs == ([] if required else ["guard"])


def test_slow_tables_cost_no_more_than_their_share(subject: Subject) -> None:
    subject.rule("guard", **GUARD)
    subject.amazon.replies = [Reply(delay=2.0)]
    started = time.monotonic()

    subject.handle(pre_token())

    assert time.monotonic() - started < 1.2


# What the tables hold -------------------------------------------------------------------------


@pytest.mark.parametrize("held", [["x"], "x", 7, True])
def test_metadata_that_is_no_map_is_unknown_not_empty(subject: Subject, held: Any) -> None:
    subject.rule("guard", reads=["user.app_metadata!"], **GUARD)
    subject.knows({"app_metadata": held})

    with pytest.raises(LoginRefusedError, match=REFUSED):
        subject.handle(pre_token())


@pytest.mark.parametrize("held", [None, {}])
def test_metadata_that_is_null_is_empty(subject: Subject, held: Any) -> None:
    subject.rule("guard", reads=["user.app_metadata!"], **GUARD)
    subject.knows({"app_metadata": held})

    subject.handle(pre_token())

    assert subject.runs == ["guard"]


def test_a_profile_gives_no_groups_and_no_other_name(subject: Subject) -> None:
    seen: list[Any] = []

    def look(login: Login, effects: Effects) -> None:
        seen.append((login.user.groups, login.user.user_id, login.user.name, login.user.picture))

    reads = ["user.groups", "user.user_id", "user.name", "user.picture"]
    subject.rule("look", look, reads=reads)
    subject.knows(
        {"profile": {"groups": ["admin"], "user_id": "x", "name": "Stored", "picture": "p"}}
    )

    subject.handle(pre_token(groups=[], user=attributes(name="Jane")))

    assert seen == [([], SUB, "Jane", "p")]


@pytest.mark.parametrize("count", ["7", None, [1], 1.5])
def test_a_count_that_is_none_counts_from_nothing(subject: Subject, count: Any) -> None:
    seen: list[Any] = []
    subject.rule(
        "look",
        lambda login, effects: seen.append(login.stats.logins_count),
        reads=["stats.logins_count"],
    )
    subject.knows({"logins_count": count})

    subject.handle(pre_token())

    assert seen == [1]


@pytest.mark.parametrize(
    ("seconds", "counts"), [(0, False), (14.9, False), (15, True), (1_000, True)]
)
def test_a_login_counts_once_in_fifteen_seconds(
    subject: Subject, seconds: float, counts: bool
) -> None:
    key = f"login#{pre_token()['userPoolId']}#{SUB}#{CLIENT}"
    subject.rule(
        "writer",
        lambda login, effects: effects.set_user_metadata("a", 1),
        writes=["user.user_metadata"],
    )
    subject.knows({"logins_count": 1}, {"pk": key, "committed_at": NOW - seconds})

    subject.handle(pre_token())

    assert ("login" in subject.committed()) is counts


def test_a_decision_that_no_item_can_hold_is_committed_all_the_same(subject: Subject) -> None:
    def write(login: Login, effects: Effects) -> None:
        for number in range(8):
            effects.set_user_metadata(f"k{number}", "v" * 60_000)

    subject.rule("writer", write, writes=["user.user_metadata"])
    subject.rule("tell", stage="after_login")

    subject.handle(pre_token())

    assert set(subject.committed()) == {"login"}
    assert "announcement" in subject.committed()["login"]


@pytest.mark.parametrize(
    ("held", "write", "changed"),
    [
        pytest.param({"a": 1}, ProfileWrite("user_metadata", "a", 1), False, id="the same"),
        pytest.param({"a": 1}, ProfileWrite("user_metadata", "a", 2), True, id="another"),
        pytest.param({"a": True}, ProfileWrite("user_metadata", "a", 1), True, id="true is not 1"),
        pytest.param({"a": 0}, ProfileWrite("user_metadata", "a", False), True, id="nor 0 false"),
        pytest.param(
            {"a": [True]}, ProfileWrite("user_metadata", "a", [1]), True, id="also in a list"
        ),
        pytest.param({}, ProfileWrite("user_metadata", "a", None), False, id="nothing to remove"),
        pytest.param({"a": 1}, ProfileWrite("user_metadata", "a", None), True, id="a removal"),
        pytest.param({"a": None}, ProfileWrite("user_metadata", "a", None), True, id="of a null"),
        pytest.param(
            {"a": 1}, ProfileWrite("user_metadata", "a", 2, True), False, id="a needless default"
        ),
        pytest.param({}, ProfileWrite("user_metadata", "a", 2, True), True, id="a default"),
        pytest.param(None, ProfileWrite("user_metadata", "a", 1), True, id="an unread profile"),
    ],
)
def test_what_is_worth_a_write(held: Any, write: ProfileWrite, changed: bool) -> None:
    user = {} if held is None else {"user_metadata": held}

    assert changes({"user": user}, write) is changed


# Time -----------------------------------------------------------------------------------------


def test_the_chain_leaves_time_for_the_commit(subject: Subject) -> None:
    subject.rule("slow", entry={"placement": "function"}, timeout_ms=3_000)
    read = subject.amazon.replies[0]
    subject.amazon.replies = [read, reply(200, answer(), delay=2.0), Reply()]
    started = time.monotonic()

    subject.handle(pre_token(), started=started - 3.7)

    assert subject.calls == ["BatchGetItem", "Invoke", "TransactWriteItems"]
    assert time.monotonic() - started < 0.8


def test_a_call_whose_time_is_over_refuses_where_a_guard_stands(subject: Subject) -> None:
    subject.rule("guard", **GUARD)

    with pytest.raises(LoginRefusedError, match=REFUSED):
        subject.handle(pre_token(), started=time.monotonic() - 10)

    assert subject.calls == []


# Who runs -------------------------------------------------------------------------------------


def test_what_is_off_does_not_run_and_what_is_in_shadow_does_not_count(subject: Subject) -> None:
    subject.rule("off", refuse, entry={"mode": "off"}, **GUARD)
    subject.rule("shadow", refuse, entry={"mode": "shadow"}, **GUARD)

    subject.handle(pre_token())

    assert subject.runs == ["shadow"]


def test_a_rule_for_nobody_yet_does_not_run(subject: Subject) -> None:
    subject.rule("new", entry={"rollout": 0})

    subject.handle(pre_token())

    assert subject.runs == []


def test_a_percentage_of_machines_goes_by_the_client(subject: Subject) -> None:
    subject.rule(
        "new",
        stage="token",
        runs_on_client_credentials=True,
        entry={"rollout": 50, "runs_on_client_credentials": True},
    )

    for number in range(40):
        subject.handle(client_credentials(client_id=f"client{number}"))

    assert 5 < len(subject.runs) < 35


def test_a_machine_touches_no_table(subject: Subject) -> None:
    subject.rule("guard", refuse, stage="token", runs_on_client_credentials=True, **GUARD)

    with pytest.raises(LoginRefusedError, match=r"^access_denied: No\.$"):
        subject.handle(client_credentials())

    assert subject.calls == []


# Refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decide", "writes", "text"),
    [
        pytest.param(
            lambda login, effects: effects.require_mfa(["otp"]),
            ["mfa"],
            "mfa_required: Please confirm your sign-in.",
            id="a proof",
        ),
        pytest.param(
            lambda login, effects: effects.redirect("https://x/consent"),
            ["redirect"],
            "interaction_required: Please complete your sign-in.",
            id="a page",
        ),
    ],
)
@pytest.mark.parametrize("event", [post_authentication(), pre_token()], ids=["before", "tokens"])
def test_what_this_path_cannot_ask_for_ends_the_login(
    subject: Subject, decide: Decide, writes: list[str], text: str, event: Any
) -> None:
    subject.rule("ask", decide, writes=writes)

    with pytest.raises(LoginRefusedError) as refused:
        subject.handle(event)

    assert str(refused.value) == text
    assert "TransactWriteItems" not in subject.calls


def test_a_refused_person_reads_the_reason_and_not_the_code(subject: Subject) -> None:
    subject.rule(
        "guard",
        lambda login, effects: effects.deny("Not\ntoday.", code="user_flagged"),
        **GUARD,
    )

    with log_lines() as lines, pytest.raises(LoginRefusedError) as refused:
        subject.handle(pre_token())

    assert str(refused.value) == "access_denied: Not today."
    [record] = [record for record in lines.records if record["message"] == "login decided"]
    assert (record["outcome"], record["code"], record["entry"]) == (
        "deny",
        "user_flagged",
        "guard",
    )


def test_a_refusal_of_an_unregistered_application_is_logged_and_recorded(
    subject: Subject,
) -> None:
    subject.document = {"unregistered_applications": "refuse"}

    with log_lines() as lines, pytest.raises(LoginRefusedError, match=r"^access_denied: "):
        subject.handle(pre_token())

    assert subject.calls == ["PutItem"]
    [record] = [record for record in lines.records if record["message"] == "login decided"]
    assert record["code"] == "application_not_registered"


def test_an_account_that_was_confirmed_elsewhere_is_no_login_to_refuse(subject: Subject) -> None:
    subject.document = {"unregistered_applications": "refuse"}
    event = post_confirmation()

    assert subject.function.handle(event) == event


def test_without_the_plan_essentials_nobody_gets_what_a_rule_takes_away(subject: Subject) -> None:
    subject.rule(
        "limit",
        lambda login, effects: effects.remove_scope("a"),
        stage="token",
        writes=["access_token.scopes"],
    )

    with pytest.raises(LoginRefusedError, match=r"^access_denied: "):
        subject.handle(pre_token(version="1"))

    assert "TransactWriteItems" not in subject.calls


# The log --------------------------------------------------------------------------------------


def test_the_log_of_a_login_holds_no_personal_data(subject: Subject) -> None:
    def everything(login: Login, effects: Effects) -> None:
        effects.set_claim("id", "https://x/mail", login.user.email)
        effects.set_user_metadata("phone", login.user.phone_number)
        effects.warn("jane@example.com")

    subject.rule(
        "all", everything, reads=["user"], writes=["id_token.claims", "user.user_metadata"]
    )
    subject.rule("crash", lambda login, effects: login.user.email["x"], reads=["user.email"])
    subject.rule("tell", stage="after_login", reads=["user"])
    person = attributes(name="Jane Doe", phone_number="+390612345678")

    with log_lines() as lines:
        subject.handle(pre_token(user=person, metadata={"tenant": "secret-tenant"}))

    assert SUB in lines.text
    for personal in ("jane@", "Doe", "+3906", "secret-tenant", '"jane"'):
        assert personal not in lines.text


def test_the_log_says_how_each_entry_went(subject: Subject) -> None:
    subject.rule("guard", **GUARD)
    subject.rule("late", reads=["user.groups"])

    with log_lines() as lines:
        subject.handle(post_authentication())

    [record] = [record for record in lines.records if record["message"] == "login decided"]
    assert (record["outcome"], record["decision"]) == ("allow", "taken")
    assert record["deferred"] == {"late": "user.groups"}
    [entry] = record["entries"]
    assert (entry["entry"], entry["outcome"], entry["placement"]) == ("guard", "ok", "inline")
