"""A hundred sign-ins through the whole stack on the embedded AWS, eight at a time.

People sign in with SRP in turns at two user pools of one emulator: the deployed one, whose rules
run partly as functions of their own, and a bare one without any trigger. What both share (the
client's arithmetic, the emulator's Cognito) is in both figures; the ratio is what the rules add.

The emulator is one Python process, and eight sign-ins at once are more than it can serve in the
time that a trigger has. A guard that gets no answer in time refuses with ``try_again``, and the
person signs in again, as the application would ask; that counts as one long sign-in.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import Any

from bench.sampling import Target, percentile, ratio
from local.server import EmbeddedAws
from local.sign_in import App, SignInRefused
from local.stack import Stack

SIGN_INS, AT_ONCE = 100, 8
# For comparison only, so fewer: they take a third of the turns.
BARE_SIGN_INS = 50
MOST_TRIES = 8
NAMESPACE = "https://example.com/"

# The three remote ones fail closed, so that tokens are whole or not there.
CHAIN = """
[[rules]]
rule = "disable_flagged_users"
when = { applications = ["*"] }
placement = "inline"

[[rules]]
rule = "require_group"
when = { applications = ["*"] }
configuration = { groups = ["staff"] }

[[rules]]
rule = "weekday_access"
when = { applications = ["*"] }
configuration = { days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] }

[[rules]]
rule = "default_user_metadata"
placement = "inline"
[rules.configuration]
namespace = "https://example.com/"
defaults = { color = "blue" }
claims = { color = "favorite_color" }

[[rules]]
rule = "customize_token_claims_and_scopes"
when = { applications = ["*"] }
[rules.configuration]
namespace = "https://example.com/"
id_token_claims = { tenant = "acme" }

[[rules]]
rule = "add_roles_to_tokens"
placement = "inline"
[rules.configuration]
namespace = "https://example.com/"
source = "groups"
"""
EXPECTED = {
    NAMESPACE + "favorite_color": "blue",
    NAMESPACE + "tenant": "acme",
    NAMESPACE + "roles": ["staff"],
}


@dataclass(frozen=True)
class SignIn:
    """How one person's sign-in went: how long, in how many tries, and whether it was right."""

    seconds: float
    tries: int
    problem: str = ""


@dataclass(frozen=True, eq=False)
class Visitor:
    """One person at one pool, and what their tokens must carry."""

    app: App
    username: str
    password: str
    expected: dict[str, Any]

    def sign_in(self) -> SignIn:
        """Sign in with SRP, again when asked to."""
        began = time.perf_counter()
        for tries in count(1):
            try:
                claims = self.app.srp(self.username, self.password).id_claims
                break
            except SignInRefused as refusal:
                if "try_again" not in refusal.message or tries == MOST_TRIES:
                    return SignIn(time.perf_counter() - began, tries, str(refusal))
        seconds = time.perf_counter() - began
        if {name: claims.get(name) for name in self.expected} == self.expected:
            return SignIn(seconds, tries)
        return SignIn(seconds, tries, f"the tokens carry only {sorted(claims)}")


def measure_sign_ins(say: Callable[[str], None]) -> tuple[dict[str, Any], list[Target]]:
    """Deploy, sign people in at both pools, and return how long it took them."""
    with EmbeddedAws.started() as aws:
        stack = Stack.deployed(aws, say=say)
        stack.use_chain(CHAIN)
        ruled, bare = stack.application("bench"), _bare(aws)
        say(f"Making {AT_ONCE + SIGN_INS + BARE_SIGN_INS} people.")
        _make_group(aws, ruled)
        first = [_visitor(aws, ruled, n, EXPECTED) for n in range(AT_ONCE)]
        with_rules = [_visitor(aws, ruled, AT_ONCE + n, EXPECTED) for n in range(SIGN_INS)]
        without_rules = [_visitor(aws, bare, n, {}) for n in range(BARE_SIGN_INS)]
        say(f"Signing them in, {AT_ONCE} at a time.")
        _all_at_once(first)  # they start the functions, and are not counted
        began = time.perf_counter()
        taken = _all_at_once(_in_turns(with_rules, without_rules))
        seconds = time.perf_counter() - began
    return _figures(
        [taken[visitor] for visitor in with_rules],
        [taken[visitor] for visitor in without_rules],
        seconds,
    )


