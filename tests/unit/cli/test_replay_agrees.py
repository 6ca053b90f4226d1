"""A replay decides as the login function does: any two chains of these rules, and any person."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from cognito_rules.effects import Effects
from cognito_rules.login import Login
from cognito_rules.pipeline import LoginRefusedError
from tests.cognito_events import pre_token
from tests.made_up_chain import GUARD
from tests.unit.cli.recorded import PlainRecordings, again
from tests.unit.core.login_subject import Subject


def regroup(login: Login, effects: Effects) -> None:
    effects.set_groups([group for group in login.user.groups if group != "sales"])


def only_gold(login: Login, effects: Effects) -> None:
    if login.user.app_metadata.get("tier") != "gold":
        effects.deny("No.", code="no_gold")


def make_gold(login: Login, effects: Effects) -> None:
    if "board" in login.user.groups:
        effects.set_app_metadata("tier", "gold")


def show_groups(login: Login, effects: Effects) -> None:
    effects.set_claim("id", "groups", sorted(login.user.groups))
    effects.remove_scope("email")


def no_sales(login: Login, effects: Effects) -> None:
    if "sales" in login.user.groups:
        effects.deny("No.", code="sales")


def random_chain(subject: Subject, chance: Random) -> None:
    names = list(subject.rules)
    chance.shuffle(names)
    subject.reorder(*names)
    for name in names:
        subject.change(name, mode=chance.choice(["enforce", "enforce", "shadow", "off"]))


@pytest.mark.parametrize("seed", range(60))
def test_a_replay_decides_as_the_login_function_does(subject: Subject, seed: int) -> None:
    recordings = subject.recorder = PlainRecordings()
    chance = Random(seed)
    groups = {"reads": ["user.groups"]}
    subject.rule("regroup", regroup, writes=["user.groups"], **groups)
    subject.rule("only_gold", only_gold, reads=["user.app_metadata"], **GUARD)
    subject.rule("make_gold", make_gold, writes=["user.app_metadata"], **groups)
    subject.rule(
        "show_groups",
        show_groups,
        stage="token",
        writes=["id_token.claims", "access_token.scopes"],
        **groups,
    )
    subject.rule("no_sales", no_sales, **groups, **GUARD)
    subject.knows({"app_metadata": {"tier": chance.choice(["gold", "silver"])}})
    of_person = chance.sample(["sales", "board", "staff"], chance.randint(0, 3))
    event = pre_token(groups=of_person, scopes=["openid", "email"])
    tables = list(subject.amazon.replies)

    def really() -> Any:
        subject.amazon.replies = list(tables)
        try:
            return subject.handle(event)
        except LoginRefusedError:
            return None

    random_chain(subject, chance)
    then = really()
    recording = recordings.kept[-1]
    random_chain(subject, chance)
    found = again(subject, recording)
    now = really()

    denied_now = recordings.kept[-1]["denial"]
    assert found.now is not None
    assert (found.then.word == "deny", found.now.word == "deny") == (then is None, now is None)
    if denied_now is not None:
        assert {"entry": found.now.denied_by, "code": found.now.code} == denied_now
    if then is not None and now is not None and then != now:
        assert found.kind == "other tokens"
