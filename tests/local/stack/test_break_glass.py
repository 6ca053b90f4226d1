"""Each outage in docs/operations.md, and what it does to real sign-ins.

The page's table is the expectation: it is read, every row is rehearsed in every way that it names,
and every cell is compared. Outages are made by the embedded AWS (``local/aws/faults.py``).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from cognito_rules.request_context import sign_context
from local.chain import restart_triggers
from local.collector import Collector
from local.server import PROJECT
from local.sign_in import App, SignInRefused, Tokens
from local.stack import Person, Stack
from tests.local.stack.conftest import CHAIN, STAFF
from tests.local.stack.patience import let_in, make_person
from tests.local.stack.rule_functions import restart
from tests.moments import wait_for

pytestmark = pytest.mark.timeout(900)

NAMESPACE = "https://example.com/"
OFFICE = "203.0.113.150"
REFUSE_UNRECORDED = 'on_commit_failure = "refuse"'
# Application -> its entry of the chain; each application meets one kind of rule.
ENTRIES = {
    "guard inline": f'rule = "require_group"\nplacement = "inline"\n'
    f'configuration = {{ groups = ["{STAFF}"] }}',
    "guard that reads the profile": 'rule = "disable_flagged_users"\nplacement = "inline"',
    "guard of signed addresses": 'rule = "corporate_network_only"\nplacement = "inline"\n'
    'configuration = { networks = ["203.0.113.128/26"] }',
    "guard in a function": f'rule = "require_group"\nconfiguration = {{ groups = ["{STAFF}"] }}',
    "enricher in a function": 'rule = "add_email_to_access_token"\n'
    f'configuration = {{ namespace = "{NAMESPACE}", hash = "hmac_sha256" }}',
}
REFRESH, TOLD = "refresh", "other systems hear"
TOLD_OF = "guard inline"
NEW_ENVIRONMENT = "in a new environment"
# What is down -> the fault of that name; ``{stack}`` is the stack's name.
FAULTS = {
    "DynamoDB": "dynamodb",
    "Secrets Manager": "secretsmanager",
    "AppConfig": "appconfig",
    "EventBridge": "events",
    "SQS": "sqs",
    "the guard's function": "lambda:{stack}-rule-require_group",
    "the enricher's function": "lambda:{stack}-rule-add_email_to_access_token",
    "all rule functions": "lambda:{stack}-rule-*",
    "the login function": "lambda:{stack}-login",
}
# Rules of the chain that read a secret.
SECRETIVE = ("add_email_to_access_token", "record_events_splunk")
# Deliveries that failed come again after 30 s and then 60 s.
PATIENCE_SECONDS = 150.0
# The order of the rehearsal. What is repeated later must not come into an outage that sets it aside
# (that one is first), and should not come into one that puts it off again (those are next).
ORDER = ("dead letter", "never", "perhaps", "after it", "at once")
# Time enough for what must not arrive.
NOT_YET_SECONDS = 1.0


@dataclass(frozen=True)
class Outage:
    """One row of the page's table, in one of the ways that it names."""

    what: str
    mode: str
    expected: dict[str, str]

    @property
    def part(self) -> str:
        """What is down, without the circumstances."""
        return self.what.partition(",")[0]

    def __str__(self) -> str:
        return f"{self.what} {self.mode}".strip()


def outages() -> list[Outage]:
    """Return the rows of the table in docs/operations.md, once for each mode."""
    page = (PROJECT / "docs/operations.md").read_text(encoding="utf-8")
    table = page.partition("<!-- outages -->\n")[2].partition("<!-- /outages -->")[0]
    header, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.split("\n") if line
    ]
    return [
        Outage(row[0].replace("`", ""), mode.strip(), dict(zip(header[2:], row[2:], strict=True)))
        for row in rows
        for mode in row[1].split(",")
    ]


OUTAGES = outages()


