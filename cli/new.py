"""``cognito-rules new``: the files of a new rule, which its author then fills."""

from __future__ import annotations

import re
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from cli.terminal import PROJECT, out, stop
from cognito_rules.manifest import STAGES
from tools import catalogue, docs

_NAME = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)+")
_LONGEST_NAME = 40
_WIDTH = 80
_SCAFFOLD = Path(__file__).resolve().parent / "scaffold"
# Where the last rules end in template.yaml.
_AFTER_RULES = re.compile(r"^  # FLOWS -+$", re.MULTILINE)


def new_rule(
    name: Annotated[
        str,
        typer.Argument(
            metavar="RULE",
            help="What it does for the user, such as add_email_to_access_token.",
            show_default=False,
        ),
    ],
    stage: Annotated[
        str, typer.Option(help="When it runs: sign_up, post_authentication or token.")
    ] = "post_authentication",
    category: Annotated[
        str, typer.Option(help="Its section of template.yaml and docs/rules.md.")
    ] = "Authorization",
    guard: Annotated[
        bool, typer.Option("--guard/--enricher", help="Refuse the login when it fails, or go on.")
    ] = True,
) -> None:
    """Make a rule: code, manifest, event, test, stanza in template.yaml, line in CHANGELOG.md.

    It deploys, and causes nothing; its tests fail until its cases and its event are written. Exit
    code 2: the name or an option is wrong, and nothing was written.
    """
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        stop(
            f"{name!r} is no name for a rule: two or more words in snake_case, at most 40 letters."
        )
    if stage == "after_login":
        stop("An after_login rule has a queue and a subscription too: copy record_events_splunk.")
    if stage not in STAGES:
        stop(f"There is no stage {stage!r}: there are {', '.join(STAGES)}.")
    if not re.fullmatch(r"[A-Z][A-Za-z ]+", category):
        stop(f"{category!r} is no category: letters and blanks, such as User management.")
    words = {
        "rule": name,
        "stage": stage,
        "category": category,
        "title": name.replace("_", " ").capitalize(),
        "on_error": "deny" if guard else "continue",
        "logical_id": "".join(word.capitalize() for word in name.split("_")) + "Rule",
    }
    files = {
        PROJECT / f"functions/{name}/rule.toml": "rule.toml",
        PROJECT / f"functions/{name}/app.py": "app.py",
        PROJECT / f"events/{name}.json": "event.json",
        PROJECT / f"tests/unit/rules/test_{name}.py": "test.py",
    }
    for path in files:
        if path.exists():
            stop(f"{path.relative_to(PROJECT)} exists already; nothing was written.")
    template = _with_stanza(PROJECT / "template.yaml", words)
    for path, scaffold in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_filled(scaffold, words), encoding="utf-8")
        out.print(f"wrote {path.relative_to(PROJECT)}", highlight=False)
    (PROJECT / "template.yaml").write_text(template, encoding="utf-8")
    _add_to_changelog(PROJECT / "CHANGELOG.md", name)
    out.print("changed template.yaml and CHANGELOG.md", highlight=False)
    catalogue.main([])
    docs.main([])
    out.print(f"Next: write the cases in tests/unit/rules/test_{name}.py, then the rule.")


def _filled(scaffold: str, words: dict[str, str]) -> str:
    return Template((_SCAFFOLD / f"{scaffold}.txt").read_text(encoding="utf-8")).substitute(words)


def _with_stanza(path: Path, words: dict[str, str]) -> str:
    """Return template.yaml with the rule's function at the end of its category's section."""
    text = path.read_text(encoding="utf-8")
    stanza = _filled("stanza.yaml", words) + "\n"
    title = f"  # RULES: {words['category'].upper()} "
    after = _AFTER_RULES.search(text)
    if after is None:
        stop("template.yaml has no section FLOWS, before which rules stand; nothing was written.")
    begin = text.find(title)
    if begin < 0:
        stanza = f"{title}{'-' * (_WIDTH - len(title))}\n{stanza}"
        return text[: after.start()] + stanza + text[after.start() :]
    following = re.compile(r"^  # (?:RULES: [A-Z ]+|FLOWS) -+$", re.MULTILINE)
    end = following.search(text, begin + len(title))
    position = end.start() if end else after.start()
    return text[:position] + stanza + text[position:]


def _add_to_changelog(path: Path, name: str) -> None:
    text = path.read_text(encoding="utf-8")
    before, heading, rest = text.partition("### Added\n\n")
    path.write_text(f"{before}{heading}- Rule `{name}`.\n{rest}", encoding="utf-8")
