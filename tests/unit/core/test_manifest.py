from pathlib import Path
from typing import Any

import pytest

from cognito_rules.errors import ManifestError
from cognito_rules.fields import Read
from cognito_rules.manifest import Manifest

LEAST = {
    "title": "A rule",
    "summary": "It does something.",
    "category": "Login",
    "stage": "post_authentication",
    "on_error": "deny",
    "reads": [],
    "writes": [],
}

AGAIN = {"type": "boolean", "default": False}
AFTER_LOGIN = {"stage": "after_login", "on_error": "continue", "purpose": "security"}


def parse(**changes: Any) -> Manifest:
    return Manifest.parse("a_rule", {**LEAST, **changes})


@pytest.mark.parametrize("key", LEAST)
def test_a_missing_key_is_an_error_that_names_it(key: str) -> None:
    declared = {name: value for name, value in LEAST.items() if name != key}

    with pytest.raises(ManifestError, match=f"a_rule/rule.toml: .*{key}"):
        Manifest.parse("a_rule", declared)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"writs": []}, "writs", id="an unknown key"),
        pytest.param({"stage": "login"}, "stage", id="an unknown stage"),
        pytest.param({"on_error": "ignore"}, "on_error", id="an unknown policy"),
        pytest.param({"reads": "user"}, "reads", id="a text for a list"),
        pytest.param({"reads": ["user.shoe_size"]}, "shoe_size", id="no field"),
        pytest.param({"reads": [1]}, "reads", id="a number for a path"),
        pytest.param({"writes": ["user"]}, "writes", id="a whole section to write"),
        pytest.param({"writes": ["*"]}, "writes", id="everything to write"),
        pytest.param({"writes": ["user.email"]}, "user.email", id="an identifier to write"),
        pytest.param({"writes": ["access_token"]}, "access_token", id="half a write"),
        pytest.param({"writes": ["deny.code"]}, "deny.code", id="below a write"),
        pytest.param(
            {"writes": ["user.app_metadata.a.b"]}, "app_metadata", id="two keys below metadata"
        ),
        pytest.param({"writes": ["user.app_metadata."]}, "app_metadata", id="a key without a name"),
        pytest.param({"timeout_ms": 10}, "timeout_ms", id="too little time"),
        pytest.param({"timeout_ms": 3001}, "timeout_ms", id="too much time"),
        pytest.param({"timeout_ms": True}, "timeout_ms", id="a boolean for time"),
        pytest.param({"external": "yes"}, "external", id="a text for a flag"),
        pytest.param({"runs_on_refresh": 1}, "runs_on_refresh", id="a number for a flag"),
        pytest.param({"secrets": "TOKEN"}, "secrets", id="one secret for a list"),
        pytest.param({"configuration": []}, "configuration", id="no table of settings"),
        pytest.param({"configuration": {"a": {}}}, "configuration.a", id="a setting without type"),
        pytest.param(
            {"stage": "after_login"},
            "cannot refuse",
            id="an after_login rule that denies on errors",
        ),
        pytest.param(
            {"stage": "after_login", "on_error": "continue", "writes": ["deny"]},
            "cannot refuse",
            id="an after_login rule that denies",
        ),
        pytest.param(
            AFTER_LOGIN | {"events": ["LoginStarted"]},
            "events",
            id="an unknown event",
        ),
        pytest.param(
            AFTER_LOGIN | {"purpose": None}, "purpose", id="an after_login rule without purpose"
        ),
        pytest.param(AFTER_LOGIN | {"purpose": "profit"}, "purpose", id="an unknown purpose"),
        pytest.param({"purpose": "security"}, "purpose", id="a purpose during the login"),
        pytest.param({"once_per_user": True}, "once_per_user", id="once a person, in the login"),
        pytest.param(AFTER_LOGIN | {"once_per_user": 1}, "once_per_user", id="a number for once"),
        pytest.param(
            AFTER_LOGIN | {"once_per_user": True, "once_unless": "again"},
            "once_unless",
            id="once unless a setting that is none",
        ),
        pytest.param(
            AFTER_LOGIN | {"once_unless": "again", "configuration": {"again": AGAIN}},
            "once_unless",
            id="once unless, where it is never once",
        ),
        pytest.param(
            AFTER_LOGIN | {"writes": ["user.app_metadata.plan"]},
            "user.enrichment.SOURCE only",
            id="an after_login rule that writes metadata",
        ),
        pytest.param(
            AFTER_LOGIN | {"writes": ["user.enrichment"]},
            "name the source",
            id="an enrichment of every source",
        ),
        pytest.param(
            AFTER_LOGIN | {"reads": ["user.enrichment"]},
            "name the source",
            id="every enrichment read",
        ),
        pytest.param(
            {"stage": "token", "reads": ["user.enrichment.fullcontact"]},
            "in no token",
            id="an enrichment in a token",
        ),
        pytest.param(
            {"writes": ["user.enrichment.fullcontact"]},
            "in no token",
            id="an enrichment during the login",
        ),
        pytest.param(
            AFTER_LOGIN | {"imported_markers": ["user.user_metadata.done"]},
            "imported_markers",
            id="a marker that people can write",
        ),
        pytest.param(
            AFTER_LOGIN | {"imported_markers": ["user.app_metadata"]},
            "imported_markers",
            id="a marker without a key",
        ),
        pytest.param(
            {"imported_markers": ["user.app_metadata.done"]},
            "imported_markers",
            id="a marker of a rule in the login",
        ),
        pytest.param(
            {"drops_duplicates": "never"}, "drops_duplicates", id="duplicates, in the login"
        ),
        pytest.param(
            AFTER_LOGIN | {"drops_duplicates": "for_a_week"},
            "drops_duplicates",
            id="duplicates for a time that nobody knows",
        ),
        pytest.param(
            {"forget_reads": ["user.user_id"]}, "forget_reads", id="a guard that forgets people"
        ),
        pytest.param(
            AFTER_LOGIN | {"forget_reads": ["user.shoe_size"]}, "shoe_size", id="no such field"
        ),
        pytest.param(
            AFTER_LOGIN | {"events": ["UserDeleted"]}, "events", id="a deletion without a handler"
        ),
        pytest.param(
            AFTER_LOGIN | {"purpose": "marketing", "events": ["LoginDenied"]},
            "only security rules",
            id="a refused login for marketing",
        ),
    ],
)
def test_a_bad_manifest_stops_the_build(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        parse(**changes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(None, "does not exist", id="no file"),
        pytest.param(b"title = ", "no TOML", id="half a line"),
        pytest.param(b"\xff\xfe", "no TOML", id="bytes that are no text"),
        pytest.param(b"", "title", id="an empty file"),
    ],
)
def test_a_file_that_is_no_manifest(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "a_rule" / "rule.toml"
    path.parent.mkdir()
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ManifestError, match=message):
        Manifest.read(path)