@dataclass
class Rehearsal:
    """Signs people in at the five applications while something is down."""

    stack: Stack
    collector: Collector
    apps: dict[str, App]
    key: str
    new_person: Callable[[], Person]
    before: Tokens = field(init=False)  # of somebody who signed in before anything was down

    def document(self, first: str = "") -> str:
        """Return the chain: each application with its own entry, and Splunk for one of them."""
        applications = "".join(
            f'[applications.{app.client_id}]\nname = "{name}"\n' for name, app in self.apps.items()
        )
        rules = "".join(
            f'[[rules]]\nid = "entry-{number}"\nwhen = {{ applications = ["{name}"] }}\n{entry}\n'
            for number, (name, entry) in enumerate(ENTRIES.items())
        )
        told = (
            f'[[rules]]\nrule = "record_events_splunk"\nwhen = {{ applications = ["{TOLD_OF}"] }}\n'
        )
        return f"{first}\n{applications}{rules}{told}"

    def run(self, outage: Outage) -> dict[str, str]:
        """Return what each column says of this outage, but for what is told later."""
        person = self.new_person()
        newcomer = self.new_person() if NEW_ENVIRONMENT in outage.what else person
        with self.stack.aws.outage(self._faults(outage)):
            if NEW_ENVIRONMENT in outage.what:
                self._start_anew(SECRETIVE if outage.part == "Secrets Manager" else ())
                # A first call could be late for what it has to load, whatever is down.
                self._outcome("enricher in a function", newcomer)
            seen, told_at = {}, 0.0
            for name in self.apps:
                outcome = partial(self._outcome, name, person)
                seen[name] = _lasting(outcome, outage.expected[name])
                told_at = time.monotonic() if name == TOLD_OF else told_at
            seen[REFRESH] = _lasting(self._refresh, outage.expected[REFRESH])
            if outage.expected[TOLD] in ("after it", "dead letter", "never"):
                time.sleep(max(0.0, told_at + NOT_YET_SECONDS - time.monotonic()))
                assert not self.has_heard_of(person), f"{outage}: told at once"
        return seen | {"person": person.user_id}

    def warm_up(self) -> None:
        """Sign people in until every function has loaded what it needs; keep a refresh token."""
        for name in self.apps:
            wait_for(partial(self._lets_in, name), seconds=120)
        self.before = let_in(self.apps["guard in a function"], self.new_person())

    def _lets_in(self, name: str) -> bool:
        return self._outcome(name, self.new_person()) == "in"

    def _faults(self, outage: Outage) -> dict[str, str]:
        if not outage.mode:
            return {}
        name = self.stack.login_function.removesuffix("-login")
        return {FAULTS[outage.part].format(stack=name): outage.mode}

    def _start_anew(self, rules: Iterable[str]) -> None:
        """Start new environments, which know no secret and no chain: the triggers', and these."""
        restart_triggers(self.stack.aws, self.stack.outputs)
        for rule in rules:
            restart(self.stack, rule)

    def _sign_in(self, name: str, person: Person) -> Tokens:
        app = self.apps[name]
        if "addresses" not in name:
            return app.password(person.username, person.password)
        metadata = sign_context(
            self.key, client_id=app.client_id, username=person.user_id, ip=OFFICE, at=time.time()
        )
        return app.srp(person.username, person.password, client_metadata=metadata)

    def _outcome(self, name: str, person: Person) -> str:
        try:
            tokens = self._sign_in(name, person)
        except SignInRefused as refusal:
            return _refused(refusal)
        without = (
            name.startswith("enricher") and NAMESPACE + "email_hash" not in tokens.access_claims
        )
        return "in, without it" if without else "in"

    def _refresh(self) -> str:
        token = str(self.before.refresh_token)
        try:
            self.apps["guard in a function"].refresh_by_initiate_auth(token)
        except SignInRefused as refusal:
            return _refused(refusal)
        return "in"

    def has_heard_of(self, person: Person | str) -> bool:
        """Say whether the collector has the login of a person at the application of Splunk."""
        user_id = person if isinstance(person, str) else person.user_id
        client_id = self.apps[TOLD_OF].client_id
        return any(
            event["event"].get("userId") == user_id and event["event"]["clientId"] == client_id
            for event in list(self.collector.events)
        )


