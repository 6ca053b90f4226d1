"""Every error of the product, on one page.

A refused login is a result (``effects.deny``), never an exception: an exception is always a fault.
``code`` is stable and goes into logs, traces and the fault of a rule's answer; messages carry no
secret, token, query string or personal data.
"""

from __future__ import annotations


class RuleError(Exception):
    """Base of all errors raised by this product."""

    code = "rule_error"
    retryable = False


class ManifestError(RuleError):
    """A ``rule.toml`` is wrong: unknown key, unknown stage, bad type. Stops the build."""

    code = "manifest_error"


class ConfigurationError(RuleError):
    """A rule's settings are missing, of the wrong type, or contradict each other.

    ``path`` leads to the setting, as far as it is known.
    """

    code = "configuration_error"

    def __init__(self, message: str, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.path = path


class Problem(str):
    """One reason for which a chain document is refused, as a sentence.

    ``path`` leads to what is wrong: keys and list indexes from the top of the document.
    """

    path: tuple[str | int, ...]

    def __new__(cls, sentence: str, path: tuple[str | int, ...] = ()) -> Problem:
        """Return the sentence, with where it applies."""
        problem = super().__new__(cls, sentence)
        problem.path = path
        return problem


class ChainError(RuleError):
    """A chain document was refused; ``problems`` holds every reason."""

    code = "chain_error"

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class UndeclaredReadError(RuleError):
    """A rule asked for a login field that its manifest does not list in ``reads``."""

    code = "undeclared_read"


class UndeclaredEffectError(RuleError):
    """A rule caused an effect that its manifest does not list in ``writes``."""

    code = "undeclared_effect"


class InvalidEffectError(RuleError):
    """An effect carries a value that is never legal, such as a protected claim."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class SecretError(RuleError):
    """The secret ``name`` cannot be read, is not declared, or lacks the wanted key."""

    code = "secret_error"

    def __init__(self, name: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.name = name
        self.retryable = retryable


class UpstreamError(RuleError):
    """Another service answered badly or not at all.

    ``service`` is a host name, ``status`` its HTTP status or None, ``retry_after`` seconds or None.
    ``code`` says more than the class, such as ``misconfigured`` for what only an operator repairs.
    """

    code = "upstream_error"

    def __init__(
        self,
        service: str,
        message: str,
        *,
        status: int | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code or self.code
        self.service = service
        self.status = status
        self.retryable = retryable
        self.retry_after = retry_after


class UpstreamTimeoutError(UpstreamError):
    """Another service did not answer in time; whether it acted is unknown."""

    code = "upstream_timeout"


class StateError(RuleError):
    """A signed or stored state (redirect, challenge, decision) cannot be used."""

    code = "state_error"


class StateExpiredError(StateError):
    """A signed or stored state is older than its lifetime."""

    code = "state_expired"


class StoreError(StateError):
    """The tables cannot be read or written; ``retryable`` for throttling and outages."""

    code = "store_unavailable"
    retryable = True


class TriggerEventError(RuleError):
    """A trigger event is not one that this function serves, or is malformed."""

    code = "trigger_event_error"
