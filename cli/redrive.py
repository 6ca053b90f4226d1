"""``cognito-rules redrive``: send dead letters back to their rule's queue.

A letter keeps its event id and the time of its event, so that deliver and the other system know it
again. It is deleted when its copy lies on the queue: a command that is cut off loses nothing.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress

from cli.chain_file import ChainFile
from cli.moments import End, OptionalBegin, is_within
from cli.people import People
from cli.rule_queues import RuleQueues, after_login_rule, after_login_rules
from cli.stack import DEFAULT_STACK, DeployedStack, StackName, one_line_errors
from cli.terminal import PROJECT, err, out, print_json, stop, table_of
from cognito_rules.chain import Chain
from cognito_rules.chain_terms import PackagedRules
from cognito_rules.consent import DEFAULT_CONSENT, consent
from cognito_rules.delivery import Fault, View, memory_key
from cognito_rules.fields import lookup
from cognito_rules.manifest import USER_DELETED, Manifest

# What letters say that did not come from deliver: SQS moved them, or the bus could not send them.
UNFINISHED, UNSENT = "unfinished", "unsent"
MALFORMED = "malformed"
_A_DAY = timedelta(days=1)

# What became of a letter, in the order in which it is shown.
SENT, LEFT, DOUBTFUL = "sent", "left", "needs_accept_duplicates"
NO_CONSENT, DELETED = "no_consent", "user_deleted"
_OUTCOMES = (SENT, NO_CONSENT, DELETED, DOUBTFUL, LEFT)

Counts = dict[str, dict[str, Counter[str]]]


@dataclass(frozen=True)
class Letter:
    """One dead letter: what is sent back, and what is known of how it came here."""

    rule: Manifest
    receipt: str
    message_id: str
    body: str
    facts: dict[str, str]

    @classmethod
    def of(cls, rule: Manifest, message: dict[str, Any]) -> Letter:
        """Return the letter in a message of the rule's dead-letter queue."""
        facts = {
            name: value.get("StringValue", "")
            for name, value in message.get("MessageAttributes", {}).items()
        }
        body = message["Body"]
        if "ERROR_CODE" in facts:  # the bus writes the whole event, where a queue gets a view
            facts = {"reason": UNSENT}
            body = _view_in(body, rule.name)
        return cls(rule, message["ReceiptHandle"], message["MessageId"], body, facts)

    @cached_property
    def view(self) -> View | None:
        """The view in the body; None when it is none."""
        try:
            return View.parse(self.body, {self.rule.name: self.rule})
        except Fault:
            return None

    @property
    def reason(self) -> str:
        """Why it lies here."""
        return self.facts.get("reason") or (UNFINISHED if self.view else MALFORMED)

    @property
    def login_id(self) -> str:
        """The id of its event."""
        return str(self.view.facts["event_id"]) if self.view else ""

    @property
    def occurred_at(self) -> str:
        """When its event happened."""
        return str(self.view.facts["occurred_at"]) if self.view else ""

    @property
    def is_deletion(self) -> bool:
        """Whether it asks the other system to forget the person, who is in no pool any more."""
        return self.view is not None and self.view.facts["type"] == USER_DELETED

    @property
    def entries(self) -> list[str]:
        """The entries of the chain that it is for."""
        return [delivery["entry"] for delivery in self.view.deliveries] if self.view else []

    @property
    def user_id(self) -> str | None:
        """The person; None where neither the rule nor deliver has to know who it is."""
        if self.view is not None and self.view.person is not None:
            return self.view.person
        deliveries = self.view.deliveries if self.view else ()
        found = (lookup(item["request"], ("login", "user", "user_id")) for item in deliveries)
        return next((user_id for user_id in found if isinstance(user_id, str)), None)

    @property
    def may_be_a_duplicate(self) -> bool:
        """Whether the other system may have the event, and would show it twice."""
        if self.is_deletion:
            return False
        kind = self.rule.drops_duplicates
        doubtful = (
            self.reason in ("uncertain", UNFINISHED) or self.facts.get("code") == "upstream_timeout"
        )
        if not doubtful or kind == "always":
            return False
        if kind == "never":
            return True
        # Not from when it was sent: of a letter that was sent back, that is the later time.
        return not is_within(self.occurred_at, datetime.now(UTC) - _A_DAY, None)


def _view_in(body: str, rule: str) -> str:
    try:
        return json.dumps(json.loads(body)["detail"]["views"][rule], separators=(",", ":"))
    except (ValueError, KeyError, TypeError):
        return body


