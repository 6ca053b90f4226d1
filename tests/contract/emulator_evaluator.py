"""Run by the emulator's interpreter: decide IAM requests with the completed ministack.

Standard input and output are those of ``iam_simulate/simulate.mjs``.
"""

import json
import sys
from typing import Any

import ministack.app  # noqa: F401 - it sets up the services in the order they need

from local.aws import policy_variables, web_identity
from local.aws.emulator import iam

# Prefixes of condition keys that describe the caller, not the request.
OF_THE_PRINCIPAL = ("aws:principaltag/", "cognito-identity.amazonaws.com:")


def main() -> None:
    """Answer each line of requests with a line of decisions."""
    policy_variables.install()
    web_identity.install()
    for line in sys.stdin:
        answers = [{"decision": decide(request)} for request in json.loads(line)]
        print(json.dumps(answers), flush=True)


def decide(request: dict[str, Any]) -> str:
    """Return ``Allowed``, ``ImplicitlyDenied`` or ``ExplicitlyDenied``."""
    keys = {key.lower(): value for key, value in request["context"].items()}
    principal_keys = {key: keys.pop(key) for key in list(keys) if key.startswith(OF_THE_PRINCIPAL)}
    context = iam.EvalContext(
        principal_arn=request["principal"],
        principal_type="AssumedRole",
        principal_account=request["account"],
        action=request["action"],
        resource_arn=request["resource"],
        region="eu-west-1",
        principal_keys=principal_keys,
        service_context={"aws:tagkeys": None} | keys,
    )
    if request["trust"] is not None:
        admitted = iam.evaluate_trust_policy(request["trust"], request["principal"], context)
        return "Allowed" if admitted else "ImplicitlyDenied"
    policies = [iam.parse_policy_document(one) for one in request["policies"].values()]
    boundary = request["boundary"]
    limits = [] if boundary is None else [[iam.parse_policy_document(boundary)]]
    decision: str = iam.evaluate(context, policies, *limits).decision
    return {"Allow": "Allowed", "Deny": "ExplicitlyDenied"}.get(decision, "ImplicitlyDenied")


if __name__ == "__main__":
    main()
