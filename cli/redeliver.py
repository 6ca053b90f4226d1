"""``cognito-rules redeliver``: tell a rule of logins from before it was there.

The bus's archive is replayed to a subscription and a queue that are made for this run and removed
after it, so no other rule hears of anything twice. What comes out is made into views of the one
rule here and goes to its queue, as the login function would have had them sent.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.chain_file import ChainFile
from cli.moments import Begin, End, is_within
from cli.people import People
from cli.published import Published
from cli.rule_queues import RuleQueues, after_login_rule
from cli.rules import manifests
from cli.stack import DEFAULT_STACK, DeployedStack, StackName, one_line_errors
from cli.terminal import PROJECT, err, out, print_json, stop, table_of
from cognito_rules.chain import Entry
from cognito_rules.chain_terms import PackagedRules
from cognito_rules.manifest import Manifest

SENT, DELETED, UNREADABLE = "sent", "user_deleted", "unreadable"
_LATEST = timedelta(days=1)
_ENDED = {"COMPLETED": True, "FAILED": False, "CANCELLED": False}


@dataclass
class Replay:
    """A replay of the stack's archive into a queue of its own.

    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-replay-archived-event.html
    """

    stack: DeployedStack
    queues: RuleQueues
    patience: int
    name: str = field(default_factory=lambda: f"redeliver-{secrets.token_hex(4)}")

    def details(self, like: str, begin: datetime, end: datetime) -> Generator[dict[str, Any]]:
        """Yield the details of archived events: all of a window, and some that happened after it.

        ``like`` is the queue whose encryption is taken over. All that was made is removed at the
        end, also when the caller goes away before.
        """
        bus, archive = self._archive()
        events = self.stack.client("events")
        with one_line_errors(), contextlib.ExitStack() as clean_up:
            queue_url = self.queues.make(f"{self.stack.name}-{self.name}", like=like)
            clean_up.callback(self.queues.remove, queue_url)
            bus_name = bus.rpartition("/")[2]
            rule_arn = self._subscribe(events, bus_name, queue_url, clean_up)
            time.sleep(self.patience)  # a new subscription may take a moment to hear
            events.start_replay(
                ReplayName=self.name,
                EventSourceArn=archive,
                EventStartTime=begin,
                # What could not be announced at once was archived later than it happened.
                EventEndTime=min(end + _LATEST, datetime.now(UTC)),
                Destination={"Arn": bus, "FilterArns": [rule_arn]},
            )
            clean_up.callback(self._cancel, events)
            yield from self._drained(events, queue_url)

    def _archive(self) -> tuple[str, str]:
        """Return the ARNs of the bus and of its archive."""
        with one_line_errors():
            events = self.stack.client("events")
            try:
                found = events.describe_archive(ArchiveName=self.stack.name)
            except events.exceptions.ResourceNotFoundException:
                stop(f"There is no archive {self.stack.name}: nothing is kept to be sent again.")
        return str(found["EventSourceArn"]), str(found["ArchiveArn"])

    def _subscribe(
        self, events: Any, bus: str, queue_url: str, clean_up: contextlib.ExitStack
    ) -> str:
        name = f"{self.stack.name}-{self.name}"
        pattern = {"source": ["cognito.rules"], "replay-name": [self.name]}
        made = events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps(pattern))
        clean_up.callback(events.delete_rule, Name=name, EventBusName=bus)
        queue_arn = self.queues.admit(queue_url, made["RuleArn"])
        target = {"Id": "queue", "Arn": queue_arn, "InputPath": "$.detail"}
        events.put_targets(Rule=name, EventBusName=bus, Targets=[target])
        clean_up.callback(events.remove_targets, Rule=name, EventBusName=bus, Ids=["queue"])
        return str(made["RuleArn"])

    def _drained(self, events: Any, queue_url: str) -> Iterator[dict[str, Any]]:
        while True:
            state = events.describe_replay(ReplayName=self.name)
            # Asked before the queue is emptied: what a replay that has ended sent is on its way.
            ended = _ENDED.get(state["State"])
            for messages in self.queues.received(queue_url, patience=self.patience):
                for message in messages:
                    yield json.loads(message["Body"])
                    self.queues.delete(queue_url, message["ReceiptHandle"])
            if ended is False:
                stop(f"The replay ended as {state['State']}: {state.get('StateReason', '')}")
            if ended:
                return

    def _cancel(self, events: Any) -> None:
        if events.describe_replay(ReplayName=self.name)["State"] in ("STARTING", "RUNNING"):
            events.cancel_replay(ReplayName=self.name)


def redeliver(
    rule: Annotated[
        str, typer.Argument(metavar="RULE", help="An after_login rule.", show_default=False)
    ],
    begin: Begin,
    end: End = None,
    chain: Annotated[
        Path,
        typer.Option(
            show_default="chain.toml",
            help="The chain document that says how the rule is set up.",
        ),
    ] = PROJECT / "chain.toml",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what would be sent, and send nothing.")
    ] = False,
    patience: Annotated[
        int,
        typer.Option(min=1, max=20, help="Seconds to wait for the bus after each step."),
    ] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    stack: StackName = DEFAULT_STACK,
) -> None:
    """Tell a rule of logins from before it was there, out of the bus's archive.

    It hears what it reads and what was published to other rules then; other fields are unknown.
    Consent is that of today. An event that the rule was delivered before is not delivered again.
    """
    manifest = after_login_rule(rule)
    entries = _entries(manifest, chain)
    deployed = DeployedStack(stack)
    people, queues = People(deployed), RuleQueues(deployed)
    queue_url = queues.url(rule)
    if queue_url is None:
        stop(f"The stack has no queue for {rule}: deploy it, or see --stack.")
    end = end or datetime.now(UTC)
    if begin >= end:
        stop("--from must lie before --to.")
    counts: Counter[str] = Counter()
    rules = {known.name: known for known in manifests()}
    replay = Replay(deployed, queues, patience)
    replayed = contextlib.closing(replay.details(queue_url, begin, end))
    with err.status("Replaying the archive"), replayed as details:
        for detail in details:
            if not is_within(str(detail.get("occurred_at", "")), begin, end):
                continue
            view = _view(detail, rules, entries, people, counts)
            if view is not None and not dry_run:
                queues.send(queue_url, json.dumps(view, separators=(",", ":")), replay=replay.name)
    _show(counts, rule, dry_run=dry_run, as_json=as_json)


def _entries(manifest: Manifest, path: Path) -> list[Entry]:
    """Return the entries of a rule that are on."""
    chain = ChainFile.read(path).chain(PackagedRules(PROJECT))
    on = [e for e in chain.entries if e.manifest.name == manifest.name and e.mode == "enforce"]
    if not on:
        stop(f"{path} has no entry of {manifest.name} that is on: switch it on, or give --chain.")
    return on


def _view(
    detail: dict[str, Any],
    rules: dict[str, Manifest],
    entries: list[Entry],
    people: People,
    counts: Counter[str],
) -> dict[str, Any] | None:
    """Return the rule's view of an event, None when it has none; counts what becomes of entries."""
    try:
        published = Published.by(detail, rules)
    except (ValueError, KeyError, TypeError, AttributeError):
        counts[UNREADABLE] += 1
        return None
    person = people.facts(published.user_id) if published.user_id else {}
    deliveries = []
    for entry in entries:
        outcome = DELETED if person is None else published.obstacle(entry, person)
        counts[outcome or SENT] += 1
        if outcome is None:
            deliveries.append(published.delivery(entry))
    return published.view(entries[0].manifest.name, deliveries) if deliveries else None


def _show(counts: Counter[str], rule: str, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_json({"rule": rule, "dry_run": dry_run, "deliveries": dict(counts)})
        return
    if not counts:
        out.print("The archive holds no event of that time.")
        return
    table = table_of("deliveries", "number")
    for outcome, number in sorted(counts.items()):
        shown = "to be sent" if dry_run and outcome == SENT else outcome.replace("_", " ")
        table.add_row(shown, str(number))
    out.print(table)
