"""What the after_login rules are sent, over the folders: the fields that they declare, no other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cognito_rules.announcement import build_announcement
from cognito_rules.chain import Entry
from cognito_rules.fields import FIELDS, OPEN_MAPS, Facts, Path
from cognito_rules.manifest import Manifest
from tests.contract.stack_template import AFTER_LOGIN, MANIFESTS

PURPOSES = ("security", "analytics", "marketing", "enrichment", "operations")
# What frames a view, and a request; everything else in them is of the login.
VIEW_KEYS = {"event_id", "rule", "deliveries"}
FOR_DELIVER = {"once", "waits_for", "needed_by", "sources"}
REQUEST_KEYS = {"version", "login", "configuration"}
FRAME = {"now", "unknown"}


def everything(manifest: Manifest) -> Facts:
    """Return a login of which every field is known, each with a value of its own."""
    facts: Facts = {}
    for section, fields in FIELDS.items():
        facts[section] = {field: f"{section}.{field}" for field in fields}
    for section, field in OPEN_MAPS:
        named = {read.path[-1] for read in manifest.reads if read.path[:-1] == (section, field)}
        facts[section][field] = {key: f"{field}.{key}" for key in {*named, "other"}}
    facts["user"]["email_verified"] = True
    facts["user"]["user_metadata"]["consent"] = dict.fromkeys(PURPOSES, True)
    return facts


def view_of(name: str, event_type: str) -> Any:
    manifest = MANIFESTS[name]
    text = build_announcement(
        event_type,
        [Entry(id=name, index=0, manifest=manifest, require_consent="opt_in"), *readers(manifest)],
        everything(manifest),
        event_id="e-1",
        occurred_at="2026-11-22T12:00:00.000Z",
        code="denied",
    ).text
    assert text is not None
    return json.loads(text)["views"][name]


def readers(manifest: Manifest) -> Iterator[Entry]:
    """Yield an entry that wants the rule's answer, without which one that enriches is not told."""
    if manifest.writes:
        reads = [".".join(write) for write in manifest.writes]
        declared = {**manifest.declared, "reads": reads, "writes": []}
        yield Entry(id="reader", index=1, manifest=Manifest.parse("reader", declared))


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the paths of the values below, as deep as a manifest can name them."""
    if isinstance(value, dict) and (len(path) < 2 or path in OPEN_MAPS):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    else:
        yield path


@pytest.mark.parametrize(
    ("name", "event_type"),
    [(name, event_type) for name in AFTER_LOGIN for event_type in MANIFESTS[name].events],
)
def test_a_request_holds_no_field_that_the_rule_did_not_declare(name: str, event_type: str) -> None:
    manifest = MANIFESTS[name]

    view = view_of(name, event_type)

    assert set(view) - {"person"} == VIEW_KEYS
    assert view["rule"] == name
    [delivery] = view["deliveries"]
    assert set(delivery) - FOR_DELIVER == {"entry", "request"}
    assert set(delivery["request"]) == REQUEST_KEYS
    login = {key: value for key, value in delivery["request"]["login"].items() if key not in FRAME}
    sent = list(leaves(login))
    assert sent
    undeclared = [
        ".".join(path)
        for path in sent
        if not any(read.path in (("*",), path[: len(read.path)]) for read in manifest.reads)
    ]
    assert undeclared == []


@pytest.mark.parametrize("name", [n for n in AFTER_LOGIN if MANIFESTS[n].purpose != "security"])
def test_deliver_knows_whose_consent_is_read_again_and_who_is_told_of_no_more(name: str) -> None:
    views = [view_of(name, event_type) for event_type in MANIFESTS[name].events]

    assert all("person" in view for view in views)


def test_the_walk_finds_what_is_not_declared() -> None:
    manifest = Manifest.parse(
        "made_up",
        {**MANIFESTS[AFTER_LOGIN[0]].declared, "reads": ["user.user_metadata.color"]},
    )
    facts = everything(manifest)

    assert ("user", "email") in set(leaves(facts))
    assert ("user", "user_metadata", "other") in set(leaves(facts))
    assert ("user", "user_metadata", "color") in set(leaves(facts))
