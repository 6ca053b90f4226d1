"""A person with a browser: follow redirects, fill in forms, until the application's callback.

It knows no endpoint of Cognito but the ones it is led to, so the pages have to be right.
"""

import html
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urljoin, urlsplit, urlunsplit

import requests

MAX_STEPS = 20


class BrowserError(Exception):
    """A page that the person cannot get past; the text is what they read there."""


@dataclass
class Form:
    """One form of a page: where it goes, and its fields with the values they have."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class Browser:
    """One browser session with its cookies.

    Parameters
    ----------
    endpoint : the emulator's address, which stands for every ``*.amazoncognito.com``.
    callback : the application's redirect URI; nothing has to listen there.
    typed : what the person types, by field name, and which button they press, by its name.
    """

    def __init__(self, endpoint: str, callback: str, typed: dict[str, str]):
        self._endpoint = endpoint
        self._callback = callback
        self._typed = typed
        self._session = requests.Session()

    def open(self, address: str) -> dict[str, str]:
        """Open ``address``, go on to the callback, and return the callback's query parameters.

        BrowserError when a page shows an error or asks for something that is not in ``typed``.
        """
        data: dict[str, str] | None = None
        for _ in range(MAX_STEPS):
            if address.startswith(self._callback):
                return dict(parse_qsl(urlsplit(address).query))
            address = self._local(address)
            response = self._session.request(
                "GET" if data is None else "POST",
                address,
                data=data,
                allow_redirects=False,
                timeout=30,
            )
            if response.is_redirect:
                address, data = urljoin(address, response.headers["Location"]), None
                continue
            if response.status_code != 200:
                raise BrowserError(_plain(response.text))
            address, data = self._fill_in(address, response.text)
        raise BrowserError("too many redirects and forms")

    def _local(self, address: str) -> str:
        parts = urlsplit(address)
        if not (parts.hostname or "").endswith(".amazoncognito.com"):
            return address
        here = urlsplit(self._endpoint)
        return urlunsplit((here.scheme, here.netloc, parts.path, parts.query, ""))

    def _fill_in(self, address: str, page: str) -> tuple[str, dict[str, str]]:
        shown = re.search(r'<div class="error">(.*?)</div>', page, re.DOTALL)
        if shown:
            raise BrowserError(html.unescape(shown[1]).strip())
        parser = _Forms()
        parser.feed(page)
        for form in parser.forms:
            data = dict(form.fields)
            asked = [name for name, value in data.items() if not value and name in self._typed]
            pressed = [b for b in form.buttons if self._typed.get(b[0]) == b[1]]
            if asked or pressed:
                data.update({name: self._typed[name] for name in asked})
                data.update(dict(pressed))
                return urljoin(address, form.action) if form.action else address, data
        raise BrowserError(f"the page asks for something else: {_plain(page)[:200]}")


class _Forms(HTMLParser):
    """Collect the forms of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(given.get("action", "")))
        elif tag == "input" and self.forms and "name" in given:
            self.forms[-1].fields[given["name"]] = given.get("value", "")
        elif tag == "button" and self.forms and "name" in given:
            self.forms[-1].buttons.append((given["name"], given.get("value", "")))


def _plain(page: str) -> str:
    without_style = re.sub(r"<style>.*?</style>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", without_style)).split())
