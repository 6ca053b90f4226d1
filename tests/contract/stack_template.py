"""template.yaml as CloudFormation would see it: transformed by SAM, intrinsic functions worked out.

References to things that only a deployment knows become readable stand-ins: ``arn:ROLE`` of a
function is ``<LoginFunction.Arn>``, the id of a pool ``<UserPool>``. ARNs that follow from names in
the template come out real.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from cfnlint.decode import decode
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from cognito_rules.manifest import Manifest

PROJECT = Path(__file__).resolve().parents[2]
TEMPLATE = PROJECT / "template.yaml"

MANIFESTS = {
    path.parent.name: Manifest.read(path) for path in sorted(PROJECT.glob("functions/*/rule.toml"))
}
RULES = sorted(MANIFESTS)
RULES_WITH_ROLES = [name for name in RULES if MANIFESTS[name].secrets or MANIFESTS[name].aws]
AFTER_LOGIN = [name for name in RULES if MANIFESTS[name].stage == "after_login"]

STACK = "stack"
REGION = "eu-west-1"
ACCOUNT = "111122223333"
PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{STACK}/1",
    "AWS::StackName": STACK,
    "AWS::URLSuffix": "amazonaws.com",
}
BASIC_EXECUTION = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"

type Resource = dict[str, Any]

_NO_VALUE = object()


@cache
def source() -> dict[str, Any]:
    """Return template.yaml as it is written, tags such as ``!Ref`` in their long form."""
    template, problems = decode(str(TEMPLATE))
    assert not problems, problems
    plain: dict[str, Any] = json.loads(json.dumps(template))
    return plain


def transformed(template: Mapping[str, Any]) -> dict[str, Any]:
    """Return what SAM makes of a template; local folders are taken for uploaded."""
    copy = json.loads(json.dumps(template))
    for resource in copy["Resources"].values():
        for name in ("CodeUri", "ContentUri"):
            if resource["Type"].startswith("AWS::Serverless::") and name in resource["Properties"]:
                resource["Properties"][name] = f"s3://bucket/{resource['Properties'][name]}"
    translator = Translator(
        {"AWSLambdaBasicExecutionRole": BASIC_EXECUTION},
        Parser(),
        boto_session=boto3.Session(region_name=REGION),
    )
    result: dict[str, Any] = translator.translate(copy, {})
    return result


@cache
def _transformed_source() -> dict[str, Any]:
    """Return the transformed template, for readers only: to make it again takes long."""
    return transformed(source())


class Stack:
    """The transformed template with given parameters; the others have their defaults."""

    def __init__(self, **parameters: str) -> None:
        self._template = _transformed_source()
        defaults = {n: p.get("Default") for n, p in self._template["Parameters"].items()}
        unknown = set(parameters) - set(defaults)
        assert not unknown, f"template.yaml has no parameters {unknown}"
        self._parameters: dict[str, Any] = defaults | parameters
        self.resources: dict[str, Resource] = {
            name: self.render(resource)
            for name, resource in self._template["Resources"].items()
            if "Condition" not in resource or self._holds(resource["Condition"])
        }
        self.outputs: dict[str, Any] = {
            name: self.render(output["Value"])
            for name, output in self._template["Outputs"].items()
            if "Condition" not in output or self._holds(output["Condition"])
        }

    def properties(self, name: str) -> dict[str, Any]:
        """Return the properties of a resource."""
        properties: dict[str, Any] = self.resources[name]["Properties"]
        return properties

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the properties of all resources of a type by logical id."""
        return {n: r["Properties"] for n, r in self.resources.items() if r["Type"] == kind}

    def environment(self, function: str) -> dict[str, str]:
        """Return the environment variables of a function."""
        variables = self.properties(function).get("Environment", {}).get("Variables", {})
        return {name: str(value) for name, value in variables.items()}

    def statements(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield every statement of every permission policy with its resource's logical id."""
        for name, resource in self.resources.items():
            properties = resource["Properties"]
            documents = (
                [
                    policy["PolicyDocument"]
                    for policy in properties.get("Policies", [])
                    if isinstance(policy, dict)
                ]
                if resource["Type"] == "AWS::IAM::Role"
                else []
            )
            if resource["Type"] in (
                "AWS::IAM::Policy",
                "AWS::IAM::ManagedPolicy",
                "AWS::S3::BucketPolicy",
                "AWS::SQS::QueuePolicy",
            ):
                documents.append(properties["PolicyDocument"])
            for document in documents:
                for statement in document["Statement"]:
                    yield name, statement

    def render(self, value: Any) -> Any:
        """Return ``value`` with its intrinsic functions worked out."""
        if isinstance(value, list):
            return [item for item in map(self.render, value) if item is not _NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            function = getattr(self, "_" + name.replace("Fn::", "fn_").lower(), None)
            if name == "Ref" or name.startswith("Fn::"):
                assert function is not None, f"the tests cannot work out {name}"
                return function(argument)
        rendered = {key: self.render(item) for key, item in value.items()}
        return {key: item for key, item in rendered.items() if item is not _NO_VALUE}

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return _NO_VALUE
        if name in PSEUDO:
            return PSEUDO[name]
        if name in self._parameters:
            return self._parameters[name]
        properties = self._template["Resources"][name]["Properties"]
        own_name = properties.get("Name") if name == "EventBus" else None
        return self.render(own_name) if own_name else f"<{name}>"

    def _fn_getatt(self, argument: list[str] | str) -> str:
        name, _, attribute = (
            argument.partition(".")
            if isinstance(argument, str)
            else (argument[0], ".", argument[1])
        )
        resource = self._template["Resources"][name]
        properties = resource["Properties"]
        if resource["Type"] == "AWS::IAM::Role" and attribute == "Arn" and "RoleName" in properties:
            path = properties.get("Path", "/")
            return f"arn:aws:iam::{ACCOUNT}:role{path}{self.render(properties['RoleName'])}"
        return f"<{name}.{attribute}>"

    def _fn_sub(self, argument: Any) -> str:
        text, names = (argument, {}) if isinstance(argument, str) else argument
        values = {name: self.render(value) for name, value in names.items()}

        def replace(match: re.Match[str]) -> str:
            name = match[1]
            if name.startswith("!"):
                return "${" + name[1:] + "}"
            if name in values:
                return str(values[name])
            return str(self._fn_getatt(name) if "." in name else self._ref(name))

        return re.sub(r"\$\{([^}]+)\}", replace, text)

    def _fn_if(self, argument: list[Any]) -> Any:
        condition, when, otherwise = argument
        return self.render(when if self._holds(condition) else otherwise)

    def _fn_join(self, argument: list[Any]) -> str:
        separator, parts = argument
        parts = self.render(parts)
        items = parts.split(",") if isinstance(parts, str) else parts  # a CommaDelimitedList
        return str(separator).join(items)

    def _fn_split(self, argument: list[Any]) -> list[str]:
        separator, text = map(self.render, argument)
        return str(text).split(separator)

    def _fn_findinmap(self, argument: list[Any]) -> Any:
        table, first, second = map(self.render, argument)
        return self._template["Mappings"][table][first][second]

    def _holds(self, condition: Any) -> bool:
        if isinstance(condition, str):
            condition = self._template["Conditions"][condition]
        ((name, arguments),) = condition.items()
        if name == "Fn::Equals":
            left, right = map(self.render, arguments)
            return str(left) == str(right)  # as CloudFormation compares a number
        if name == "Fn::And":
            return all(self._holds(each) for each in arguments)
        if name == "Fn::Not":
            return not self._holds(arguments[0])
        if name == "Fn::Or":
            return any(map(self._holds, arguments))
        assert name == "Condition", f"the tests cannot work out {name}"
        return self._holds(arguments)


def as_list(value: Any) -> list[Any]:
    """Return what IAM takes as one thing or several as a list."""
    return value if isinstance(value, list) else [value]


def pascal(rule: str) -> str:
    """Return a rule's name as it begins the logical ids of its resources."""
    return "".join(word.capitalize() for word in rule.split("_"))
