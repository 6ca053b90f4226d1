"""A hundred sign-ins through the whole stack on the embedded AWS, eight at a time.

People sign in with SRP in turns at two user pools of one emulator: the deployed one, whose rules
run as functions of their own, and a bare one without any trigger. What both share (the client's
SRP, the emulator's Cognito) is then in both figures, and the ratio is what the rules add.
"""

from __future__ import annotations

import secrets
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.sampling import Target, percentile
from local.server import EmbeddedAws
from local.sign_in import App, SignInRefused
from local.stack import Stack

SIGN_INS, AT_ONCE = 100, 8
_WARM_UPS = 6
NAMESPACE = "https://example.com/"

# Two guards and a writer before the tokens, two rules on them; three are remote.
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
rule = "default_user_metadata"
[rules.configuration]
namespace = "https://example.com/"
defaults = { color = "blue" }
claims = { color = "favorite_color" }

[[rules]]
rule = "customize_token_claims_and_scopes"
when = { applications = ["*"] }
placement = "inline"
[rules.configuration]
namespace = "https://example.com/"
id_token_claims = { tenant = "acme" }

[[rules]]
rule = "add_roles_to_tokens"
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
class Visitor:
    """One person at one pool, and what their tokens must carry."""

    app: App
    username: str
    password: str
    expected: dict[str, Any]

    def sign_in(self) -> float | str:
        """Sign in with SRP; return the seconds it took, or why there are no right tokens."""
        began = time.perf_counter()
        try:
            claims = self.app.srp(self.username, self.password).id_claims
        except SignInRefused as refusal:
            return str(refusal)
        took = time.perf_counter() - began
        if {name: claims.get(name) for name in self.expected} != self.expected:
            return f"the tokens do not carry what the rules granted: {sorted(claims)}"
        return took


def measure_sign_ins(say: Callable[[str], None]) -> tuple[dict[str, Any], list[Target]]:
    """Deploy, sign people in, and return latencies; every sign-in must give the right tokens."""
    with EmbeddedAws.started() as aws:
        stack = Stack.deployed(aws, say=say)
        stack.use_chain(CHAIN)
        pools = {"with_rules": _ruled(stack), "without_rules": _bare(aws)}
        say(f"Making {2 * (SIGN_INS + AT_ONCE)} people.")
        visitors = {
            name: [_visitor(name, app, aws, number) for number in range(SIGN_INS + AT_ONCE)]
            for name, app in pools.items()
        }
        say(f"Signing {SIGN_INS} of them in at each pool, {AT_ONCE} at a time.")
        _warm_up([several[:AT_ONCE] for several in visitors.values()])
        began = time.perf_counter()
        answers = _all_at_once([several[AT_ONCE:] for several in visitors.values()])
        seconds = time.perf_counter() - began
    taken = [[answer for answer in group if isinstance(answer, float)] for group in answers]
    failures = [answer for group in answers for answer in group if isinstance(answer, str)]
    if not all(taken):
        raise RuntimeError(f"nobody could sign in: {failures[0]}")
    figures: dict[str, Any] = {
        name: _latencies(walls) for name, walls in zip(visitors, taken, strict=True)
    }
    figures |= {
        "failures": sorted(set(failures)),
        "sign_ins": SIGN_INS,
        "at_once": AT_ONCE,
        "seconds": seconds,
        "p50_ratio": median(taken[0]) / median(taken[1]),
        "sorted_ms": {
            name: sorted(round(wall * 1000, 1) for wall in walls)
            for name, walls in zip(visitors, taken, strict=True)
        },
    }
    name = f"of {SIGN_INS} sign-ins at concurrency {AT_ONCE}, those without the right tokens"
    return figures, [Target(name, float(SIGN_INS - len(taken[0])), 0.0, "sign-ins")]


def _warm_up(groups: list[list[Visitor]]) -> None:
    """Start every function as often as it will run at once; a cold guard may refuse in time."""
    for _ in range(_WARM_UPS):
        answers = _all_at_once(groups)
        if all(isinstance(answer, float) for group in answers for answer in group):
            return


def _latencies(walls: list[float]) -> dict[str, float]:
    return {f"p{n}_ms": percentile(walls, n) * 1000 for n in (50, 95, 99)}


def _all_at_once(groups: list[list[Visitor]]) -> list[list[float | str]]:
    """Sign all visitors in, the groups in turns, ``AT_ONCE`` at a time; answers by group."""
    in_turns = [
        (i, visitor) for pair in zip(*groups, strict=True) for i, visitor in enumerate(pair)
    ]
    taken: dict[int, list[float | str]] = defaultdict(list)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for group, wall in threads.map(lambda turn: (turn[0], turn[1].sign_in()), in_turns):
            taken[group].append(wall)
    return [taken[group] for group in range(len(groups))]


def _ruled(stack: Stack) -> App:
    return stack.application("bench")


def _bare(aws: EmbeddedAws) -> App:
    """Make a user pool that calls nobody."""
    cognito = aws.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName="bare", UserPoolTier="ESSENTIALS")["UserPool"]
    client = cognito.create_user_pool_client(
        UserPoolId=pool["Id"],
        ClientName="bench",
        ExplicitAuthFlows=["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
    )["UserPoolClient"]
    return App(aws, pool["Id"], client["ClientId"])


def _visitor(name: str, app: App, aws: EmbeddedAws, number: int) -> Visitor:
    cognito = aws.client("cognito-idp")
    username, password = f"bench-{number}@example.com", f"Aa1-{secrets.token_urlsafe(12)}"
    created = cognito.admin_create_user(
        UserPoolId=app.pool_id,
        Username=username,
        MessageAction="SUPPRESS",
        UserAttributes=[
            {"Name": "email", "Value": username},
            {"Name": "email_verified", "Value": "true"},
        ],
    )["User"]
    cognito.admin_set_user_password(
        UserPoolId=app.pool_id, Username=username, Password=password, Permanent=True
    )
    if name == "without_rules":
        return Visitor(app, username, password, {})
    if number == 0:
        cognito.create_group(UserPoolId=app.pool_id, GroupName="staff")
    cognito.admin_add_user_to_group(
        UserPoolId=app.pool_id, Username=created["Username"], GroupName="staff"
    )
    return Visitor(app, username, password, EXPECTED)
