"""``make demo``: people sign in, the rules run, tokens and AWS credentials come out.

Every line that is printed with a mark is an expectation that was checked; one that does not hold
makes the exit code 1.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError
from rich.console import Console

from local.collector import Collector
from local.oidc_provider import OidcProvider
from local.server import EmbeddedAws
from local.sign_in import App, SignInRefused, Tokens
from local.stack import Person, Stack

NAMESPACE = "https://example.com/"
DELIVERY_SECONDS = 90.0

# The demo has to hold on every day of the week, so the closed days are the ones around today.
CHAIN = """
[applications.{web}]
name = "portal"

[applications.{weekday}]
name = "timesheets"

[[rules]]
rule = "disable_flagged_users"
when = {{ applications = ["*"] }}
placement = "inline"

[[rules]]
rule = "weekday_access"
when = {{ applications = ["timesheets"] }}
configuration = {{ days = {open_days} }}

[[rules]]
rule = "require_group"
when = {{ applications = ["portal"] }}
configuration = {{ groups = ["staff"] }}

[[rules]]
rule = "default_user_metadata"
[rules.configuration]
namespace = "{namespace}"
defaults = {{ color = "blue" }}
claims = {{ color = "favorite_color" }}

[[rules]]
rule = "customize_token_claims_and_scopes"
when = {{ applications = ["portal"] }}
[rules.configuration]
namespace = "{namespace}"
id_token_claims = {{ plan = "$user.app_metadata.plan" }}
scopes = {{ mode = "add", values = ["orders/read"] }}

[[rules]]
rule = "map_aws_role"
when = {{ applications = ["portal"] }}

[[rules]]
rule = "aws_session_tags"
when = {{ applications = ["portal"] }}

