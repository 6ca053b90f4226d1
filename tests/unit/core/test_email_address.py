from typing import Any

import pytest

from cognito_rules.email_address import normalise_email


@pytest.mark.parametrize(
    "address",
    [
        None,
        7,
        "",
        "jane",
        "@example.com",
        "jane@",
        "jane@.",
        "ja ne@example.com",
        "jane@exam ple.com",
        "jane@a..b",
        "jane@" + "a" * 64 + ".com",
    ],
)
def test_a_malformed_address_is_none(address: Any) -> None:
    assert normalise_email(address) is None


@pytest.mark.parametrize(
    ("address", "normal"),
    [
        ("jane@example.com", "jane@example.com"),
        (" Jane@EXAMPLE.Com\n", "jane@example.com"),
        ("jane@example.com.", "jane@example.com"),
        ('"a@b"@example.com', '"a@b"@example.com'),
        ('"A@B"@bücher.example', '"a@b"@xn--bcher-kva.example'),
        ("jane@bücher.example", "jane@xn--bcher-kva.example"),
        ("jane@BÜCHER.example", "jane@xn--bcher-kva.example"),
    ],
)
def test_one_spelling_for_each_address(address: str, normal: str) -> None:
    assert normalise_email(address) == normal
