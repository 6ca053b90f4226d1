"""Who may do what with the AWS roles of template.yaml.

Two evaluators decide every request here, and both have to agree with the table:
- ``iam-simulate`` : @cloud-copilot/iam-simulate, not ours, knowing nothing of the project;
- ``embedded AWS`` : ministack's evaluator with our policy variables and trust (``local.aws``).
What a signed-in person really gets is tried on the embedded AWS, in tests/local.
"""

import os
import shutil
from collections.abc import Callable, Iterator

import pytest

from tests.contract.policy_evaluators import SIMULATE, Evaluator, embedded_aws, iam_simulate
from tests.contract.role_policy_cases import (
    A_ROLE,
    A_USER,
    COGNITO,
    ELSEWHERE,
    ESCAPES,
    EVERY_ROLE,
    GRANTED,
    ME,
    TABLE,
    Case,
)
from tests.contract.stack_template import ACCOUNT
from tests.contract.template_roles import POOL, JsonObject, Role, role, stack


@pytest.fixture(scope="module", params=["iam-simulate", "embedded AWS"])
def evaluator(request: pytest.FixtureRequest) -> Iterator[Evaluator]:
    """One of the two evaluators. Without Node.js the first is left out, never in CI."""
    if request.param == "embedded AWS":
        yield from embedded_aws()
        return
    if shutil.which("node") is None and "CI" not in os.environ:
        pytest.skip("iam-simulate needs Node.js 20 or newer")
    if not (SIMULATE / "node_modules").is_dir():
        pytest.fail("iam-simulate is not installed: run `make setup`")
    yield from iam_simulate()


@pytest.fixture(params=["with the template's boundary", "with a boundary that allows everything"])
def boundary(request: pytest.FixtureRequest) -> Callable[[Role], JsonObject | None]:
    """The boundary of the roles: PermissionsBoundaryArn replaces the template's own."""
    if request.param == "with the template's boundary":
        return lambda given: given.boundary
    return lambda given: None


def in_session(given: Role, case: Case, boundary: JsonObject | None) -> JsonObject:
    """Return the case as a request to an evaluator."""
    tags = {f"aws:PrincipalTag/{key}": value for key, value in case.tags.items()}
    session = {
        f"{COGNITO}:sub": ME,
        f"{COGNITO}:aud": POOL,
        f"{COGNITO}:amr": ["authenticated"],
    }
    name = given.arn.rpartition("/")[2]
    return {
        "principal": f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/CognitoIdentityCredentials",
        "action": case.action,
        "resource": case.resource,
        "account": ACCOUNT,
        "context": session | tags | dict(case.context),
        "policies": dict(given.policies),
        "boundary": boundary,
        "trust": None,
    }


# Decided by both evaluators.


@pytest.mark.parametrize("logical_id", TABLE)
def test_a_session_may_do_what_the_table_says_and_nothing_else(
    logical_id: str, evaluator: Evaluator, boundary: Callable[[Role], JsonObject | None]
) -> None:
    federated = role(logical_id)
    cases = [*TABLE[logical_id], *ESCAPES, *ELSEWHERE]

    decisions = evaluator.decide(
        [in_session(federated, case, boundary(federated)) for case in cases]
    )

    wrong = [
        (case.action, case.resource, dict(case.tags), dict(case.context), decision)
        for case, decision in zip(cases, decisions, strict=True)
        if (decision == "Allowed") != case.allowed
    ]
    assert wrong == []


@pytest.mark.parametrize("logical_id", GRANTED)
def test_no_further_policy_can_let_a_session_escape(logical_id: str, evaluator: Evaluator) -> None:
    # Somebody attaches AdministratorAccess and takes the boundary away: the denials stay.
    everything = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
    }
    federated = role(logical_id)
    requests = [in_session(federated, case, None) for case in ESCAPES]
    for request in requests:
        request["policies"] |= {"everything": everything}

    decisions = evaluator.decide(requests)

    denied = zip(ESCAPES, decisions, strict=True)
    assert [case.action for case, decision in denied if decision != "ExplicitlyDenied"] == []


# Who may become the role. Values of a right request, and one after the other wrong.