@dataclass(frozen=True)
class Selection:
    """Which letters are meant."""

    reasons: Collection[str]
    login_ids: Collection[str]
    begin: datetime | None
    end: datetime | None

    def has(self, letter: Letter) -> bool:
        """Say whether a letter is meant; ``rejected`` stands for every rejection."""
        reasons = {letter.reason, letter.reason.partition(":")[0]}
        return (
            (not self.reasons or not reasons.isdisjoint(self.reasons))
            and (not self.login_ids or letter.login_id in self.login_ids)
            and is_within(letter.occurred_at, self.begin, self.end)
        )


class Redrive:
    """One run of the command. ``counts`` is rule -> reason -> what became of how many letters."""

    def __init__(
        self,
        stack: DeployedStack,
        chosen: Selection,
        *,
        at_most: int | None,
        doubtful_too: bool,
        chain: Chain | None,
    ) -> None:
        self.counts: Counts = defaultdict(lambda: defaultdict(Counter))
        self._stack = stack
        missing = f"{stack.name} is no stack of Cognito Rules."
        self._table = stack.output("SessionsTable", otherwise=missing)
        self.queues = RuleQueues(stack)
        self._chosen = chosen
        self._at_most = at_most
        self._doubtful_too = doubtful_too
        self._settings = (
            {e.id: (e.manifest.name, e.configuration) for e in chain.entries} if chain else {}
        )

    @property
    def sent(self) -> int:
        """How many letters were sent back."""
        return sum(count[SENT] for reasons in self.counts.values() for count in reasons.values())

    @property
    def is_full(self) -> bool:
        """Whether as many were sent back as were asked for."""
        return self._at_most is not None and self.sent >= self._at_most

    def run(self, rule: Manifest, dead_url: str, queue_url: str, *, dry: bool) -> Iterator[None]:
        """Read a rule's dead letters and send back what is meant; yields after each of them."""
        kept: dict[str, None] = {}
        try:
            for messages in self.queues.received(dead_url):
                kept |= dict.fromkeys(message["ReceiptHandle"] for message in messages)
                for message in messages:
                    letter = Letter.of(rule, message)
                    if self._chosen.has(letter) and not self.is_full:
                        outcome = LEFT if dry else self._settle(letter, dead_url, queue_url)
                        self.counts[rule.name][letter.reason][outcome] += 1
                        if outcome in (SENT, NO_CONSENT, DELETED):
                            del kept[letter.receipt]
                    yield
                if self.is_full:
                    return
        finally:
            self.queues.release(dead_url, kept)

    def _settle(self, letter: Letter, dead_url: str, queue_url: str) -> str:
        """Send a letter back, or drop it, or leave it; return what was done."""
        if letter.view is None:
            return LEFT
        if letter.may_be_a_duplicate and not self._doubtful_too:
            return DOUBTFUL
        outcome = self._obstacle(letter) or SENT
        if outcome == SENT:
            self._forget_rejection(letter)
            body = self._body(letter)
            self.queues.send(queue_url, body, replay_of=letter.message_id)
        self.queues.delete(dead_url, letter.receipt)
        return outcome

    def _obstacle(self, letter: Letter) -> str | None:
        """Return why the person must not be told of any more."""
        if letter.user_id is None or letter.is_deletion:
            return None
        facts = self._people.facts(letter.user_id)
        if facts is None:
            return DELETED
        purpose = letter.rule.purpose
        if purpose is None or DEFAULT_CONSENT[purpose] == "off":
            return None
        return NO_CONSENT if consent(purpose, facts) is False else None

    def _body(self, letter: Letter) -> str:
        """Return what is sent back: the letter, with settings of today where they were given.

        Who refused to be looked up since is told of without what was found then.
        """
        view = json.loads(letter.body)
        asked = letter.user_id if not letter.is_deletion else None
        facts = self._people.facts(asked) if asked else None
        refused = facts is not None and consent("enrichment", facts) is False
        for delivery in view["deliveries"]:
            rule, configuration = self._settings.get(delivery["entry"], (None, None))
            if rule == letter.rule.name:
                delivery["request"]["configuration"] = configuration
            if refused:
                delivery.pop("sources", None)
        return json.dumps(view, separators=(",", ":"))

    def _forget_rejection(self, letter: Letter) -> None:
        """Let deliver make a delivery again that it remembers as refused for good."""
        if not letter.reason.startswith("rejected:"):
            return
        for entry in letter.entries:
            with one_line_errors():
                try:
                    self._dynamodb.delete_item(
                        TableName=self._table,
                        Key={"pk": {"S": memory_key(entry, letter.login_id)}},
                        # Whoever was faster may have delivered it meanwhile.
                        ConditionExpression="contains(#data, :rejected)",
                        ExpressionAttributeNames={"#data": "data"},
                        ExpressionAttributeValues={":rejected": {"S": "rejected"}},
                    )
                except self._dynamodb.exceptions.ConditionalCheckFailedException:
                    continue

    @cached_property
    def _people(self) -> People:
        return People(self._stack)

    @cached_property
    def _dynamodb(self) -> Any:
        return self._stack.client("dynamodb")


