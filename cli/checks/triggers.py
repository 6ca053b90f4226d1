"""The pool's triggers, and what runs behind them."""

from __future__ import annotations

from collections.abc import Iterator

from cli.attach import cognito_sources
from cli.attachment import PRE_TOKEN, PRE_TOKEN_TWIN, WITHOUT, arn_of
from cli.checks import Finding, check, error, warning
from cli.checks.subject import Subject
from cli.terminal import PROJECT

_ATTACH = "cognito-rules attach"


@check
def triggers(subject: Subject) -> Iterator[Finding]:
    """Every trigger calls this stack, by its alias."""
    there = subject.pool.get("LambdaConfig") or {}
    for name in subject.wiring.triggers:
        found, wanted = (arn_of(where, name) for where in (there, subject.wiring.triggers))
        if found == wanted:
            continue
        if found is None:
            yield error(f"{name} is not set: {WITHOUT[name]}", f"Run `{_ATTACH}`.")
        elif found == str(wanted).rpartition(":")[0]:
            yield error(
                f"{name} calls the function, not its alias: changes reach logins half deployed",
                f"Run `{_ATTACH} --replace`.",
            )
        else:
            yield error(
                f"{name} calls {found}: {WITHOUT[name]}",
                f"Run `{_ATTACH}`, which says how to keep it or to take its place.",
            )


@check
def trigger_version(subject: Subject) -> Iterator[Finding]:
    """Pre token generation speaks the newest version that the feature plan has."""
    there = subject.pool.get("LambdaConfig") or {}
    versioned = there.get(PRE_TOKEN)
    version = versioned["LambdaVersion"] if versioned else "V1_0"
    if (versioned or PRE_TOKEN_TWIN in there) and version != subject.wiring.version:
        yield error(
            f"Pre token generation is called with {version}, the stack expects "
            f"{subject.wiring.version}: rules change no access tokens and see no machines"
            if version == "V1_0"
            else f"Pre token generation is called with {version}, the stack expects "
            f"{subject.wiring.version}",
            f"Run `{_ATTACH}`.",
        )


@check
def trigger_permission(subject: Subject) -> Iterator[Finding]:
    """Cognito may call the aliases for this pool, and for no other."""
    arn = subject.pool["Arn"]
    for alias in (subject.wiring.login, subject.wiring.sign_up):
        sources = list(cognito_sources(subject.stack, alias))
        if not any(arn in permitted for permitted in sources):
            yield error(
                f"Cognito may not call {alias} for this pool: every sign-in fails",
                f"Deploy the stack with UserPoolId={subject.pool_id}.",
            )
        if any(not permitted or set(permitted) - {arn} for permitted in sources):
            yield error(
                f"Other user pools may call {alias}, and their users are taken for this pool's",
                "Remove that permission from the function.",
            )


@check
def feature_plan(subject: Subject) -> Iterator[Finding]:
    """The pool's feature plan has what the rules do."""
    plan = subject.pool.get("UserPoolTier", "ESSENTIALS")
    if plan == "LITE" and subject.wiring.version != "V1_0":
        yield error(
            f"The pool is on LITE, which does not know {subject.wiring.version} of pre token "
            "generation",
            "Deploy with FeaturePlan=LITE, or change the pool's plan.",
        )
    if plan != "LITE" and subject.wiring.version == "V1_0":
        yield warning(
            f"The pool is on {plan}, the stack works as on LITE: no rule changes access tokens",
            f"Deploy with FeaturePlan={plan}.",
        )
    for entry in subject.enforced:
        if plan == "LITE" and any(write[0] == "access_token" for write in entry.manifest.writes):
            yield error(
                f"{entry.id} changes access tokens, which LITE does not have",
                "Switch the entry off, or change the pool's plan to ESSENTIALS.",
            )


@check
def alias(subject: Subject) -> Iterator[Finding]:
    """The alias that logins call runs what was deployed last."""
    live, latest = (where["Configuration"] for where in (subject.live, subject.latest))
    layers = [[layer["Arn"] for layer in where.get("Layers") or []] for where in (live, latest)]
    if layers[0] != layers[1]:
        yield error(
            f"Logins run version {live['Version']} with {', '.join(layers[0])}, and "
            f"{', '.join(layers[1])} was deployed",
            "Run `sam build && sam deploy` again: the alias is behind the layer.",
        )
    elif live.get("CodeSha256") != latest.get("CodeSha256"):
        yield error(
            f"Logins run version {live['Version']}, whose code is not what was deployed last",
            "Run `sam build && sam deploy` again.",
        )
    if live.get("State", "Active") != "Active":
        yield error(
            f"The function that logins call is {live['State']}: {live.get('StateReason', '')}",
            "Deploy again, or call it once and wait until it is Active.",
        )


@check
def checkout(subject: Subject) -> Iterator[Finding]:
    """What is deployed is this checkout."""
    built = subject.code.get("layer.sha256", b"").decode().strip()
    if built != subject.layer_digest:
        yield warning(
            "The login function was built from other layers than this checkout's",
            "Deploy this checkout, or work from the one that was deployed: what its commands say "
            "of rules and chains need not hold for the stack.",
        )
    deployed = subject.core_layer.get("python/cognito_rules/catalogue.json")
    here = (PROJECT / "layers/core/cognito_rules/catalogue.json").read_bytes()
    if deployed != here:
        yield error(
            "The deployed layer has another catalogue of rules than this checkout: answers of "
            "rules are checked against other manifests",
            "Run `make docs`, then `sam build && sam deploy`.",
        )


@check
def chain(subject: Subject) -> Iterator[Finding]:
    """The chain document that is live is good, and decides something."""
    for problem in subject.chain_problems:
        yield error(
            f"The chain that is live is refused: {problem}", "Correct it and publish it again."
        )
    if not subject.chain_problems and not subject.enforced:
        yield warning(
            "No entry of the chain that is live is enforced: everybody logs in as without rules",
            "Switch rules on in the chain document.",
        )
