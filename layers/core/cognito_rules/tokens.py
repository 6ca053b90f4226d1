"""From the effects of a decision to the response that Cognito makes tokens from.

Source: AWS, "Pre token generation Lambda trigger". A response without groupOverrideDetails, or with
an empty one, takes the groups away, so the groups of the event are always sent back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cognito_rules import claims
from cognito_rules.chain import Entry
from cognito_rules.planner import Answer
from cognito_rules.protocol import Effect

NO_ROLE = ":none:"


@dataclass
class TokenPlan:
    """What the effects of all entries come to, in document order; the last one wins.

    A claim that any of them removes is removed, as Cognito itself has it: who takes something out
    of a token does so in order not to disclose it.
    """

    set_claims: dict[str, dict[str, Any]] = field(default_factory=lambda: {"id": {}, "access": {}})
    removed_claims: dict[str, set[str]] = field(
        default_factory=lambda: {"id": set(), "access": set()}
    )
    # Attributes are claims of the ID token where no rule sets the claim itself.
    profile: dict[str, Any] = field(default_factory=dict)
    scopes: dict[str, bool] = field(default_factory=dict)
    groups: list[str] | None = None
    role_arns: list[str] | None = None
    preferred_role: str | None = None
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, answers: Iterable[tuple[Entry, Answer]], roles: Mapping[str, str]) -> TokenPlan:
        """Return the plan of the enforced answers; ``roles`` maps role keys to ARNs."""
        effects = (effect for _, answer in answers for effect in answer.effects)
        return cls.of_effects(effects, roles)

    @classmethod
    def of_effects(cls, effects: Iterable[Effect], roles: Mapping[str, str]) -> TokenPlan:
        """Return the plan of effects in document order."""
        plan = cls()
        for effect in effects:
            plan._take(effect)
        plan._add_granted_tag(roles)
        return plan

    def _take(self, effect: Mapping[str, Any]) -> None:
        match effect["effect"]:
            case "set_claim":
                self.set_claims[effect["token"]].pop(effect["name"], None)
                self.set_claims[effect["token"]][effect["name"]] = effect["value"]
            case "remove_claim":
                self.removed_claims[effect["token"]].add(effect["name"])
            case "add_scope":
                self.scopes[effect["scope"]] = True
            case "remove_scope":
                self.scopes[effect["scope"]] = False
            case "set_groups":
                self.groups = effect["groups"]
            case "set_aws_role":
                self.role_arns = effect["role_arns"]
                self.preferred_role = effect.get("preferred")
            case "set_session_tags":
                for key, value in effect["tags"].items():
                    self.set_claims["id"][claims.tag_claim(key)] = value
            case "set_profile":
                self.profile[effect["attribute"]] = effect["value"]

    def _add_granted_tag(self, roles: Mapping[str, str]) -> None:
        """Bind AWS sessions to the roles that were granted; trust policies ask for this tag."""
        if self.role_arns is None:
            return
        keys = {arn: key for key, arn in roles.items()}
        # A role that a Cognito group carries has no key: its trust policy is its owner's affair.
        granted = [keys[arn] for arn in self.role_arns if arn in keys]
        tag = ":" + ":".join(granted) + ":" if granted else NO_ROLE
        self.set_claims["id"][claims.GRANTED_TAG_CLAIM] = tag

    @property
    def restricts_access(self) -> bool:
        """Whether something is taken out of the access token."""
        return bool(self.removed_claims["access"]) or False in self.scopes.values()

    def claims_within_budget(self, token: str) -> dict[str, Any]:
        """Return the claims to set, without those that no longer fit into 6 KiB, in rule order."""
        wanted = self.set_claims[token]
        if token == "id":
            wanted = wanted | {k: v for k, v in self.profile.items() if k not in wanted}
        kept: dict[str, Any] = {}
        size = 2
        for name, value in wanted.items():
            if name in self.removed_claims[token]:
                continue
            more = claims.claim_size(name, value)
            # What AWS roles hang on is never the claim that is dropped.
            droppable = not name.startswith(claims.TAG_CLAIM_PREFIX)
            if droppable and size + more > claims.MAX_CLAIM_BYTES:
                self.warnings.append(f"claim_budget_exceeded:{token}:{name}")
                continue
            size += more
            kept[name] = value
        return kept


def token_response(plan: TokenPlan, request: Mapping[str, Any], *, version: str) -> dict[str, Any]:
    """Return the ``response`` of a pre token generation event.

    ``version`` is V3_0 (or V2_0, of the same shape) or V1_0, which carries ID token texts only.
    """
    groups = _groups(plan, request)
    if version == "V1_0":
        return {"claimsOverrideDetails": _version_1(plan, groups)}
    details: dict[str, Any] = {}
    for token in ("id", "access"):
        details[f"{token}TokenGeneration"] = {
            "claimsToAddOrOverride": plan.claims_within_budget(token),
            "claimsToSuppress": sorted(plan.removed_claims[token]),
        }
    told = request.get("scopes")
    requested = told if isinstance(told, list) else []
    details["accessTokenGeneration"] |= {
        "scopesToAdd": [s for s, wanted in plan.scopes.items() if wanted and s not in requested],
        "scopesToSuppress": [s for s in requested if plan.scopes.get(s) is False],
    }
    if groups is not None:
        details["groupOverrideDetails"] = groups
    return {"claimsAndScopeOverrideDetails": details}


def _groups(plan: TokenPlan, request: Mapping[str, Any]) -> dict[str, Any] | None:
    told = request.get("groupConfiguration")
    given: Mapping[str, Any] = told if isinstance(told, dict) else {}
    if not given and plan.groups is None and plan.role_arns is None:
        return None  # a machine has no groups to keep
    groups = plan.groups if plan.groups is not None else given.get("groupsToOverride") or []
    roles = given.get("iamRolesToOverride") or []
    preferred = given.get("preferredRole")
    if plan.role_arns is not None:
        roles, preferred = plan.role_arns, plan.preferred_role
    details: dict[str, Any] = {"groupsToOverride": groups, "iamRolesToOverride": roles}
    # An empty text would be a role of that name: without a preference the key is left out.
    return details | ({"preferredRole": preferred} if preferred else {})


def _version_1(plan: TokenPlan, groups: dict[str, Any] | None) -> dict[str, Any]:
    kept = plan.claims_within_budget("id")
    texts = {
        name: value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        for name, value in kept.items()
    }
    details: dict[str, Any] = {
        "claimsToAddOrOverride": texts,
        "claimsToSuppress": sorted(plan.removed_claims["id"]),
    }
    return details | ({"groupOverrideDetails": groups} if groups is not None else {})


def beyond_version_1(plan: TokenPlan) -> list[str]:
    """Return what a V1_0 response leaves out of the plan, for the log."""
    lost = [f"access:{name}" for name in plan.set_claims["access"]]
    lost += [f"access:-{name}" for name in sorted(plan.removed_claims["access"])]
    return lost + [f"scope:{scope}" for scope in plan.scopes]