def _lasting(outcome: Callable[[], str], expected: str) -> str:
    """Return an outcome, the second one if the first is another than expected.

    An outage does the same to both; a function that answers late, since this machine has other
    things to do, does not.
    """
    first = outcome()
    return first if first == expected else outcome()


def _refused(refusal: SignInRefused) -> str:
    """Return the refusal as the page writes it: with the public code, or else Cognito's."""
    public = re.search(r"failed with error (\w+): ", refusal.message)
    return f"refused: `{public[1] if public else refusal.code}`"


@pytest.fixture(scope="module")
def rehearsal(stack: Stack, collector: Collector) -> Iterator[Rehearsal]:
    """Five applications, and a chain with one kind of rule for each."""
    secrets = stack.aws.client("secretsmanager")
    key = secrets.get_secret_value(SecretId=stack.outputs["RequestContextKeySecret"])
    numbers = iter(range(10_000))
    made = Rehearsal(
        stack=stack,
        collector=collector,
        apps={name: stack.application(name) for name in ENTRIES},
        key=key["SecretString"],
        new_person=lambda: make_person(stack, f"glass{next(numbers)}", groups=[STAFF]),
    )
    stack.use_chain(made.document())
    made.warm_up()
    yield made
    stack.use_chain(CHAIN)


@pytest.fixture(scope="module")
def seen(rehearsal: Rehearsal) -> dict[str, dict[str, str]]:
    """What each outage did, told by its name; outages are over when this returns."""
    found: dict[str, dict[str, str]] = {}
    for outage in sorted(OUTAGES, key=lambda outage: ORDER.index(outage.expected[TOLD])):
        insists = REFUSE_UNRECORDED in outage.what
        if insists:
            rehearsal.stack.use_chain(rehearsal.document(REFUSE_UNRECORDED))
        found[str(outage)] = rehearsal.run(outage)
        if insists:
            rehearsal.stack.use_chain(rehearsal.document())
    ends = time.monotonic() + PATIENCE_SECONDS
    due = [
        found[str(outage)]["person"]
        for outage in OUTAGES
        if outage.expected[TOLD] in ("at once", "after it")
    ]
    while time.monotonic() < ends and not all(map(rehearsal.has_heard_of, due)):
        time.sleep(0.2)
    return found


def dead_letters(stack: Stack) -> str:
    """Return the bodies of what Splunk's dead-letter queue holds."""
    queue = stack.outputs["RecordEventsSplunkDeadLetterQueue"]
    client, bodies = stack.aws.client("sqs"), ""
    while messages := client.receive_message(
        QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=5
    ).get("Messages"):
        bodies += "".join(message["Body"] for message in messages)
    return bodies


@pytest.mark.parametrize("outage", OUTAGES, ids=str)
def test_an_outage_does_what_the_page_says(
    rehearsal: Rehearsal, seen: dict[str, dict[str, str]], outage: Outage
) -> None:
    did: dict[str, Any] = dict(seen[str(outage)])
    person = did.pop("person")
    expected = dict(outage.expected)
    told = expected.pop(TOLD)

    assert did == expected
    if told != "perhaps":
        assert rehearsal.has_heard_of(person) == (told in ("at once", "after it"))
    if told == "dead letter":
        assert person in dead_letters(rehearsal.stack)


def test_every_part_that_can_be_down_is_in_the_table() -> None:
    assert {outage.part for outage in OUTAGES} == {"nothing", *FAULTS}


def test_after_the_outages_everybody_gets_in_again(
    rehearsal: Rehearsal, seen: dict[str, dict[str, str]]
) -> None:
    nothing = Outage("nothing", "", dict(OUTAGES[0].expected) | {TOLD: "at once"})

    did = rehearsal.run(nothing)

    del did["person"]
    assert did == {name: cell for name, cell in nothing.expected.items() if name != TOLD}
