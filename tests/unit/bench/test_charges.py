"""What docs/charges.json says is what is counted now, and docs/costs.md adds it up."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tools.costs import Costs

PROJECT = Path(__file__).resolve().parents[3]
# Times and ids in log lines have no fixed length.
NEARLY = 0.1
TEMPLATE = """
Globals: {Function: {MemorySize: 256}}
Resources:
  Secret: {Type: AWS::SecretsManager::Secret, Properties: {}}
  Login:
    Type: AWS::Serverless::Function
    Properties: {MemorySize: 1024, SnapStart: {ApplyOn: PublishedVersions}}
  Deliver:
    Type: AWS::Serverless::Function
    Properties: {Events: {One: {Type: SQS}, Two: {Type: SQS}, Stream: {Type: DynamoDB}}}
  Rate:
    Type: AWS::CloudWatch::Alarm
    Properties: {Metrics: [{Expression: a / b}, {MetricStat: {}}, {MetricStat: {}}]}
  Late: {Type: AWS::CloudWatch::Alarm, Properties: {MetricName: IteratorAge}}
  Chain: {Type: AWS::AppConfig::Application, Properties: {}}
"""


def compare(found: Any, written: Any, where: str) -> None:
    if isinstance(found, dict):
        assert found.keys() == written.keys(), where
        for name, value in found.items():
            compare(value, written[name], f"{where}.{name}")
    elif isinstance(found, list):
        assert len(found) == len(written), where
        for number, value in enumerate(found):
            compare(value, written[number], f"{where}[{number}]")
    elif where.endswith("_bytes"):
        assert found == pytest.approx(written, rel=NEARLY, abs=100), where
    else:
        assert found == written, where


def test_the_counts_are_those_of_this_code() -> None:
    counted = subprocess.run(
        [sys.executable, "-m", "bench.charges", "--print"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    written = json.loads((PROJECT / "docs/charges.json").read_text(encoding="utf-8"))

    compare(json.loads(counted.stdout), written, "run `python -m bench.charges`")


def test_a_login_is_added_up() -> None:
    """Ten rules in functions, one after_login rule: everything that is charged for, once."""
    costs = Costs(PROJECT)
    assumed, delivery = costs.assumed, costs.charges["delivery"]
    [row] = [
        row
        for row in costs.charges["logins"]
        if (row["placement"], row["rules"], row["after_login"]) == ("function", 10, 1)
    ]
    login_ms = 4 * assumed["table_call_ms"] + 2 * assumed["trigger_ms"] + assumed["invoke_ms"]
    cold_ms = assumed["cold_share"] * assumed["cold_start_ms"]
    others_ms = (
        10 * assumed["rule_ms"]
        + assumed["announce_ms"]
        + assumed["deliver_ms"]
        + assumed["telling_rule_ms"]
        + 13 * cold_ms
    )

    used = costs.quantities(row)

    assert used.requests == 2 + 10 + 1 + 2
    assert used.gb_seconds == pytest.approx((1769 * login_ms + 256 * others_ms) / 1024 / 1000)
    assert used.write_units == row["login"]["write_units"] + delivery["write_units"]
    assert (used.events, used.queue_requests) == (1, 3)


def test_a_refresh_is_told_to_nobody() -> None:
    costs = Costs(PROJECT)
    [row] = [row for row in costs.charges["logins"] if "refresh" in row and row["rules"] == 0]

    used = costs.quantities(row, kind="refresh")

    assert (used.requests, used.write_units, used.events) == (1, 0, 0)


def test_what_costs_money_without_a_login_is_what_the_template_has(tmp_path: Path) -> None:
    files = ("docs/charges.json", "tools/prices.toml")
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(PROJECT / name, tmp_path / name)
    (tmp_path / "template.yaml").write_text(TEMPLATE)

    monthly = {name: round(dollars, 2) for name, _, dollars in Costs(tmp_path).monthly()}

    assert monthly == {
        "secrets": 0.40,
        "snapshots of the trigger functions": 3.95,
        "queues that Lambda asks, empty or not": 0.53,
        "alarms, with AlarmTopicArn": 0.30,
        "metrics of the traces, for ten rules": 9.00,
        "profiles, recoverable to any second": 0.04,
        "the chain from AppConfig": 0.89,
    }
