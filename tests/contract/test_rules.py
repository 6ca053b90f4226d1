"""What holds for every rule, over the folders."""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from cognito_rules.configuration import Setting
from cognito_rules.fields import Facts
from cognito_rules.manifest import catalogue
from cognito_rules.testing import a_context, a_login, is_as_expected
from tests.contract.rule_folders import FUNCTIONS, MANIFESTS, RULES, event_of, load
from tools import catalogue as catalogue_tool
from tools import docs as docs_tool

PURE = [name for name in RULES if MANIFESTS[name].is_pure]
# What calls another system is run with its sample event by its own test, against a stand-in of it.
EXTERNAL = [name for name in RULES if MANIFESTS[name].external]
SELF_CONTAINED = [name for name in RULES if name not in EXTERNAL]

SCHEMAS = Path("layers/core/cognito_rules/schemas")

# Modules without I/O; time comes from login.now, randomness has no place in a decision.
STANDARD_LIBRARY = frozenset(
    {
        *("base64", "binascii", "collections", "collections.abc", "dataclasses", "datetime"),
        *("decimal", "enum", "fnmatch", "functools", "hashlib", "hmac", "ipaddress", "itertools"),
        *("json", "math", "operator", "re", "string", "textwrap", "typing", "unicodedata"),
        "urllib.parse",
    }
)
HEAVY = ("boto3", "botocore", "requests", "pydantic")


def schema(name: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads((SCHEMAS / f"{name}.json").read_text()))


def test_there_are_rules() -> None:
    assert len(RULES) >= 10
    assert PURE
    assert EXTERNAL


@pytest.mark.parametrize("name", RULES)
def test_a_name_fits_the_limits_of_functions_and_says_what_it_does(name: str) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)+", name)
    assert len(name) <= 40


@pytest.mark.parametrize("name", RULES)
def test_a_folder_holds_exactly_the_rule_and_its_manifest(name: str) -> None:
    found = {path.name for path in (FUNCTIONS / name).iterdir()} - {"__pycache__"}

    assert found == {"app.py", "rule.toml"}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_has_a_test_module(name: str) -> None:
    tests = Path(f"tests/unit/rules/test_{name}.py").read_text()

    assert f"from functions.{name}.app import rule" in tests


@pytest.mark.parametrize("name", RULES)
def test_a_manifest_is_worded_for_readers(name: str) -> None:
    manifest = MANIFESTS[name]

    assert manifest.summary.endswith(".")
    assert not manifest.title.endswith(".")
    for setting in _all_settings(manifest.settings.settings):
        assert setting.help, setting.name


def _all_settings(settings: tuple[Setting, ...]) -> Iterator[Setting]:
    for setting in settings:
        yield setting
        yield from _all_settings(setting.fields)


@pytest.mark.parametrize("name", RULES)
def test_the_docstring_says_what_is_read_and_written_and_from_where_it_is_known(name: str) -> None:
    text = load(name).__doc__ or ""

    for word in ("Reads:", "Writes:", "Source:"):
        assert re.search(rf"^ *{word} +\S", text, re.MULTILINE), word


@pytest.mark.parametrize("name", RULES)
def test_the_sample_event_is_a_request(name: str) -> None:
    errors = [error.message for error in schema("request").iter_errors(event_of(name))]

    assert errors == []


@pytest.mark.parametrize("name", RULES)
def test_the_sample_event_holds_nothing_that_the_rule_does_not_read(name: str) -> None:
    facts = event_of(name)["login"]
    for clock in ("now", "unknown"):
        facts.pop(clock, None)

    view = a_login(**facts).seen_by(MANIFESTS[name].reads).facts

    assert _known(view) == facts


def _known(view: Facts) -> Facts:
    """Return a projection without its unknown fields, which the sample leaves out."""
    sections = {
        section: {field: value for field, value in fields.items() if value is not None}
        for section, fields in view.items()
    }
    return {section: fields for section, fields in sections.items() if fields}


