"""Chains published by ``cognito-rules chain``, and what real sign-ins make of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import tomlkit
import typer

from cli import publication as publications
from cli.publication import Publication, PublicationRefused
from cli.stack import DeployedStack
from cognito_rules.chain import Chain, Entry, canonical
from cognito_rules.errors import ChainError
from cognito_rules.manifest import catalogue
from local.chain import restart_triggers
from local.sign_in import App, SignInRefused
from local.stack import Person, Stack
from tests.local.stack.conftest import CHAIN
from tests.local.stack.operator import STAFF, Operator, chain, entry, records, roles
from tests.unit.core.chains import a_manifest

NewPerson = Callable[..., Person]


@pytest.fixture
def operator(stack: Stack, tmp_path: Path) -> Operator:
    return Operator(stack, tmp_path)


@pytest.fixture
def publication(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Publication:
    for name, value in stack.aws.environment.items():
        monkeypatch.setenv(name, value)
    return Publication(DeployedStack("cognito-rules"))


@pytest.fixture(scope="module", autouse=True)
def as_before(stack: Stack) -> Iterator[None]:
    yield
    stack.use_chain(CHAIN)


# A change on its way ---------------------------------------------------------------------------


def test_a_change_is_seen_in_shadow_rolled_out_enforced_and_taken_back(
    stack: Stack, app: App, operator: Operator, new_person: NewPerson
) -> None:
    jane = new_person(groups=["staff"])

    operator.goes_live(chain(entry(mode="shadow")))
    assert roles(app, jane) is None
    [shadowed] = [
        record
        for line in records(stack, jane.user_id)[-1:]
        for record in line["entries"]
        if record["entry"] == "roles"
    ]
    assert (shadowed["shadow"], set(shadowed["effects"])) == (True, {"set_claim"})

    operator.goes_live(chain(entry(rollout=10)))
    chosen = stack_entry(operator, "roles")
    people = [jane]
    while len({chosen(person.user_id) for person in people}) < 2:
        people.append(new_person(groups=["staff"]))
    lucky = next(person for person in people if chosen(person.user_id))
    other = next(person for person in people if not chosen(person.user_id))
    assert (roles(app, lucky), roles(app, other)) == (STAFF, None)
    assert "10 %" in operator.run("show").output

    operator.goes_live(chain(entry()))
    assert (roles(app, lucky), roles(app, other)) == (STAFF, STAFF)

    for expected in ((STAFF, None), (None, None)):
        assert operator.run("rollback").exit_code == 0
        restart_triggers(stack.aws, stack.outputs)
        assert (roles(app, lucky), roles(app, other)) == expected


def stack_entry(operator: Operator, entry_id: str) -> Callable[[str], bool]:
    """Return who is among the percentage of an entry that is live."""
    [live] = [e for e in operator.live()["document"]["rules"] if e.get("id") == entry_id]
    return Entry(
        id=entry_id, index=0, manifest=a_manifest(), rollout=live["rollout"]
    ).is_rolled_out_to


def test_a_guard_is_published_without_a_deployment(
    app: App, operator: Operator, new_person: NewPerson
) -> None:
    person = new_person(groups=["staff"])
    guard = {
        "rule": "require_group",
        "id": "board",
        "when": {"applications": ["*"]},
        "configuration": {"groups": ["board"]},
    }

    operator.goes_live(chain(guard))
    with pytest.raises(SignInRefused):
        app.srp(person.username, person.password)
    operator.goes_live(CHAIN)

    assert app.srp(person.username, person.password).id_token is not None


# The command line ------------------------------------------------------------------------------


def test_what_is_live_can_be_seen(operator: Operator) -> None:
    operator.puts(chain(entry(mode="shadow")))

    result = operator.run("show")

    assert result.exit_code == 0
    [line] = [line for line in result.output.splitlines() if line.startswith("roles ")]
    assert re.split(r"\s{2,}", line.strip()) == [
        "roles",
        "add_roles_to_tokens",
        "shadow",
        "everybody",
        "inline",
    ]


def test_what_is_live_can_be_pinned(operator: Operator) -> None:
    document = chain(entry(mode="shadow"))
    operator.puts(document)

    pins = operator.run("show", "--fingerprints").output.split()
    required = [pin for pin in pins if not pin.startswith("roles=")]

    assert len(Chain.parse_toml(document, catalogue(), required=required).entries) == len(pins)
    with pytest.raises(ChainError, match="is required as it was"):
        Chain.parse_toml(document.replace('["staff"]', '["board"]'), catalogue(), required=required)


def test_what_is_live_already_is_not_published_again(operator: Operator) -> None:
    operator.puts(CHAIN)
    before = operator.live()

    result = operator.publish("# another comment\n" + CHAIN)

    assert result.exit_code == 0
    assert "nothing to publish" in result.output
    assert operator.live() == before


def test_a_difference_is_shown_entry_by_entry(operator: Operator) -> None:
    operator.puts(chain(entry()))
    document = chain(entry(mode="shadow")).replace('groups = ["staff"]', 'groups = ["board"]')

    result = operator.run("diff", str(operator.file), document=document)

    assert result.exit_code == 1
    assert "~ entry require_group configuration.groups" in re.sub(" +", " ", result.output)
    assert "entry roles mode" in re.sub(" +", " ", result.output)
    assert operator.run("diff", str(operator.file), document=chain(entry())).exit_code == 0


def test_a_refused_document_is_named_by_line_and_changes_nothing(operator: Operator) -> None:
    operator.puts(CHAIN)
    before = operator.live()

    result = operator.publish(CHAIN + '\n[[rules]]\nrule = "no_such_rule"\n')

    assert result.exit_code == 1
    line = CHAIN.count("\n") + 3
    assert f"{operator.file}:{line}: entry no_such_rule: there is no rule" in result.stderr
    assert operator.live() == before


def test_the_validator_has_the_last_word(operator: Operator, stack: Stack) -> None:
    """The deployed function requires an entry that the command line knows nothing of."""
    operator.puts(CHAIN)
    before = operator.live()
    function = f"{stack.login_function.removesuffix('-login')}-validate-chain"
    client = stack.aws.client("lambda")
    variables = client.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
    client.update_function_configuration(
        FunctionName=function, Environment={"Variables": {**variables, "REQUIRED_ENTRIES": "door"}}
    )
    try:
        result = operator.publish(chain(entry()), "--emergency")
    finally:
        client.update_function_configuration(
            FunctionName=function, Environment={"Variables": variables}
        )

    assert result.exit_code == 1
    assert "the entry door is required" in result.stderr
    assert "What was live is live." in result.stderr
    assert operator.live() == before


# Baking ----------------------------------------------------------------------------------------


def test_while_a_chain_bakes_no_other_is_published_and_it_can_be_taken_back(
    operator: Operator,
) -> None:
    operator.puts(CHAIN)
    before = operator.live()

    began = operator.publish(chain(entry()), "--no-wait", "--json")
    beside = operator.publish(chain(entry(mode="off")), "--emergency")
    state = operator.live()["state"]
    back = operator.run("rollback")

    assert json.loads(began.output)["published"] is True
    assert state == "BAKING"
    assert beside.exit_code == 2
    assert "is baking: nothing was changed" in beside.stderr
    assert back.exit_code == 0
    assert operator.live() == before


def test_an_alarm_takes_a_baking_chain_back(
    operator: Operator, stack: Stack, publication: Publication, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator.puts(CHAIN)
    before = operator.live()
    monkeypatch.setattr(publications, "_POLL_SECONDS", 0.1)
    alarm = _alarm(stack)
    deployment = publication.publish(
        canonical(tomlkit.parse(chain(entry())).unwrap()),
        latest=publication.deployments()[0].number,
        emergency=False,
    )
    heard: list[str] = []

    def tell(seconds: float, state: str) -> None:
        heard.append(state)
        if len(heard) == 2:
            alarm("ALARM")

    try:
        with pytest.raises(PublicationRefused, match="CLOUDWATCH_ALARM"):
            publication.wait(deployment, tell)
    finally:
        alarm("OK")
        _monitored(stack, [])

    assert set(heard) == {"BAKING"}
    assert operator.live() == before


def _alarm(stack: Stack) -> Callable[[str], None]:
    """Let an alarm watch publications; return what sets its state."""
    cloudwatch = stack.aws.client("cloudwatch")
    name = f"watch-{uuid4()}"
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace="Test",
        MetricName="faults",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
    )
    [made] = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    _monitored(stack, [{"AlarmArn": made["AlarmArn"]}])

    def change(state: str) -> None:
        cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="a test")

    return change


def _monitored(stack: Stack, monitors: list[dict[str, str]]) -> None:
    stack.aws.client("appconfig").update_environment(
        ApplicationId=stack.outputs["ChainApplicationId"],
        EnvironmentId=stack.outputs["ChainEnvironmentId"],
        Monitors=monitors,
    )


def test_who_comes_second_changes_nothing(
    operator: Operator,
    stack: Stack,
    publication: Publication,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Somebody publishes between the moment that another has looked and the publication."""
    operator.puts(CHAIN)
    seen = operator.live()["deployment"]
    operator.puts(chain(entry()))
    before = operator.live()

    with pytest.raises(typer.Exit) as ended:
        publication.publish('{"rules":[]}', latest=seen, emergency=True)

    assert ended.value.exit_code == 2
    assert "Somebody else is publishing at this moment" in capsys.readouterr().err
    assert operator.live() == before
    versions = stack.aws.client("appconfig").list_hosted_configuration_versions(
        ApplicationId=stack.outputs["ChainApplicationId"],
        ConfigurationProfileId=stack.outputs["ChainProfileId"],
    )["Items"]
    assert max(item["VersionNumber"] for item in versions) == before["version"]
