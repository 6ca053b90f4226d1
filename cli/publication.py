"""The chain document of a stack in AppConfig: what is live, what was, and the next one.

Source: AWS AppConfig API reference.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from cli.chain_file import no_chain
from cli.stack import DeployedStack, one_line_errors
from cli.terminal import stop

IN_PROGRESS = frozenset({"VALIDATING", "DEPLOYING", "BAKING", "ROLLING_BACK"})
_SERVED = frozenset({"BAKING", "COMPLETE"})
_POLL_SECONDS = 2.0
# What AppConfig needs to reach everybody, when a strategy takes no time.
_PATIENCE_SECONDS = 300.0


@dataclass(frozen=True)
class Deployment:
    """One publication, as AppConfig lists it."""

    number: int
    version: int
    state: str
    started_at: datetime | None
    bake_minutes: int

    @property
    def is_in_progress(self) -> bool:
        """Whether another one cannot begin yet."""
        return self.state in IN_PROGRESS


class PublicationRefused(Exception):
    """The document was refused, or taken back; ``reasons`` says why. What was live is live."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


class Publication:
    """The chain of a deployed stack; every method ends the command where AWS refuses."""

    def __init__(self, stack: DeployedStack) -> None:
        self._stack = stack
        self._application = self._output("ChainApplicationId")
        self._profile = self._output("ChainProfileId")
        self._environment = self._output("ChainEnvironmentId")

    def _output(self, name: str) -> str:
        return self._stack.output(name, otherwise=no_chain(self._stack))

    @cached_property
    def _client(self) -> Any:
        with one_line_errors():
            return self._stack.client("appconfig")

    @property
    def _place(self) -> dict[str, str]:
        return {"ApplicationId": self._application, "EnvironmentId": self._environment}

    @property
    def _hosted(self) -> dict[str, str]:
        return {"ApplicationId": self._application, "ConfigurationProfileId": self._profile}

    # Reading ----------------------------------------------------------------------------------

    def deployments(self) -> list[Deployment]:
        """Return every publication, the latest one first."""
        with one_line_errors():
            items = self._listed()
        found = [
            Deployment(
                number=item["DeploymentNumber"],
                version=int(item["ConfigurationVersion"]),
                state=item["State"],
                started_at=item.get("StartedAt"),
                bake_minutes=item.get("FinalBakeTimeInMinutes", 0),
            )
            for item in items
        ]
        return sorted(found, key=lambda deployment: -deployment.number)

    def _listed(self) -> list[Any]:
        pages = self._client.get_paginator("list_deployments").paginate(**self._place)
        return [item for page in pages for item in page["Items"]]

    def live(self) -> Deployment | None:
        """Return the publication that decides logins; None when there is none."""
        return next((d for d in self.deployments() if d.state in _SERVED), None)

    def document(self, version: int) -> str:
        """Return the published text of a version."""
        with one_line_errors():
            try:
                found = self._client.get_hosted_configuration_version(
                    **self._hosted, VersionNumber=version
                )
            except self._client.exceptions.ResourceNotFoundException:
                stop(f"There is no version {version} of the chain: nothing was changed.")
            content: bytes = found["Content"].read()
        return content.decode(errors="replace")

    def earlier_version(self) -> int | None:
        """Return the version that was live before the one that is.

        Going back and forth is no history: after a return to an earlier version, what came between
        is forgotten, so that going back once more goes further back.
        """
        history: list[int] = []
        for deployment in reversed(self.deployments()):
            if deployment.state not in _SERVED:
                continue
            if deployment.version in history:
                del history[history.index(deployment.version) :]
            history.append(deployment.version)
        return history[-2] if len(history) > 1 else None

    # Writing ----------------------------------------------------------------------------------

    def publish(self, document: str, *, latest: int, emergency: bool) -> Deployment:
        """Publish a document and return its deployment, which may still be in progress.

        ``latest`` is the number of the latest deployment that was seen, 0 for none: when there is a
        later one, somebody else was faster, and nothing changes.

        Raises
        ------
        PublicationRefused : the validator refuses the document.
        """
        version = self._create(document)
        try:
            return self.deploy(version, latest=latest, emergency=emergency)
        except Exception:
            self._discard(version)
            raise

    def _discard(self, version: int) -> None:
        """Delete a version that was not deployed, as far as that is sure."""
        with contextlib.suppress(Exception):
            # A repeated call is told of a conflict with its own first attempt.
            if all(item["ConfigurationVersion"] != str(version) for item in self._listed()):
                self._client.delete_hosted_configuration_version(
                    **self._hosted, VersionNumber=version
                )

    def _create(self, document: str) -> int:
        with self._refusals():
            versions = self._client.get_paginator("list_hosted_configuration_versions")
            pages = versions.paginate(**self._hosted)
            numbers = [item["VersionNumber"] for page in pages for item in page["Items"]]
            created = self._client.create_hosted_configuration_version(
                **self._hosted,
                Content=document.encode(),
                ContentType="application/json",
                LatestVersionNumber=max(numbers, default=0),
            )
            return int(created["VersionNumber"])

    def deploy(self, version: int, *, latest: int, emergency: bool) -> Deployment:
        """Deploy a version that exists; see ``publish``."""
        strategy = "ChainEmergencyStrategyId" if emergency else "ChainStrategyId"
        with self._refusals():
            started = self._client.start_deployment(
                **self._place,
                ConfigurationProfileId=self._profile,
                ConfigurationVersion=str(version),
                DeploymentStrategyId=self._output(strategy),
                LatestDeploymentNumber=latest,
            )
        return self._read(started)

    def take_back(self, deployment: Deployment) -> Deployment:
        """Stop a deployment that is in progress; what was live before is live again."""
        with one_line_errors():
            stopped = self._client.stop_deployment(
                **self._place, DeploymentNumber=deployment.number, AllowRevert=True
            )
        return self._read(stopped)

    def wait(self, deployment: Deployment, tell: Callable[[float, str], None]) -> Deployment:
        """Return the deployment when it has ended; ``tell`` hears (seconds since, state).

        Raises
        ------
        PublicationRefused : it was taken back, by an alarm or by somebody.
        """
        began = time.monotonic()
        while deployment.is_in_progress:
            waited = time.monotonic() - began
            if waited > deployment.bake_minutes * 60 + _PATIENCE_SECONDS:
                stop(f"Deployment {deployment.number} is still {deployment.state}: look later.")
            tell(waited, deployment.state)
            time.sleep(_POLL_SECONDS if deployment.state == "BAKING" else 0.5)
            with one_line_errors():
                answer = self._client.get_deployment(
                    **self._place, DeploymentNumber=deployment.number
                )
            deployment = self._read(answer)
            if deployment.state in ("ROLLED_BACK", "REVERTED"):
                raise PublicationRefused(_rollback_reasons(answer))
        return deployment

    def _read(self, answer: Any) -> Deployment:
        return Deployment(
            number=answer["DeploymentNumber"],
            version=int(answer["ConfigurationVersion"]),
            state=answer["State"],
            started_at=answer.get("StartedAt"),
            bake_minutes=answer.get("FinalBakeTimeInMinutes", 0),
        )

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        """Turn AppConfig's refusals into ours, and the rest into one line."""
        from botocore.exceptions import ClientError

        with one_line_errors():
            try:
                yield
            except ClientError as error:
                code = error.response.get("Error", {}).get("Code")
                if code == "ConflictException":
                    stop(
                        "Somebody else is publishing at this moment: nothing was changed. "
                        "Look with `cognito-rules chain diff`, and publish again."
                    )
                if code == "ServiceQuotaExceededException":
                    stop(
                        "AppConfig keeps no more versions of this chain: nothing was changed. "
                        "Delete old ones, or have the quota raised."
                    )
                reasons = _validator_reasons(error.response)
                if reasons:
                    raise PublicationRefused(reasons) from error
                raise


def _validator_reasons(response: Any) -> list[str]:
    if response.get("Reason") != "InvalidConfiguration":
        return []
    details = (response.get("Details") or {}).get("InvalidConfiguration") or []
    said = [detail.get("Reason") or json.dumps(detail) for detail in details]
    return said or [str(response.get("Message"))]


def _rollback_reasons(answer: Any) -> list[str]:
    events = answer.get("EventLog", [])
    begun = [e for e in events if e.get("EventType") in ("ROLLBACK_STARTED", "REVERT_COMPLETED")]
    return [f"{e.get('TriggeredBy')}: {e.get('Description')}" for e in begun] or [answer["State"]]
