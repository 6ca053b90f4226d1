"""The deployed stack that a command works on, and errors of AWS as one line each.

AWS is found as boto3 finds it: profile, region and endpoint come from the environment, so the
embedded AWS of ``make start`` is an account like any other.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.terminal import stop

if TYPE_CHECKING:
    import boto3

StackName = Annotated[
    str,
    typer.Option("--stack", envvar="COGNITO_RULES_STACK", help="Name of the deployed stack."),
]
DEFAULT_STACK = "cognito-rules"


@dataclass(frozen=True)
class DeployedStack:
    """A deployed stack; ``outputs`` are those of the template."""

    name: str

    @cached_property
    def session(self) -> boto3.Session:
        """The account and Region that the environment names."""
        import boto3  # a third of a second, which `cognito-rules --help` need not wait for

        return boto3.Session()

    def client(self, service: str) -> Any:
        """Return a client that waits seconds, not minutes, for AWS."""
        from botocore.config import Config

        patience = Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 3})
        with one_line_errors():
            try:
                return self.session.client(service, config=patience)  # type: ignore[call-overload]
            except ValueError as error:  # an endpoint that is no address
                stop(f"AWS cannot be asked: {error}: set AWS_ENDPOINT_URL to an http address.")

    @cached_property
    def _described(self) -> Any:
        with one_line_errors():
            try:
                found = self.client("cloudformation").describe_stacks(StackName=self.name)
            except Exception as error:
                if "does not exist" in str(error):
                    stop(f"There is no stack {self.name} in this account and Region: give --stack.")
                raise
        return found["Stacks"][0]

    @property
    def outputs(self) -> Mapping[str, str]:
        """The stack's outputs by name; ends the command when there is no such stack."""
        outputs = self._described.get("Outputs", [])
        return {output["OutputKey"]: output["OutputValue"] for output in outputs}

    @property
    def parameters(self) -> Mapping[str, str]:
        """The stack's parameters by name; ends the command when there is no such stack."""
        parameters = self._described.get("Parameters", [])
        return {p["ParameterKey"]: p.get("ParameterValue", "") for p in parameters}

    def output(self, name: str, *, otherwise: str) -> str:
        """Return an output, or end the command with ``otherwise``, which says what to do."""
        if name not in self.outputs:
            status = str(self._described.get("StackStatus", ""))
            if not status.endswith("_COMPLETE") or "ROLLBACK" in status:
                stop(
                    f"The stack {self.name} is {status}, without the output {name}: wait for the "
                    "end of the deployment, or look at its events and deploy again."
                )
            stop(otherwise)
        return self.outputs[name]


@contextlib.contextmanager
def one_line_errors(*passing: type[Exception]) -> Iterator[None]:
    """End the command with one line where AWS refuses or cannot be reached.

    ``passing`` are the errors that the caller has something better to say of.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except passing:
        raise
    except ClientError as error:
        said = error.response.get("Error", {})
        message = f"{error.operation_name}: {said.get('Code')}: {said.get('Message')}"
        hint = _HINTS.get(said.get("Code", ""))
        stop(f"{message.removesuffix('.')}. {hint}" if hint else message)
    except BotoCoreError as error:
        stop(f"AWS cannot be asked: {str(error).removesuffix('.')}: {_remedy(error)}.")


_RENEW = "Sign in to AWS again, or set AWS_PROFILE or other keys."
_GRANT = "Use credentials that may call it."
# What to do about an error of AWS that says nothing of it.
_HINTS = {
    "AccessDenied": _GRANT,
    "AccessDeniedException": _GRANT,
    "ExpiredToken": _RENEW,
    "ExpiredTokenException": _RENEW,
    "InvalidClientTokenId": _RENEW,
    "SignatureDoesNotMatch": _RENEW,
    "UnrecognizedClientException": _RENEW,
}


def _remedy(error: Exception) -> str:
    from botocore.exceptions import ConnectionError as ConnectionFailed
    from botocore.exceptions import HTTPClientError

    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    if not isinstance(error, (ConnectionFailed, HTTPClientError)):
        return "set AWS_PROFILE, or AWS credentials, and AWS_REGION"
    if endpoint:
        return f"see whether AWS_ENDPOINT_URL={endpoint} is up, or unset it"
    return "look at the network, and at AWS_REGION"
