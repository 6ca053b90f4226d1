"""Write docs/costs.md: what a million logins cost, with the arithmetic.

Counts come from docs/charges.json (``python -m bench.charges``), memory sizes and what stands in
the stack from template.yaml, prices and assumptions from tools/prices.toml, the words from
tools/costs.md.template.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from string import Template
from typing import Any

from cognito_rules.runner import MAX_AT_ONCE

PAGE = Path("docs/costs.md")
CHARGES = Path("docs/charges.json")
PRICES = Path("tools/prices.toml")
TEMPLATE = Path("tools/costs.md.template")
# Placement, rules, after_login rules of the chain whose arithmetic the page spells out.
EXAMPLE = ("inline", 10, 0)
USED = (
    "Lambda calls",
    "GB-seconds",
    "GB restored",
    "reads",
    "writes",
    "events",
    "SQS requests",
    "log KB",
)
MILLION = 1_000_000
_KB, _GB = 1024, 1024**3
_SECONDS_A_MONTH = 365 / 12 * 24 * 3600

Row = dict[str, Any]


@dataclass
class Quantities:
    """What one login, or one refresh, uses of what is charged for."""

    requests: float = 0.0
    gb_seconds: float = 0.0
    restored_gb: float = 0.0
    read_units: float = 0.0
    write_units: float = 0.0
    events: float = 0.0
    queue_requests: float = 0.0
    log_bytes: float = 0.0

    def dollars(self, prices: Row) -> dict[str, float]:
        """Return the price of a million of them, by service."""
        each = {
            "Lambda": self.requests * prices["lambda"]["request"]
            + self.gb_seconds * prices["lambda"]["gb_second"]
            + self.restored_gb * prices["lambda"]["snapstart_restored_gb"],
            "DynamoDB": self.read_units * prices["dynamodb"]["read_unit"]
            + self.write_units * prices["dynamodb"]["write_unit"],
            "EventBridge": self.events * prices["events"]["event_of_64_kb"],
            "SQS": self.queue_requests * prices["sqs"]["request_of_64_kb"],
            "Logs": self.log_bytes / _GB * prices["logs"]["ingested_gb"],
        }
        return {service: MILLION * price for service, price in each.items()}


@dataclass
class Costs:
    """Counts, prices and the template of one checkout."""

    root: Path
    charges: Row = field(init=False)
    prices: Row = field(init=False)

    def __post_init__(self) -> None:
        self.charges = json.loads((self.root / CHARGES).read_text(encoding="utf-8"))
        self.prices = tomllib.loads((self.root / PRICES).read_text(encoding="utf-8"))

    @cached_property
    def template(self) -> Row:
        """template.yaml as it is written."""
        from cfnlint.decode import decode

        template, problems = decode(str(self.root / "template.yaml"))
        if problems:
            raise ValueError(f"template.yaml: {problems[0]}")
        read: Row = template
        return read

    @property
    def assumed(self) -> Row:
        """The assumptions of tools/prices.toml."""
        assumed: Row = self.prices["assumed"]
        return assumed

    def memory_gb(self, logical_id: str | None = None) -> float:
        """Return the memory of a function of the template, or that which Globals gives."""
        properties = self.template["Globals"]["Function"]
        if logical_id is not None:
            properties = properties | self.template["Resources"][logical_id]["Properties"]
        return float(properties["MemorySize"] / 1024)

    def quantities(self, row: Row, *, kind: str = "login") -> Quantities:
        """Return what one login, or ``refresh``, of a counted chain uses."""
        counted, assumed, used = row[kind], self.assumed, Quantities()
        inline = row["rules"] if row["placement"] == "inline" else 0
        waves = math.ceil(counted["invokes"] / MAX_AT_ONCE)
        login_ms = (
            counted["table_calls"] * assumed["table_call_ms"]
            + counted["triggers"] * assumed["trigger_ms"]
            + inline * assumed["inline_rule_ms"]
            + waves * assumed["invoke_ms"]
        )
        login_gb = self.memory_gb("LoginFunction")
        used.requests = counted["triggers"]
        used.gb_seconds = login_gb * login_ms / 1000
        used.restored_gb = counted["triggers"] * assumed["cold_share"] * login_gb
        used.read_units = counted["read_units"]
        used.write_units = counted["write_units"]
        used.log_bytes = counted["log_bytes"] + counted["triggers"] * assumed["platform_bytes"]
        rule_log = self.charges["rule"]["log_bytes"]
        self._add_calls(used, counted["invokes"], assumed["rule_ms"], rule_log)
        if kind == "login" and row["after_login"]:
            self._add_telling(used, row)
        return used

    def _add_telling(self, used: Quantities, row: Row) -> None:
        announced, delivery, assumed = row["announced"], self.charges["delivery"], self.assumed
        rules = row["after_login"]
        self._add_calls(used, 1, assumed["announce_ms"], announced["log_bytes"])
        used.events += math.ceil(announced["event_bytes"] / (64 * _KB))
        used.queue_requests += (
            rules * assumed["sqs_requests"] * math.ceil(delivery["message_bytes"] / (64 * _KB))
        )
        self._add_calls(used, rules, assumed["deliver_ms"], delivery["log_bytes"])
        self._add_calls(used, rules, assumed["telling_rule_ms"], self.charges["rule"]["log_bytes"])
        used.read_units += rules * delivery["read_units"]
        used.write_units += rules * delivery["write_units"]

    def _add_calls(self, used: Quantities, calls: int, each_ms: float, log_bytes: float) -> None:
        """Add calls of functions without SnapStart."""
        cold_ms = self.assumed["cold_share"] * self.assumed["cold_start_ms"]
        used.requests += calls
        used.gb_seconds += calls * self.memory_gb() * (each_ms + cold_ms) / 1000
        used.log_bytes += calls * (log_bytes + self.assumed["platform_bytes"])

    def monthly(self) -> Iterator[tuple[str, str, float]]:
        """Yield what costs money without any login: name, how it is counted, dollars a month."""
        resources, prices, assumed = self.template["Resources"], self.prices, self.assumed
        of_type = [resource["Type"] for resource in resources.values()]
        secrets = of_type.count("AWS::SecretsManager::Secret")
        price = prices["secretsmanager"]["secret"]
        yield "secrets", f"{secrets} secrets at ${price:.2f}", secrets * price
        snapshots = [name for name, it in resources.items() if "SnapStart" in it["Properties"]]
        gb, price = sum(map(self.memory_gb, snapshots)), prices["lambda"]["snapstart_gb_second"]
        yield (
            "snapshots of the trigger functions",
            f"{len(snapshots)} versions, {gb:.2f} GB, {_SECONDS_A_MONTH:.0f} s at ${price:.10f}",
            gb * _SECONDS_A_MONTH * price,
        )
        events = [it["Properties"].get("Events", {}) for it in resources.values()]
        queues = sum(event["Type"] == "SQS" for of_one in events for event in of_one.values())
        if queues:
            pollers, each = assumed["pollers"], prices["sqs"]["request_of_64_kb"]
            yield (
                "queues that Lambda asks, empty or not",
                f"{queues} queues, {pollers} requests in {assumed['poll_seconds']} s each, "
                f"at ${each:.7f}",
                queues * pollers * _SECONDS_A_MONTH / assumed["poll_seconds"] * each,
            )
        alarms = [it["Properties"] for it in resources.values() if it["Type"].endswith("::Alarm")]
        metrics = sum(
            max(1, sum("MetricStat" in metric for metric in alarm.get("Metrics", [])))
            for alarm in alarms
        )
        custom = of_type.count("AWS::Logs::MetricFilter")
        price, own = prices["cloudwatch"]["alarm_metric"], prices["cloudwatch"]["custom_metric"]
        yield (
            "alarms, with AlarmTopicArn",
            f"{metrics} metrics at ${price:.2f}, {custom} of our own at ${own:.2f}",
            metrics * price + custom * own,
        )
        yield (
            "metrics of the traces, for ten rules",
            f"{assumed['metrics']} metrics at ${own:.2f}",
            assumed["metrics"] * own,
        )
        gb = assumed["people"] * assumed["profile_bytes"] / _GB
        price = prices["dynamodb"]["stored_gb"] + prices["dynamodb"]["recoverable_gb"]
        yield (
            "profiles, recoverable to any second",
            f"{assumed['people']} people, {assumed['profile_bytes']} bytes each, ${price:.2f}/GB",
            gb * price,
        )
        if any(kind.startswith("AWS::AppConfig::") for kind in of_type):
            asked = assumed["environments"] * _SECONDS_A_MONTH / 60
            price, each = prices["appconfig"]["request"], prices["appconfig"]["received"]
            yield (
                "the chain from AppConfig",
                f"{assumed['environments']} environments, a request a minute, at ${price:.7f}; "
                f"{assumed['received']} chains received at ${each:.4f}",
                asked * price + assumed["received"] * each,
            )


def page(root: Path) -> str:
    """Return the text of docs/costs.md for the checkout at ``root``."""
    template = Template((root / TEMPLATE).read_text(encoding="utf-8"))
    return template.substitute(_fields(Costs(root)))


def _fields(costs: Costs) -> dict[str, Any]:
    rows, prices, delivery = costs.charges["logins"], costs.prices, costs.charges["delivery"]
    services = list(Quantities().dollars(prices))
    [example] = [
        costs.quantities(row)
        for row in rows
        if (row["placement"], row["rules"], row["after_login"]) == EXAMPLE
    ]
    return {
        "region": prices["region"],
        "date": prices["date"],
        "logins": _table(
            ["rules that decide", "where", "after_login rules", *services, "**a million logins**"],
            ([*_chain(row), *_priced(costs.quantities(row), prices)] for row in rows),
        ),
        "refreshes": _table(
            ["rules that decide", "where", *services, "**a million refreshes**"],
            (
                [*_chain(row)[:2], *_priced(costs.quantities(row, kind="refresh"), prices)]
                for row in rows
                if "refresh" in row
            ),
        ),
        "monthly": _table(
            ["what", "how it is counted", "dollars a month"],
            ([name, how, f"{dollars:.2f}"] for name, how, dollars in costs.monthly()),
        ),
        "used": _table(
            ["rules", "where", "after_login", *USED],
            ([*_chain(row), *_used(costs.quantities(row))] for row in rows),
        ),
        "example": _example(example, prices),
        "prices": _table(
            ["service", "unit", "dollars"],
            (
                [service, f"`{unit}`", f"{price:.10f}".rstrip("0").rstrip(".")]
                for service, units in prices.items()
                if isinstance(units, dict) and service != "assumed"
                for unit, price in units.items()
            ),
        ),
        "assumed": _table(
            ["assumption", "value"],
            ([f"`{name}`", f"{value:g}"] for name, value in costs.assumed.items()),
        ),
        "login_gb": f"{costs.memory_gb('LoginFunction'):.3f}",
        "rule_gb": f"{costs.memory_gb():.2f}",
        "at_once": MAX_AT_ONCE,
        "delivery_writes": delivery["write_units"],
        "message_bytes": delivery["message_bytes"],
        "delivery_log": delivery["log_bytes"],
        "rule_log": costs.charges["rule"]["log_bytes"],
    }


def _example(used: Quantities, prices: Row) -> str:
    """Return how the price of one row comes about, service by service."""
    dollars = used.dollars(prices)
    function, tables = prices["lambda"], prices["dynamodb"]
    log_kb = prices["logs"]["ingested_gb"] * _KB / _GB
    terms = [
        f"Lambda {used.requests:g} calls at ${MILLION * function['request']:.2f} a million",
        f"{used.gb_seconds:.4f} GB-s at ${MILLION * function['gb_second']:.2f}",
        f"{used.restored_gb:.4f} GB at ${MILLION * function['snapstart_restored_gb']:.2f}",
        f"DynamoDB {used.read_units:g} reads at ${MILLION * tables['read_unit']:.3f}",
        f"{used.write_units:g} writes at ${MILLION * tables['write_unit']:.3f}",
        f"logs {used.log_bytes / _KB:.1f} KB at ${MILLION * log_kb:.2f}",
    ]
    return f"{';\n'.join(terms)}: ${sum(dollars.values()):.2f}"


def _chain(row: Row) -> list[str]:
    where = {"inline": "inline", "function": "a function each"}[row["placement"]]
    return [str(row["rules"]), where if row["rules"] else "", str(row["after_login"])]


def _priced(used: Quantities, prices: Row) -> list[str]:
    dollars = used.dollars(prices)
    return [*(f"{price:.2f}" for price in dollars.values()), f"**{sum(dollars.values()):.2f}**"]


def _used(used: Quantities) -> list[str]:
    return [
        f"{used.requests:g}",
        f"{used.gb_seconds:.4f}",
        f"{used.restored_gb:.4f}",
        f"{used.read_units:g}",
        f"{used.write_units:g}",
        f"{used.events:g}",
        f"{used.queue_requests:g}",
        f"{used.log_bytes / _KB:.1f}",
    ]


def _table(header: list[str], rows: Iterable[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
