"""The deployed stack that is checked, read from AWS piece by piece as checks ask for it."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cli.attachment import Wiring
from cli.publication import Publication
from cli.stack import DeployedStack
from cli.terminal import PROJECT
from cognito_rules.chain import Chain, Entry
from cognito_rules.chain_terms import names
from cognito_rules.errors import ChainError
from cognito_rules.manifest import catalogue

NO_STACK = "{} is no stack of Cognito Rules: give --stack."
_DOWNLOAD_SECONDS = 30


@dataclass(frozen=True)
class Subject:
    """One deployed stack.

    peak : trigger calls under way at the same moment, as the operator knows them; None: ask
        CloudWatch.
    """

    stack: DeployedStack
    peak: int | None = None

    def output(self, name: str) -> str:
        """Return an output of the stack; ends the command when it is no stack of ours."""
        return self.stack.output(name, otherwise=NO_STACK.format(self.stack.name))

    @cached_property
    def cognito(self) -> Any:
        """The user pools API."""
        return self.stack.client("cognito-idp")

    @cached_property
    def lambda_(self) -> Any:
        """The Lambda API."""
        return self.stack.client("lambda")

    # The user pool ----------------------------------------------------------------------------

    @property
    def pool_id(self) -> str:
        """Id of the pool that the stack works for."""
        return self.output("UserPoolId")

    @cached_property
    def pool(self) -> Mapping[str, Any]:
        """The ``UserPool`` of DescribeUserPool."""
        described: Mapping[str, Any] = self.cognito.describe_user_pool(UserPoolId=self.pool_id)
        pool: Mapping[str, Any] = described["UserPool"]
        return pool

    @cached_property
    def clients(self) -> Sequence[Mapping[str, Any]]:
        """Every app client of the pool, as DescribeUserPoolClient tells it."""
        pages = self.cognito.get_paginator("list_user_pool_clients").paginate(
            UserPoolId=self.pool_id
        )
        ids = [client["ClientId"] for page in pages for client in page["UserPoolClients"]]
        return [
            self.cognito.describe_user_pool_client(UserPoolId=self.pool_id, ClientId=client_id)[
                "UserPoolClient"
            ]
            for client_id in ids
        ]

    @cached_property
    def providers(self) -> Sequence[Mapping[str, Any]]:
        """Every identity provider of the pool, as DescribeIdentityProvider tells it."""
        pages = self.cognito.get_paginator("list_identity_providers").paginate(
            UserPoolId=self.pool_id
        )
        names = [found["ProviderName"] for page in pages for found in page["Providers"]]
        return [
            self.cognito.describe_identity_provider(UserPoolId=self.pool_id, ProviderName=name)[
                "IdentityProvider"
            ]
            for name in names
        ]

    # The triggers and what they run -----------------------------------------------------------

    @cached_property
    def wiring(self) -> Wiring:
        """The triggers that the pool should have."""
        names = ("LoginFunctionAlias", "SignUpFunctionAlias", "PreTokenVersion")
        return Wiring(self.stack.name, *map(self.output, names))

    @cached_property
    def live(self) -> Mapping[str, Any]:
        """GetFunction of the login alias."""
        return self._function(self.wiring.login.rpartition(":")[2])

    @cached_property
    def latest(self) -> Mapping[str, Any]:
        """GetFunction of the login function as it was deployed last."""
        return self._function("$LATEST")

    def _function(self, qualifier: str) -> Mapping[str, Any]:
        name = self.wiring.login.rpartition(":")[0]
        answer: Mapping[str, Any] = self.lambda_.get_function(
            FunctionName=name, Qualifier=qualifier
        )
        return answer

    @property
    def variables(self) -> Mapping[str, str]:
        """Environment variables of the live login function."""
        environment = self.live["Configuration"].get("Environment") or {}
        variables: Mapping[str, str] = environment.get("Variables") or {}
        return variables

    @cached_property
    def code(self) -> Mapping[str, bytes]:
        """The live login function's package: file name -> content."""
        return _downloaded(self.live["Code"]["Location"])

    @cached_property
    def core_layer(self) -> Mapping[str, bytes]:
        """The core layer that the live login function runs; empty when it runs none."""
        for layer in self.live["Configuration"].get("Layers") or []:
            if layer["Arn"].split(":")[6] == f"{self.stack.name}-core":
                answer = self.lambda_.get_layer_version_by_arn(Arn=layer["Arn"])
                return _downloaded(answer["Content"]["Location"])
        return {}

    # The chain --------------------------------------------------------------------------------

    @cached_property
    def chain(self) -> Chain | None:
        """The chain that the live login function decides by; None when it would be refused."""
        return self._chain[0]

    @property
    def chain_problems(self) -> Sequence[str]:
        """Why the chain is refused."""
        return self._chain[1]

    @cached_property
    def _chain(self) -> tuple[Chain | None, Sequence[str]]:
        publication = Publication(self.stack)
        live = publication.live()
        terms: dict[str, Any] = {
            "token_version": self.wiring.version,
            "privileged": names(self.variables.get("PRIVILEGED_RULES", "")),
            "required": names(self.variables.get("REQUIRED_ENTRIES", "")),
        }
        try:
            if live is not None:
                document = publication.document(live.version)
                return Chain.parse_json(document, catalogue(), **terms), ()
            # Nothing was published yet: what the build put beside the function decides.
            packaged = self.code.get("chain.toml", b"").decode()
            return Chain.parse_toml(packaged, catalogue(), **terms), ()
        except ChainError as error:
            return None, error.problems

    @property
    def entries(self) -> Sequence[Entry]:
        """The entries that are on."""
        return [e for e in (self.chain.entries if self.chain else ()) if e.mode != "off"]

    @property
    def enforced(self) -> Sequence[Entry]:
        """The entries that decide."""
        return [entry for entry in self.entries if entry.mode == "enforce"]

    # AWS roles --------------------------------------------------------------------------------

    @cached_property
    def identity_pool(self) -> Mapping[str, Any]:
        """DescribeIdentityPool of the stack's identity pool."""
        answer: Mapping[str, Any] = self.stack.client("cognito-identity").describe_identity_pool(
            IdentityPoolId=self.output("IdentityPoolId")
        )
        return answer

    @property
    def provider(self) -> str:
        """The name under which the identity pool knows the user pool."""
        host = self.pool["Arn"].split(":")[3]
        return f"cognito-idp.{host}.amazonaws.com/{self.pool_id}"

    @cached_property
    def roles(self) -> Mapping[str, str]:
        """Role key -> ARN: every role that a rule can grant."""
        table: Mapping[str, str] = json.loads(self.variables.get("AWS_ROLE_TABLE") or "{}")
        return table

    # The stack --------------------------------------------------------------------------------

    @cached_property
    def resources(self) -> Sequence[Mapping[str, Any]]:
        """Every resource of the stack: LogicalResourceId, PhysicalResourceId, ResourceType."""
        pages = (
            self.stack.client("cloudformation")
            .get_paginator("list_stack_resources")
            .paginate(StackName=self.stack.name)
        )
        return [found for page in pages for found in page["StackResourceSummaries"]]

    @property
    def layer_digest(self) -> str:
        """The digest of this checkout's layers, as the build puts it beside the login function."""
        from tools.build_trigger import layer_digest

        return layer_digest(PROJECT)


def _downloaded(url: str) -> dict[str, bytes]:
    """Return the files of a zip archive; raises requests.RequestException."""
    import requests

    answer = requests.get(url, timeout=_DOWNLOAD_SECONDS)
    answer.raise_for_status()
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