def test_the_folder_is_the_name(tmp_path: Path) -> None:
    path = tmp_path / "lock_the_door" / "rule.toml"
    path.parent.mkdir()
    lines = [f"{key} = {value!r}" for key, value in LEAST.items()]
    path.write_text("\n".join(lines))

    assert Manifest.read(path).name == "lock_the_door"


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        pytest.param({}, False, id="a rule that cannot refuse"),
        pytest.param({"writes": ["deny"]}, True, id="a guard"),
        pytest.param({"stage": "token"}, True, id="a token rule"),
        pytest.param({"stage": "token", "runs_on_refresh": False}, False, id="unless it says no"),
        pytest.param({"runs_on_refresh": True}, True, id="a rule that says so"),
        pytest.param(AFTER_LOGIN, False, id="an after_login rule"),
    ],
)
def test_what_runs_again_at_a_refresh(changes: dict[str, Any], answer: bool) -> None:
    assert parse(**changes).runs_on_refresh is answer


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        pytest.param({"secrets": ["TOKEN"]}, False, id="a secret"),
        pytest.param({"external": True}, False, id="a call to another system"),
        pytest.param(
            {"configuration": {"a": {"type": "string", "source": "template"}}},
            False,
            id="a setting of the template",
        ),
        pytest.param(AFTER_LOGIN, False, id="an after_login rule"),
        pytest.param({"configuration": {"a": {"type": "string"}}}, True, id="settings alone"),
    ],
)
def test_what_can_run_inside_the_login_function(changes: dict[str, Any], answer: bool) -> None:
    assert parse(**changes).is_pure is answer


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        pytest.param({"on_error": "deny"}, True, id="a fault refuses"),
        pytest.param({"on_error": "continue"}, False, id="nothing refuses"),
        pytest.param({"on_error": "continue", "writes": ["deny"]}, True, id="an effect refuses"),
        pytest.param({"on_error": "continue", "writes": ["mfa"]}, True, id="a challenge may fail"),
        pytest.param({"on_error": "continue", "writes": ["redirect"]}, True, id="a page may too"),
        pytest.param(
            {"on_error": "continue", "writes": ["user.groups"]}, False, id="groups do not"
        ),
    ],
)
def test_what_can_end_a_login(changes: dict[str, Any], answer: bool) -> None:
    assert parse(**changes).can_deny is answer


@pytest.mark.parametrize(
    ("write", "answer"),
    [
        ("deny", True),
        ("access_token.scopes", True),
        ("user.groups", True),
        ("authorization", True),
        ("aws.role", True),
        ("aws.tags", True),
        ("mfa", True),
        ("id_token.claims", False),
        ("user.user_metadata", False),
        ("user.name", False),
    ],
)
def test_what_grants_or_restricts(write: str, answer: bool) -> None:
    assert parse(writes=[write]).grants_or_restricts is answer


@pytest.mark.parametrize(
    ("reads", "path", "answer"),
    [
        pytest.param(["user"], "user.user_metadata.home.city", True, id="deep in a section"),
        pytest.param(["user.email"], "user.email", True, id="the field itself"),
        pytest.param(["user.attributes.a"], "user.attributes.a", True, id="one key"),
        pytest.param(["*"], "request.ip", True, id="everything"),
        pytest.param(["user.email"], "user.name", False, id="another field"),
        pytest.param(["user.attributes.a"], "user.attributes.b", False, id="another key"),
        pytest.param(["user.attributes.a"], "user.attributes", False, id="more than was declared"),
        pytest.param(["user"], "user", False, id="a whole section"),
        pytest.param(["user"], "user.shoe_size", False, id="no field"),
        pytest.param(["user"], "user.user_metadata.", False, id="an empty key"),
        pytest.param(["*"], "person.name", False, id="no section"),
        pytest.param(["*"], "", False, id="nothing"),
    ],
)
def test_which_paths_a_rule_can_read(reads: list[str], path: str, answer: bool) -> None:
    assert parse(reads=reads).can_read(path) is answer


def test_a_required_read_is_told_from_others() -> None:
    manifest = parse(reads=["request.ip!", "user.email"])

    assert manifest.reads == (Read(("request", "ip"), required=True), Read(("user", "email")))


def test_defaults() -> None:
    manifest = parse()

    assert manifest.timeout_ms == 1500
    assert not manifest.runs_on_client_credentials
    assert manifest.events == ()
    after_login = parse(**AFTER_LOGIN)
    assert (after_login.timeout_ms, after_login.events) == (8_000, ("LoginCompleted",))