RIGHT = "the right request"
WRONG: dict[str, JsonObject] = {
    "another identity pool": {f"{COGNITO}:aud": "eu-west-1:another"},
    "no identity pool": {f"{COGNITO}:aud": None},
    "the pool's id in capitals": {f"{COGNITO}:aud": POOL.upper()},
    "a guest": {f"{COGNITO}:amr": ["unauthenticated"]},
    "no authentication method": {f"{COGNITO}:amr": None},
    "a method that only begins so": {f"{COGNITO}:amr": ["authenticated-later"]},
}
WRONG_TAGS = {
    "no granted tag": None,
    "an empty tag": "",
    "no role granted": ":none:",
    "the key without colons": "{key}",
    "a longer key": ":{key}_extra:",
    "a key that ends so": ":extra_{key}:",
    "the key in capitals": ":{KEY}:",
    "another role": ":{other}:",
}
STRANGERS = {
    "another provider": "accounts.google.com",
    "an OpenID Connect provider": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{COGNITO}",
    "a user of the account": A_USER,
    "a role of the account": A_ROLE,
}


def trust_requests(logical_id: str, action: str) -> dict[str, JsonObject]:
    """Return requests for the role's session by what is wrong with them."""
    federated = role(logical_id)
    key = GRANTED.get(logical_id)
    tag = f":first:{key or 'none'}:last:"
    right: JsonObject = {
        f"{COGNITO}:aud": POOL,
        f"{COGNITO}:sub": ME,
        f"{COGNITO}:amr": ["authenticated", "cognito-idp.eu-west-1.amazonaws.com/pool"],
        "aws:RequestTag/granted": tag,
    }
    changes: dict[str, JsonObject] = {RIGHT: {}} | WRONG
    if key is not None:
        other = next(one for one in GRANTED.values() if one != key)
        words = {"key": key, "KEY": key.upper(), "other": other}
        changes = changes | {
            name: {"aws:RequestTag/granted": text and text.format(**words)}
            for name, text in WRONG_TAGS.items()
        }
    requests = {
        name: {key: value for key, value in (right | change).items() if value is not None}
        for name, change in changes.items()
    }
    return {
        name: _for_session(federated, action, COGNITO, context)
        for name, context in requests.items()
    } | {name: _for_session(federated, action, who, right) for name, who in STRANGERS.items()}


def _for_session(given: Role, action: str, principal: str, context: JsonObject) -> JsonObject:
    return {
        "principal": principal,
        "action": action,
        "resource": given.arn,
        "account": ACCOUNT,
        "context": context,
        "policies": {},
        "boundary": None,
        "trust": given.trust,
    }


def _without_those_keys(request: JsonObject) -> JsonObject:
    """Return a question about sts:TagSession as one about the action with the provider's keys.

    AWS's reference, and so iam-simulate, lists those keys for AssumeRoleWithWebIdentity only,
    while Cognito's guide has both actions in one statement about them. So the statements that
    name sts:TagSession, and no others, are asked under the other action's name.
    """
    if request["action"] != "sts:TagSession":
        return request
    statements = [
        one | {"Action": "sts:AssumeRoleWithWebIdentity"}
        for one in request["trust"]["Statement"]
        if "sts:TagSession" in one["Action"]
    ]
    return request | {
        "action": "sts:AssumeRoleWithWebIdentity",
        "trust": request["trust"] | {"Statement": statements},
    }


@pytest.mark.parametrize("action", ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"])
@pytest.mark.parametrize("logical_id", EVERY_ROLE)
def test_a_role_admits_people_of_this_pool_with_its_own_grant_and_nobody_else(
    logical_id: str, action: str, evaluator: Evaluator
) -> None:
    requests = trust_requests(logical_id, action)
    asked = [
        one if evaluator.knows_the_keys_of_tag_session else _without_those_keys(one)
        for one in requests.values()
    ]

    decisions = dict(zip(requests, evaluator.decide(asked), strict=True))

    assert [name for name, decision in decisions.items() if decision == "Allowed"] == [RIGHT]


@pytest.mark.parametrize("logical_id", EVERY_ROLE)
def test_nobody_becomes_the_role_by_plain_assume_role(
    logical_id: str, evaluator: Evaluator
) -> None:
    federated = role(logical_id)
    root = f"arn:aws:iam::{ACCOUNT}:root"
    requests = [
        _for_session(federated, "sts:AssumeRole", who, {}) for who in (A_USER, A_ROLE, root)
    ]

    decisions = evaluator.decide(requests)

    assert "Allowed" not in decisions


# Decided by the text of the template alone.


@pytest.mark.parametrize("logical_id", EVERY_ROLE)
def test_every_policy_says_the_version_that_has_variables(logical_id: str) -> None:
    documents = [role(logical_id).trust, *role(logical_id).policies.values()]

    versions = {str(document.get("Version")) for document in documents}

    assert versions == {"2012-10-17"}


def test_no_identity_provider_of_the_template_leads_to_a_role_around_the_pool() -> None:
    types = {resource["Type"] for resource in stack().resources.values()}

    assert types.isdisjoint({"AWS::IAM::OIDCProvider", "AWS::IAM::SAMLProvider", "AWS::IAM::User"})
