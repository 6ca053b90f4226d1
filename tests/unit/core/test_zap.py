import hashlib
import hmac

from cognito_rules.zap import signature


def test_a_receiver_can_tell_who_sent_the_body() -> None:
    body = b'{"event":"login"}'

    value = signature("key-1", body, 1795339800)

    parts = dict(part.split("=") for part in value.split(","))
    expected = hmac.new(b"key-1", b"1795339800." + body, hashlib.sha256).hexdigest()
    assert parts == {"t": "1795339800", "v1": expected}


def test_the_signature_is_this_one() -> None:
    # Made with: printf '1795339800.{}' | openssl dgst -sha256 -hmac key-1
    assert signature("key-1", b"{}", 1795339800) == (
        "t=1795339800,v1=4ef46f0c3ffa699ca011547f5a7d50eabce754e4a28a26fb6a23c07bb2000170"
    )
