"""One call of a SOAP 1.1 service.

Imported by the function that has the xml layer, since it imports defusedxml.

Source: W3C, "Simple Object Access Protocol (SOAP) 1.1"; WS-I Basic Profile 1.1; OASIS, "Web
Services Security UsernameToken Profile 1.1".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

# With the function's start, or a first call would spend its time on loading it.
import cognito_rules.transport  # noqa: F401
from cognito_rules.client_certificate import ClientCertificate
from cognito_rules.errors import ConfigurationError, UpstreamError
from cognito_rules.http import IN_LOGIN, Authorize, Endpoint, post

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_WSS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
_ENVELOPE = (
    '<?xml version="1.0" encoding="utf-8"?>'
    f'<soap:Envelope xmlns:soap="{_SOAP}">{{header}}<soap:Body>{{body}}</soap:Body></soap:Envelope>'
)
_USERNAME_TOKEN = (
    f'<soap:Header><wsse:Security xmlns:wsse="{_WSS}wssecurity-secext-1.0.xsd" '
    'soap:mustUnderstand="1"><wsse:UsernameToken><wsse:Username>{user}</wsse:Username>'
    f'<wsse:Password Type="{_WSS}username-token-profile-1.0#PasswordText">{{password}}'
    "</wsse:Password></wsse:UsernameToken></wsse:Security></soap:Header>"
)
# What no XML document may hold, however it is written.
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def fill(template: str, values: Mapping[str, str]) -> str:
    """Return a body with ``{name}`` replaced by escaped values; raises ConfigurationError."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            known = ", ".join(f"{{{name}}}" for name in values)
            raise ConfigurationError(f"body_template: {match[0]} is none of {known}")
        return _escaped(values[match[1]])

    return _PLACEHOLDER.sub(value, template)


def check_template(template: str, names: list[str]) -> None:
    """Refuse a body that asks about nobody, that has an unknown placeholder, or is no XML.

    Raises
    ------
    ConfigurationError : with what is wrong.
    """
    if not any(f"{{{name}}}" in template for name in names):
        # The same answer for everybody would make the first person's roles those of all.
        raise ConfigurationError(
            "body_template names nobody: it needs " + " or ".join(f"{{{n}}}" for n in names)
        )
    body = fill(template, dict.fromkeys(names, "x"))
    try:
        fromstring(_ENVELOPE.format(header="", body=body))
    except ParseError as error:
        raise ConfigurationError(f"body_template is no XML: {error}") from None


def username_token(user: str, password: str) -> str:
    """Return the header of WS-Security's UsernameToken with the password as text (over TLS)."""
    return _USERNAME_TOKEN.format(user=_escaped(user), password=_escaped(password))


def call(
    endpoint: Endpoint,
    body: str,
    *,
    action: str,
    header: str = "",
    authorize: Authorize | None = None,
    client_certificate: ClientCertificate | None = None,
    ca_bundle: str | None = None,
    seconds: float,
) -> Element:
    """Return the Body element of the answer.

    Parameters
    ----------
    body, header : XML inside of the envelope.
    action : the SOAPAction, which is sent in quotes.
    authorize : as for ``http.send``; its first secrets are read before the time begins.
    client_certificate, ca_bundle : as for ``http.send``.

    Raises
    ------
    UpstreamError : as ``http.send``; ``soap_fault`` for a Fault whatever the status, and
        ``upstream_protocol`` for what is no SOAP envelope, or holds a DTD or entities.
    """
    if authorize:
        authorize(False)
    answer = post(
        endpoint,
        _ENVELOPE.format(header=header, body=body).encode(),
        budget=IN_LOGIN.within(seconds),
        headers={"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{action}"'},
        authorize=authorize,
        client_certificate=client_certificate,
        ca_bundle=ca_bundle,
    )
    if not answer.is_success:
        raise answer.refusal()
    envelope = _parsed(endpoint.host, answer.body)
    answered = None if envelope is None else envelope.find(f"{{{_SOAP}}}Body")
    if answered is None or envelope is None or envelope.tag != f"{{{_SOAP}}}Envelope":
        raise UpstreamError(endpoint.host, "the answer is no SOAP", code="upstream_protocol")
    if answered.find(f"{{{_SOAP}}}Fault") is not None:
        # Its text is the service's own, and may be about the person.
        raise UpstreamError(endpoint.host, "the service answered a fault", code="soap_fault")
    return answered


def texts_at(element: Element, path: list[str]) -> list[str]:
    """Return the texts of the elements that a path of local names leads to, empty ones left out."""
    found = [element]
    for name in path:
        found = [child for parent in found for child in parent if _local(child.tag) == name]
    texts = [(each.text or "").strip() for each in found]
    return [text for text in texts if text]


def _parsed(service: str, body: bytes) -> Element | None:
    try:
        parsed: Element = fromstring(body, forbid_dtd=True)
    except DefusedXmlException:
        message = "the answer holds a DTD or entities"
        raise UpstreamError(service, message, code="upstream_protocol") from None
    except (ParseError, ValueError, LookupError):
        return None
    return parsed


def _local(tag: object) -> str:
    return str(tag).rpartition("}")[2]


def _escaped(text: str) -> str:
    return escape(_ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", text), {'"': "&quot;", "'": "&apos;"})