@pytest.mark.parametrize("name", SELF_CONTAINED)
def test_the_sample_event_gives_what_it_expects(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    event = event_of(name)
    monkeypatch.setenv("RULE_SETTINGS", json.dumps(event.get("template", {})))

    response = load(name)(event, a_context())

    assert is_as_expected(event["expect"], response.get("effects")), response
    assert response.get("warnings", []) == event.get("expect_warnings", [])
    assert [error.message for error in schema("response").iter_errors(response)] == []


@pytest.mark.parametrize("name", SELF_CONTAINED)
def test_the_sample_event_shows_an_effect(name: str) -> None:
    assert event_of(name)["expect"]


@pytest.mark.parametrize("name", EXTERNAL)
def test_a_rule_that_calls_out_is_tried_with_its_sample_by_its_own_test(name: str) -> None:
    tests = Path(f"tests/unit/rules/test_{name}.py").read_text()

    assert f"events/{name}.json" in tests


@pytest.mark.parametrize("name", SELF_CONTAINED)
def test_defaults_alone_are_a_legal_configuration(name: str) -> None:
    event = event_of(name)
    rule = load(name)
    given = {**event["configuration"], **event.get("template", {})}
    required = {s.name for s in rule.manifest.settings.settings if s.required}
    least = {setting: value for setting, value in given.items() if setting in required}
    template = rule.manifest.settings.from_template

    configuration = rule.configure(
        {k: v for k, v in least.items() if k not in template},
        {k: v for k, v in least.items() if k in template},
    )

    assert set(configuration) == {s.name for s in rule.manifest.settings.settings}


@pytest.mark.parametrize("name", RULES)
def test_every_default_is_of_its_own_type(name: str) -> None:
    for setting in _all_settings(MANIFESTS[name].settings.settings):
        if setting.default is not None:
            filled = setting.fill(setting.default)
            assert list(Draft202012Validator(setting.schema).iter_errors(filled)) == []


@pytest.mark.parametrize("name", [name for name in RULES if MANIFESTS[name].settings.from_template])
def test_a_request_cannot_carry_a_setting_of_the_template(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = event_of(name)
    monkeypatch.setenv("RULE_SETTINGS", json.dumps(event.get("template", {})))
    for setting in MANIFESTS[name].settings.from_template:
        changed = {**event, "configuration": {**event["configuration"], setting: {}}}

        response = load(name).answer(changed)

        assert response["fault"]["code"] == "configuration_error"
        assert setting in response["fault"]["message"]


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(None, id="null"),
        pytest.param([], id="a list"),
        pytest.param({}, id="an empty object"),
        pytest.param({"version": 2, "login": {}, "configuration": {}}, id="another version"),
        pytest.param({"version": 1, "configuration": {}}, id="no login"),
        pytest.param({"version": 1, "login": [], "configuration": {}}, id="a login that is none"),
        pytest.param({"version": 1, "login": {"now": "soon"}, "configuration": {}}, id="no time"),
        pytest.param({"version": 1, "login": {}, "configuration": [1]}, id="no configuration"),
        pytest.param({"version": 1, "login": {}, "configuration": {"?": 1}}, id="unknown setting"),
    ],
)
@pytest.mark.parametrize("name", RULES)
def test_junk_is_answered_with_a_fault(name: str, request_: Any) -> None:
    response = load(name)(request_, a_context())

    assert response["fault"]["code"] == "configuration_error"
    assert [error.message for error in schema("response").iter_errors(response)] == []


@pytest.mark.parametrize("name", RULES)
def test_a_rule_imports_nothing_that_reaches_outside(name: str) -> None:
    imported = set(_imports(FUNCTIONS / name / "app.py"))

    allowed = {"cognito_rules", *STANDARD_LIBRARY}
    if name not in PURE:
        # A rule that calls out does so through the layer, which owns each outside thing.
        imported = {m for m in imported if not m.startswith("cognito_rules.")}
    assert imported <= allowed


@pytest.mark.parametrize("name", PURE)
def test_a_pure_rule_imports_public_names_only(name: str) -> None:
    import cognito_rules

    tree = ast.parse((FUNCTIONS / name / "app.py").read_text())
    names = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "cognito_rules"
        for alias in node.names
    }

    assert names <= set(cognito_rules.__all__)


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            # The ways around an import statement.
            assert node.func.id not in ("__import__", "open", "eval", "exec", "compile")


def test_importing_rules_that_keep_to_themselves_loads_nothing_heavy() -> None:
    script = (
        "import importlib, json, sys\n"
        "found = {}\n"
        f"for name in {SELF_CONTAINED!r}:\n"
        "    importlib.import_module(f'functions.{name}.app')\n"
        f"    heavy = [m for m in {HEAVY!r} if m in sys.modules]\n"
        "    if heavy:\n"
        "        found[name] = heavy\n"
        "print(json.dumps(found))\n"
    )
    environment = os.environ | {"PYTHONPATH": f"layers/core{os.pathsep}."}

    finished = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )

    assert json.loads(finished.stdout) == {}


def test_the_catalogue_is_fresh() -> None:
    assert catalogue_tool.main(["--check"]) == 0, "run `make docs`"


def test_the_page_of_rules_is_fresh() -> None:
    assert docs_tool.main(["--check"]) == 0, "run `make docs`"


def test_the_catalogue_means_what_the_manifests_say() -> None:
    catalogue.cache_clear()

    assert dict(catalogue()) == MANIFESTS


@pytest.mark.parametrize("tool", [catalogue_tool, docs_tool])
def test_a_stale_file_is_named_and_left_alone(
    tool: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stale = tmp_path / "generated"
    stale.write_text("old")

    code = catalogue_tool.write_or_check({stale: "new"}, check=True, command="make docs")

    assert code == 1
    assert stale.read_text() == "old"
    assert "make docs" in capsys.readouterr().err