[[rules]]
rule = "record_events_splunk"
"""

console = Console(highlight=False)


class Expectations:
    """Prints what is expected and whether it held; remembers what did not."""

    def __init__(self) -> None:
        self.failed: list[str] = []
        self.held = 0

    def scene(self, title: str) -> None:
        """Begin a part of the demo."""
        console.print(f"\n[bold]{title}[/]")

    def expect(self, text: str, holds: bool, seen: Any = None) -> None:
        """Print one expectation; ``seen`` is shown where it says more than the text."""
        mark = "[green]✓[/]" if holds else "[red]✗[/]"
        shown = f"  [dim]{seen}[/]" if seen is not None else ""
        console.print(f"  {mark} {text}{shown}", soft_wrap=True)
        if holds:
            self.held += 1
        else:
            self.failed.append(text)

    def refused(self, text: str, sign_in: Callable[[], Tokens], message: str) -> None:
        """Expect that a sign-in is refused, with a message that contains ``message``."""
        try:
            sign_in()
        except SignInRefused as refusal:
            self.expect(text, message in refusal.message, refusal.message)
        else:
            self.expect(text, False, "it was let in")


def main() -> int:
    """Run the demo and return its exit code."""
    with ExitStack() as resources:
        collector = resources.enter_context(Collector.started())
        oidc = resources.enter_context(OidcProvider.started())
        console.print("Starting an embedded AWS, with IAM enforced, on this machine.")
        aws = resources.enter_context(EmbeddedAws.started())
        began = time.monotonic()
        parameters = {"SplunkEndpoint": collector.url}
        stack = Stack.deployed(aws, parameters=parameters, say=console.print)
        console.print(f"The stack is deployed ({time.monotonic() - began:.0f} s).")
        seen = Demo.prepared(stack, collector, oidc).run()
    if seen.failed:
        console.print(f"\n[red]{len(seen.failed)} expectations did not hold.[/]")
        return 1
    console.print(f"\n[green]All {seen.held} expectations held.[/]")
    return 0


@dataclass
class Demo:
    """The scenes of the demo, on a stack that holds its people, applications and chain."""

    stack: Stack
    collector: Collector
    weekday: App
    people: dict[str, Person]
    seen: Expectations = field(default_factory=Expectations)

    @classmethod
    def prepared(cls, stack: Stack, collector: Collector, oidc: OidcProvider) -> Demo:
        """Put people, applications and the chain into the stack."""
        stack.aws.client("secretsmanager").put_secret_value(
            SecretId=stack.outputs["SplunkSecret"], SecretString=collector.token
        )
        oidc.set_person("4711", {"email": "fred@partner.example", "name": "Fred"})
        stack.add_identity_provider("Partner", oidc)
        weekday = stack.application("timesheets", providers=["COGNITO", "Partner"])
        today = datetime.now(UTC)
        closed = {(today + timedelta(days=n)).strftime("%a").lower() for n in (-1, 0, 1)}
        week = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
        stack.use_chain(
            CHAIN.format(
                web=stack.web.client_id,
                weekday=weekday.client_id,
                open_days=json.dumps([day for day in week if day not in closed]),
                namespace=NAMESPACE,
            )
        )
        profile = {"plan": "gold", "project": "apollo", "cost_center": "42"}
        developers = cls.group_of(stack, "developer")
        people = (
            stack.person("jane", groups=["staff", developers], app_metadata=profile),
            stack.person("mallory", groups=["staff"], app_metadata={"deleted": True}),
            stack.person("oscar"),
        )
        return cls(stack, collector, weekday, {person.name: person for person in people})

    def run(self) -> Expectations:
        """Play all scenes."""
        tokens = self.an_allowed_login()
        self.aws_credentials(tokens)
        self.refusals()
        self.a_first_federated_login()
        self.a_refresh_after_a_role_was_taken_away(tokens)
        self.events_for_splunk()
        return self.seen

    @staticmethod
    def group_of(stack: Stack, role: str) -> str:
        """Return the group that carries the role whose name ends like this."""
        return next(group for group, arn in stack.role_of_group.items() if arn.endswith(role))

    def sign_in(self, name: str, app: App | None = None) -> Tokens:
        """Sign somebody in with SRP."""
        person = self.people[name]
        return (app or self.stack.web).srp(person.username, person.password)

    def an_allowed_login(self) -> Tokens:
        """Claims, scopes and a role come out."""
        self.seen.scene("Jane signs in with SRP")
        tokens = self.sign_in("jane")
        claims = tokens.id_claims
        plan = claims.get(f"{NAMESPACE}plan")
        self.seen.expect("the ID token has a rule's claim, from her profile", plan == "gold", plan)
        color = claims.get(f"{NAMESPACE}favorite_color")
        stored = self.stack.profile(claims["sub"])
        kept = stored.get("user_metadata") == {"color": "blue"}
        self.seen.expect("a default was stored, and shown", color == "blue" and kept, color)
        scopes = tokens.access_claims["scope"]
        self.seen.expect("the access token has an added scope", "orders/read" in scopes, scopes)
        role = claims.get("cognito:preferred_role")
        granted = self.stack.role_of_group[self.group_of(self.stack, "developer")]
        self.seen.expect("her group carries an AWS role", role == granted, role)
        count = stored.get("logins_count")
        self.seen.expect("two triggers counted one login", count == 1, count)
        return tokens

    def aws_credentials(self, tokens: Tokens) -> None:
        """They open what the granted role and her session tags open, and nothing else."""
        self.seen.scene("Jane's AWS credentials")
        credentials = self.stack.credentials(tokens)
        bucket, own = self.stack.outputs["ExampleBucket"], credentials["IdentityId"]
        mine = self.stack.aws.client("s3", credentials)
        for text, prefix, expected in (
            ("read her own files", f"users/{own}", "content"),
            ("read her project's files, by session tag", "projects/apollo", "content"),
            ("do not read another person's files", "users/somebody-else", "AccessDenied"),
            ("do not read another project's files", "projects/zeus", "AccessDenied"),
        ):
            key = f"{prefix}/file"
            self.stack.aws.client("s3").put_object(Bucket=bucket, Key=key, Body=b"content")
            try:
                answer = mine.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
            except ClientError as error:
                answer = error.response["Error"]["Code"]
            self.seen.expect(f"they {text}", answer == expected, answer)
        administrator = self.stack.role_of_group[self.group_of(self.stack, "administrator")]
        try:
            self.stack.credentials(tokens, role_arn=administrator)
            answer = "credentials"
        except ClientError as error:
            answer = error.response["Error"]["Code"]
        self.seen.expect(
            "the administrator's role is not hers to take",
            answer == "NotAuthorizedException",
            answer,
        )

    def refusals(self) -> None:
        """Each with the text that the person reads."""
        self.seen.scene("Who is refused, and what they read")
        self.seen.refused(
            "an application that is closed today",
            lambda: self.sign_in("jane", self.weekday),
            "access_denied: This app is only available during the week.",
        )
        self.seen.refused(
            "a flagged person, who is not told why",
            lambda: self.sign_in("mallory"),
            "access_denied: Access denied.",
        )
        self.seen.refused(
            "somebody without the group, at the token stage",
            lambda: self.sign_in("oscar"),
            "access_denied: You do not have access to this application.",
        )

    def a_first_federated_login(self) -> None:
        """Cognito calls no PostAuthentication at it: the chain decides all the same."""
        self.seen.scene("Fred comes from a partner's OpenID provider, for the first time")
        self.stack.aws.forget_trigger_calls()
        self.seen.refused(
            "the application that is closed today refuses him too",
            lambda: self.weekday.federated("Partner", "4711"),
            "access_denied: This app is only available during the week.",
        )
        called = {call["trigger"] for call in self.stack.aws.trigger_calls()}
        self.seen.expect("without PostAuthentication", "PostAuthentication" not in called)

    def a_refresh_after_a_role_was_taken_away(self, tokens: Tokens) -> None:
        """Rules run at every refresh."""
        self.seen.scene("Jane leaves the developers and refreshes her tokens")
        self.stack.remove_from_group(
            self.people["jane"].username, self.group_of(self.stack, "developer")
        )
        refreshed = self.stack.web.refresh_by_initiate_auth(str(tokens.refresh_token))
        roles = refreshed.id_claims.get("cognito:roles") or []
        self.seen.expect("the role is gone", roles == [], roles)
        granted = refreshed.id_claims.get("aws_tag_granted")
        self.seen.expect("and so is the tag that its trust policy asks for", granted == ":none:")
        plan = refreshed.id_claims.get(f"{NAMESPACE}plan")
        self.seen.expect("what the other rules give is still there", plan == "gold", plan)

    def events_for_splunk(self) -> None:
        """Once for each login, late rather than never, and none for a login without tokens."""
        self.seen.scene("Splunk, whose collector fails twice")
        web = self.stack.web.client_id
        self._wait_for(lambda: self.messages("oscar", web) and self.messages("jane", web))
        reports = self.stack.application("reports")
        self.collector.failures_left = 2
        self.sign_in("jane", reports)
        self._wait_for(lambda: self.messages("jane", reports.client_id))
        self.seen.expect("the collector did fail", self.collector.failures_left == 0)
        time.sleep(2)  # for a second event, which must not come
        arrived = self.messages("jane", reports.client_id)
        self.seen.expect("Jane's login arrived once", arrived == ["Login"], arrived)
        refused = self.messages("oscar", web)
        self.seen.expect(
            "the login that the token stage refused is told as refused, never as a login",
            refused == ["LoginDenied"],
            refused,
        )

    def messages(self, name: str, client_id: str) -> list[str]:
        """Return what the collector was told of somebody at an application."""
        person = self.people[name].user_id
        events = [event["event"] for event in self.collector.events]
        return [
            event["message"]
            for event in events
            if event.get("userId") == person and event.get("clientId") == client_id
        ]

    @staticmethod
    def _wait_for(condition: Callable[[], object]) -> None:
        ends = time.monotonic() + DELIVERY_SECONDS
        while not condition() and time.monotonic() < ends:
            time.sleep(0.2)