def redrive(
    rule: Annotated[
        list[str] | None, typer.Option(help="Only letters of this rule; may be repeated.")
    ] = None,
    reason: Annotated[
        list[str] | None,
        typer.Option(
            help="Only letters with this reason, such as misconfigured, exhausted, rejected "
            "(of any code) or rejected:http_400; may be repeated."
        ),
    ] = None,
    login_id: Annotated[
        list[str] | None, typer.Option(help="Only letters of this event; may be repeated.")
    ] = None,
    begin: OptionalBegin = None,
    end: End = None,
    at_most: Annotated[
        int | None, typer.Option("--max", min=1, help="Send back no more than so many.")
    ] = None,
    accept_duplicates: Annotated[
        bool,
        typer.Option(
            "--accept-duplicates",
            help="Also what the other system may have already and would show twice.",
        ),
    ] = False,
    chain: Annotated[
        Path | None,
        typer.Option(
            show_default=False,
            help="Take the entries' settings from this chain document: for letters that lie here "
            "because of a setting.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count the letters, and send none.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    stack: StackName = DEFAULT_STACK,
) -> None:
    """Send dead letters back to their rule's queue, once what was wrong is repaired.

    Letters of people who are no longer in the pool, or who refused since, are dropped and counted.
    Exit code 0: done; 1: letters were left that ask for --accept-duplicates; 2: it could not be
    done.
    """
    rules = [after_login_rule(name) for name in rule or after_login_rules()]
    deployed = DeployedStack(stack)
    chosen = Selection(reason or (), login_id or (), begin, end)
    run = Redrive(
        deployed,
        chosen,
        at_most=at_most,
        doubtful_too=accept_duplicates,
        chain=ChainFile.read(chain).chain(PackagedRules(PROJECT)) if chain else None,
    )
    _send_back(run, rules, named=bool(rule), dry=dry_run)
    if as_json:
        print_json({"dry_run": dry_run, "sent": run.sent, "rules": _as_json(run.counts, dry_run)})
    else:
        _show(run.counts, dry_run)
    doubtful = sum(c[DOUBTFUL] for reasons in run.counts.values() for c in reasons.values())
    if doubtful:
        err.print(
            f"{doubtful} left: the other system may have them already, and would show them twice. "
            "--accept-duplicates sends them too.",
            highlight=False,
        )
        raise typer.Exit(1)


def _send_back(run: Redrive, rules: list[Manifest], *, named: bool, dry: bool) -> None:
    with Progress(console=err, transient=True, disable=not err.is_terminal) as progress:
        for manifest in rules:
            dead_url = run.queues.dead_letters_url(manifest.name)
            queue_url = run.queues.url(manifest.name)
            if dead_url is None or queue_url is None:
                if named:
                    stop(f"The stack has no queues for {manifest.name}: deploy it, or see --stack.")
                continue
            count = run.queues.count(dead_url)
            if count == 0 or run.is_full:
                continue
            task = progress.add_task(manifest.name, total=count)
            for _ in run.run(manifest, dead_url, queue_url, dry=dry):
                progress.advance(task)


def _as_json(counts: Counts, dry: bool) -> dict[str, Any]:
    return {
        rule: {
            reason: {"letters": count.total()} | ({} if dry else dict(count))
            for reason, count in sorted(reasons.items())
        }
        for rule, reasons in sorted(counts.items())
    }


def _show(counts: Counts, dry: bool) -> None:
    if not counts:
        out.print("There are no such dead letters.")
        return
    outcomes = [] if dry else [*_OUTCOMES]
    heads = [outcome.replace("_", " ") for outcome in outcomes]
    table = table_of("rule", "reason", "letters", *heads)
    for rule, reasons in sorted(counts.items()):
        for reason, count in sorted(reasons.items()):
            numbers = [str(count[outcome]) for outcome in outcomes]
            table.add_row(rule, reason, str(count.total()), *numbers)
    out.print(table)