def _figures(
    with_rules: list[SignIn], without_rules: list[SignIn], seconds: float
) -> tuple[dict[str, Any], list[Target]]:
    walls = [sign_in.seconds for sign_in in with_rules]
    bare_walls = [sign_in.seconds for sign_in in without_rules]
    wrong = [sign_in.problem for sign_in in with_rules if sign_in.problem]
    figures = {
        "sign_ins": len(walls),
        "at_once": AT_ONCE,
        "seconds": seconds,
        "with_rules": _latencies(walls),
        "without_rules": _latencies(bare_walls),
        "p50_ratio": ratio(walls, bare_walls),
        "tried_again": sum(sign_in.tries > 1 for sign_in in with_rules),
        "problems": sorted(set(wrong)),
        "sorted_ms": {
            "with_rules": sorted(round(wall * 1000, 1) for wall in walls),
            "without_rules": sorted(round(wall * 1000, 1) for wall in bare_walls),
        },
    }
    name = f"of {len(walls)} sign-ins at concurrency {AT_ONCE}, those without the right tokens"
    return figures, [Target(name, float(len(wrong)), 0.0, "sign-ins")]


def _latencies(walls: list[float]) -> dict[str, float]:
    return {f"p{n}_ms": percentile(walls, n) * 1000 for n in (50, 95, 99)}


def _in_turns(many: list[Visitor], few: list[Visitor]) -> list[Visitor]:
    """Return all visitors, the few spread evenly between the many."""
    placed = [((n + 0.5) / len(group), v) for group in (many, few) for n, v in enumerate(group)]
    return [visitor for _, visitor in sorted(placed, key=lambda item: item[0])]


def _all_at_once(visitors: list[Visitor]) -> dict[Visitor, SignIn]:
    """Sign all visitors in, ``AT_ONCE`` at a time."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return dict(zip(visitors, threads.map(Visitor.sign_in, visitors), strict=True))


def _bare(aws: EmbeddedAws) -> App:
    """Make a user pool that calls nobody."""
    cognito = aws.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName="bare", UserPoolTier="ESSENTIALS")["UserPool"]
    client = cognito.create_user_pool_client(
        UserPoolId=pool["Id"],
        ClientName="bench",
        ExplicitAuthFlows=["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
    )["UserPoolClient"]
    app = App(aws, pool["Id"], client["ClientId"])
    _make_group(aws, app)
    return app


def _make_group(aws: EmbeddedAws, app: App) -> None:
    aws.client("cognito-idp").create_group(UserPoolId=app.pool_id, GroupName="staff")


def _visitor(aws: EmbeddedAws, app: App, number: int, expected: dict[str, Any]) -> Visitor:
    cognito = aws.client("cognito-idp")
    username, password = f"bench-{number}@example.com", f"Aa1-{secrets.token_urlsafe(12)}"
    attributes = {"email": username, "email_verified": "true"}
    created = cognito.admin_create_user(
        UserPoolId=app.pool_id,
        Username=username,
        MessageAction="SUPPRESS",
        UserAttributes=[{"Name": name, "Value": value} for name, value in attributes.items()],
    )["User"]
    cognito.admin_set_user_password(
        UserPoolId=app.pool_id, Username=username, Password=password, Permanent=True
    )
    cognito.admin_add_user_to_group(
        UserPoolId=app.pool_id, Username=created["Username"], GroupName="staff"
    )
    return Visitor(app, username, password, expected)
