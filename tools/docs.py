"""Write the generated pages, the README's table and the schema of chain.toml.

Usage: ``python -m tools.docs [--check]``; ``--check`` writes nothing and exits 1 when the page is
stale.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from cognito_rules.configuration import Setting
from cognito_rules.consent import DEFAULT_CONSENT
from cognito_rules.fields import EVERYTHING, TOKEN_STAGE_ONLY, meets
from cognito_rules.fields import Path as FieldPath
from cognito_rules.manifest import Manifest
from tools import chain_schema, command_line, costs
from tools.catalogue import ROOT, manifests, write_or_check

PAGE = Path("docs/rules.md")
README = Path("README.md")
_BEGIN, _END = "<!-- rules -->\n", "<!-- /rules -->\n"

_INTRODUCTION = """\
<!-- Written by `make docs` from functions/*/rule.toml and events/*.json: change those. -->

# The rules

Each rule is a function of its own, switched on by an entry in the chain document. This page says
what each one sees, what it may cause, and how it is set up; [protocol.md](protocol.md) explains the
words. Settings marked *template* are given in `template.yaml` and nowhere else. Which applications,
connections and percentage of users a rule is for is said by its entry (`when`, `rollout`), not by
its settings.
"""

_STAGES = {
    "sign_up": "at sign-up",
    "challenge": "in a challenge",
    "post_authentication": "once the person is authenticated",
    "token": "when tokens are made",
    "after_login": "after the login, from a queue",
}
_CONSENT = {
    "off": "it asks for no consent",
    "opt_out": "a person can refuse",
    "opt_in": "only for a person who agreed",
}
_DUPLICATES = {
    "never": "shows each copy of an event that it gets twice",
    "for_a_day": "drops a second copy of an event for about a day",
    "always": "shows an event once, however often it gets it",
}
_ON_ERROR = {"deny": "the login is refused", "continue": "the login goes on without it"}


def page(root: Path) -> str:
    """Return the text of docs/rules.md for the checkout at ``root``."""
    rules = sorted(manifests(root), key=lambda rule: (rule.category, rule.name))
    lines = [_INTRODUCTION, *_contents(rules)]
    for rule in rules:
        event = json.loads((root / "events" / f"{rule.name}.json").read_text(encoding="utf-8"))
        lines += ["", *_section(rule, event)]
    return "\n".join(lines) + "\n"


def _contents(rules: Iterable[Manifest]) -> Iterator[str]:
    yield "| | rule | what it does | runs | on a fault |"
    yield "|---|---|---|---|---|"
    for category, group in groupby(rules, key=lambda rule: rule.category):
        for index, rule in enumerate(group):
            shown = f"**{category}**" if index == 0 else ""
            yield _row(
                shown,
                f"[{rule.name}](#{rule.name})",
                rule.summary,
                _STAGES[rule.stage],
                _ON_ERROR[rule.on_error],
            )


def readme(root: Path) -> str:
    """Return the README with the table of rules between its two marks."""
    before, _, rest = (root / README).read_text(encoding="utf-8").partition(_BEGIN)
    _, _, after = rest.partition(_END)
    rows = (
        _row(f"[{rule.name}]({PAGE}#{rule.name})", rule.summary)
        for rule in sorted(manifests(root), key=lambda rule: (rule.category, rule.name))
    )
    table = "\n".join(["", "| rule | what it does |", "|---|---|", *rows, "", ""])
    return f"{before}{_BEGIN}{table}{_END}{after}"


def _section(rule: Manifest, event: dict[str, Any]) -> Iterator[str]:
    yield f"## {rule.name}"
    yield ""
    yield f"**{rule.title}.** {rule.summary}"
    yield ""
    yield from _facts(rule)
    yield ""
    settings = [row for setting in rule.settings.settings for row in _setting(setting)]
    if settings:
        yield "| setting | type | default | meaning |"
        yield "|---|---|---|---|"
        yield from settings
    else:
        yield "No settings."
    yield ""
    yield from _example(event)


def _facts(rule: Manifest) -> Iterator[str]:
    yield f"- Runs {_STAGES[rule.stage]}; on a fault {_ON_ERROR[rule.on_error]}."
    late = [str(read) for read in rule.reads if _is_known_late(read.path)]
    if late and rule.stage == "post_authentication":
        yield f"- Waits for the token stage, which alone knows {_codes(late)}."
    if rule.runs_on_refresh:
        yield "- Runs again when tokens are refreshed, unless its entry says otherwise."
    if rule.runs_on_client_credentials:
        yield "- Also runs for machines (client credentials)."
    if rule.runs_on_sign_up and rule.stage != "sign_up":
        yield "- Also runs at sign-up, before the account exists."
    if rule.needs_applications:
        yield '- Its entry must name applications: `["*"]` is refused.'
    if rule.events:
        yield f"- Hears of {_codes(rule.events)}."
    if rule.purpose:
        yield f"- Its purpose is {rule.purpose}: {_CONSENT[DEFAULT_CONSENT[rule.purpose]]}."
    if rule.once_per_user:
        unless = f", unless `{rule.once_unless}` is true" if rule.once_unless else ""
        yield f"- Runs once for each person, for ever{unless}."
    if rule.imported_markers:
        markers = _codes(".".join(marker) for marker in rule.imported_markers)
        yield f"- Where it runs once for each person: not for those who bring {markers}."
    if rule.stage == "after_login":
        yield f"- The other system {_DUPLICATES[rule.drops_duplicates]}."
    if rule.forgets:
        reads = _codes(str(read) for read in rule.forget_reads if read.path[0] != "event")
        yield f"- Has a person who was deleted forgotten there; reads {reads} for it."
    yield f"- Reads {_codes(map(str, rule.reads)) or 'nothing'}."
    yield f"- Writes {_codes('.'.join(write) for write in rule.writes) or 'nothing'}."
    if rule.secrets:
        yield f"- Secrets: {_codes(rule.secrets)}."
    if rule.external:
        yield "- Calls another system: it waits until no earlier guard can refuse the login."
    if rule.is_pure:
        yield '- Pure: an entry can say `placement = "inline"`.'
    if rule.seed:
        yield f"- Answers the Auth0 use case “{rule.seed}”."


def _setting(setting: Setting) -> Iterator[str]:
    default = "required" if setting.required else ""
    if not setting.required and setting.default is not None:
        default = f"`{json.dumps(setting.default, ensure_ascii=False)}`"
    meaning = setting.help
    limits = _limits(setting)
    if limits:
        meaning += f" ({limits})"
    if setting.from_template:
        meaning += " *template*"
    yield _row(f"`{setting.name}`", setting.type, default, meaning)
    for field in setting.fields:
        yield from _setting(field)


def _limits(setting: Setting) -> str:
    """Return what the schema says beyond the type, in words."""
    schema = setting.schema
    words = [f"at least {schema['minItems']} item"] if schema.get("minItems") == 1 else []
    while "items" in schema or isinstance(schema.get("additionalProperties"), dict):
        schema = schema.get("items") or schema["additionalProperties"]
    if "enum" in schema:
        words.append("one of " + ", ".join(json.dumps(choice) for choice in schema["enum"]))
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        words.append(f"{low} to {high}")
    elif low is not None:
        words.append(f"at least {low}")
    elif high is not None:
        words.append(f"at most {high}")
    return "; ".join(words)


def _example(event: dict[str, Any]) -> Iterator[str]:
    shown = {key: event[key] for key in ("login", "template", "configuration") if event.get(key)}
    yield "For example, of"
    yield ""
    yield from _json(shown)
    yield ""
    if not event["expect"]:
        yield "it causes no effect in the login."
        return
    yield "it makes"
    yield ""
    yield from _json(event["expect"])


def _is_known_late(path: FieldPath) -> bool:
    return path == EVERYTHING or any(meets(path, late) for late in TOKEN_STAGE_ONLY)


def _json(value: Any) -> Iterator[str]:
    yield "```json"
    yield from pretty(value).split("\n")
    yield "```"


def pretty(value: Any, indent: str = "") -> str:
    """Return JSON with every object and list on one line that fits into 88 columns."""
    line = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(line) <= 88 or not isinstance(value, (dict, list)):
        return line
    inner = indent + "  "
    if isinstance(value, dict):
        rows = [f"{json.dumps(key)}: {pretty(item, inner)}" for key, item in value.items()]
        opening, closing = "{", "}"
    else:
        rows = [pretty(item, inner) for item in value]
        opening, closing = "[", "]"
    body = ",\n".join(inner + row for row in rows)
    return f"{opening}\n{body}\n{indent}{closing}"


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when stale")
    check = parser.parse_args(arguments).check
    files = {
        ROOT / PAGE: page(ROOT),
        ROOT / README: readme(ROOT),
        ROOT / command_line.PAGE: command_line.page(),
        ROOT / costs.PAGE: costs.page(ROOT),
        ROOT / chain_schema.SCHEMA: chain_schema.schema(ROOT),
    }
    return write_or_check(files, check=check, command="make docs")


if __name__ == "__main__":
    sys.exit(main())
