from typing import Any

import pytest

from cognito_rules.iam import account_of, is_role_arn, is_tag_key, is_tag_value


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="null"),
        pytest.param("", id="nothing"),
        pytest.param("reader", id="a name"),
        pytest.param("arn:aws:iam::12345678901:role/a", id="eleven digits"),
        pytest.param("arn:aws:iam::" + "\u0661" * 12 + ":role/a", id="digits of another script"),
        pytest.param("arn:aws:iam::123456789012:user/a", id="a user"),
        pytest.param("arn:aws:iam::123456789012:role/", id="no name"),
        pytest.param("arn:aws:iam::123456789012:role/ä", id="another letter"),
        pytest.param("arn:aws:iam::123456789012:role/a\n", id="a line end"),
        pytest.param(" arn:aws:iam::123456789012:role/a", id="a blank before"),
        pytest.param("arn:aws-iso:iam::123456789012:role/a", id="another partition"),
        pytest.param(
            "arn:aws:iam::123456789012:role/aws-service-role/ecs.amazonaws.com/a", id="service role"
        ),
        pytest.param(
            "arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_a_0",
            id="Identity Center",
        ),
    ],
)
def test_what_is_no_role_that_can_be_granted(value: Any) -> None:
    assert not is_role_arn(value)


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_what_is_a_role_that_can_be_granted(partition: str) -> None:
    assert is_role_arn(f"arn:{partition}:iam::123456789012:role/cognito-rules/a_b+c=d,e.f@g-h")


def test_the_account_of_an_arn() -> None:
    assert account_of("arn:aws:iam::123456789012:saml-provider/A") == "123456789012"


@pytest.mark.parametrize("value", [None, "", "a" * 129, "aws:a", "AWS:a", "a*", "a?", "a\n", 7])
def test_what_is_no_tag_key(value: Any) -> None:
    assert not is_tag_key(value)


@pytest.mark.parametrize("value", [None, "", "a" * 257, "a*", "a?", "a\n", "a;b", 7, ["a"]])
def test_what_is_no_tag_value(value: Any) -> None:
    assert not is_tag_value(value)


def test_legal_tags() -> None:
    assert is_tag_key("Cost Center_.:/=+-@" + "ä" * 100)
    assert is_tag_value("Verkauf Süd 4711")
    assert is_tag_value("a" * 256)
