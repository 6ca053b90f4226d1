"""The recorder of effects: the second argument of every rule."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cognito_rules.claims import is_retired_namespace
from cognito_rules.fields import Path
from cognito_rules.protocol import WRITABLE, Effect, check_effect


class Effects:
    """The effects that one rule causes, in the order in which it causes them.

    ``writes`` are the paths declared in the rule's manifest; None (in tests of the layer) allows
    all. Every method raises UndeclaredEffectError or InvalidEffectError at once.
    """

    def __init__(self, writes: Iterable[Path] | None = None) -> None:
        self._writes = tuple(WRITABLE if writes is None else writes)
        self.items: list[Effect] = []
        self.warnings: list[str] = []
        self.known_as: str | None = None

    def _record(self, effect: str, /, **fields: Any) -> None:
        self.items.append(check_effect({"effect": effect, **fields}, self._writes))

    def warn(self, code: str) -> None:
        """Note ``code`` for logs and traces; the login goes on."""
        self.warnings.append(code)

    def remember_as(self, known_as: str) -> None:
        """Note the id that the rule's system gave the person: by it they can be forgotten there.

        For rules that run once for each person; it is read as ``login.user.known_as`` then.
        """
        self.known_as = known_as

    def deny(self, reason: str, *, code: str, public_code: str = "access_denied") -> None:
        """Refuse the login. The person reads ``reason``; ``code`` is for logs and traces only."""
        self._record("deny", code=code, public_code=public_code, reason=reason)

    @property
    def denied_with(self) -> str | None:
        """The code of the first denial, or None."""
        codes = (item["code"] for item in self.items if item["effect"] == "deny")
        return next(codes, None)

    def set_claim(self, token: str, name: str, value: Any) -> None:
        """Set a claim of the ``id`` or ``access`` token; None leaves it out."""
        if value is None:
            return
        self._record("set_claim", token=token, name=name, value=value)
        if is_retired_namespace(name) and "retired_namespace" not in self.warnings:
            self.warn("retired_namespace")

    def remove_claim(self, token: str, name: str) -> None:
        """Take a claim out of the ``id`` or ``access`` token, whichever rule sets it."""
        self._record("remove_claim", token=token, name=name)

    def add_scope(self, scope: str) -> None:
        """Add a scope to the access token."""
        self._record("add_scope", scope=scope)

    def remove_scope(self, scope: str) -> None:
        """Take a scope out of the access token."""
        self._record("remove_scope", scope=scope)

    def set_groups(self, groups: list[str]) -> None:
        """Replace ``cognito:groups`` of both tokens."""
        self._record("set_groups", groups=list(groups))

    def set_authorization(
        self, *, roles: list[str], permissions: list[str], groups: list[str]
    ) -> None:
        """Set what later rules read as ``login.authorization``."""
        self._record(
            "set_authorization",
            roles=list(roles),
            permissions=list(permissions),
            groups=list(groups),
        )

    def set_aws_role(self, role_arns: list[str], *, preferred: str | None = None) -> None:
        """Grant exactly these IAM roles, in order of preference; an empty list grants none."""
        self._record("set_aws_role", role_arns=list(role_arns), preferred=preferred)

    def set_session_tags(self, tags: dict[str, str]) -> None:
        """Set the principal tags of the AWS session, tag key -> value."""
        self._record("set_session_tags", tags=dict(tags))

    def set_user_metadata(self, key: str, value: Any, *, only_if_missing: bool = False) -> None:
        """Store ``user_metadata[key]``; None removes it."""
        self._set_metadata("set_user_metadata", key, value, only_if_missing)

    def set_app_metadata(self, key: str, value: Any, *, only_if_missing: bool = False) -> None:
        """Store ``app_metadata[key]``; None removes it."""
        self._set_metadata("set_app_metadata", key, value, only_if_missing)

    def _set_metadata(self, name: str, key: str, value: Any, only_if_missing: bool) -> None:
        optional = {"only_if_missing": True} if only_if_missing else {}
        self._record(name, key=key, value=value, **optional)

    def set_profile(self, attribute: str, value: str) -> None:
        """Set a profile attribute such as ``picture``, for later rules and the ID token."""
        self._record("set_profile", attribute=attribute, value=value)

    def set_enrichment(
        self, source: str, status: str, *, facts: dict[str, Any] | None = None, expires_in: int
    ) -> None:
        """Keep what ``source`` knows of the person for ``expires_in`` seconds.

        ``status`` is ``found``, ``none``, ``failed``, or ``pending``: the source will call back.
        ``facts`` are a few texts and numbers.
        """
        optional = {"facts": dict(facts)} if facts else {}
        self._record(
            "set_enrichment", source=source, status=status, expires_in=expires_in, **optional
        )

    def require_mfa(self, providers: list[str], *, remember_device: bool = False) -> None:
        """Refuse with ``mfa_required`` until the person used one of ``providers``."""
        self._record("require_mfa", providers=list(providers), remember_device=remember_device)

    def redirect(self, url: str, **options: Any) -> None:
        """Interrupt the login for a page elsewhere; options: parameters, answer, expires_in."""
        self._record("redirect", url=url, **options)

    def set_saml_attribute(self, name: str, values: list[str]) -> None:
        """Set an attribute of the SAML assertion."""
        self._record("set_saml_attribute", name=name, values=list(values))

    def configure_saml(self, settings: dict[str, Any]) -> None:
        """Change how the SAML response is made."""
        self._record("configure_saml", settings=dict(settings))

    def send_email(self, template: str, *, to: str, data: dict[str, Any] | None = None) -> None:
        """Send a message after the login."""
        self._record("send_email", template=template, to=to, data=data or {})
