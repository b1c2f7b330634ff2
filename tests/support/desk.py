"""An officer at the console, who opens its pages and sends their forms."""

import html
import re
from typing import Any

from tests.support.api import Api
from tests.support.console import SITE, Seen, Visitor

_FORM = re.compile(r'<form class="act"[^>]*action="[^"?]*/console/acts/(\w+)\?[^"]*"[^>]*>(.*?)</form>', re.DOTALL)
_INPUT = re.compile(r'<input type="(\w+)"([^>]*)>')
_AREA = re.compile(r"<textarea([^>]*)>\n?(.*?)</textarea>", re.DOTALL)
_SELECT = re.compile(r"<select([^>]*)>(.*?)</select>", re.DOTALL)


def _named(attributes: str, name: str) -> str:
    match = re.search(rf'\b{name}="([^"]*)"', attributes)
    return html.unescape(match[1]) if match else ""


def forms_of(page: Seen) -> list[tuple[str, dict[str, str]]]:
    """The acts of a page, each with what its form would send as it stands."""
    return [(act, _filled(content)) for act, content in _FORM.findall(page.html)]


def _filled(content: str) -> dict[str, str]:
    fields = {}
    for kind, attributes in _INPUT.findall(content):
        if kind != "checkbox" or "checked" in attributes.split():
            fields[_named(attributes, "name")] = _named(attributes, "value") if kind != "checkbox" else "on"
    for attributes, text in _AREA.findall(content):
        fields[_named(attributes, "name")] = html.unescape(text)
    for attributes, options in _SELECT.findall(content):
        chosen = re.search(r'<option value="([^"]*)" selected', options)
        fields[_named(attributes, "name")] = html.unescape(chosen[1]) if chosen else ""
    return fields


class Officer(Visitor):
    """A person who signed in to the console with a key of these scopes (or with that key)."""

    def __init__(self, api: Api, key: str, lang: str = "en") -> None:
        """Sign in."""
        super().__init__(api, lang)
        self.key = key
        self.sign_in(key)
        self.cookies = list(self.client.cookies.jar)

    def open(self, path: str) -> Seen:
        """Open a page with this person's cookies, even if another person used the browser meanwhile."""
        self._take_seat()
        seen = self.get(path)
        self.cookies = list(self.client.cookies.jar)
        return seen

    def file(self, path: str, **query: str) -> Any:
        """What a link to a file answers."""
        self._take_seat()
        return self.client.get(f"{SITE}{path}", params={"lang": self.lang, **query}, follow_redirects=False)

    def press(self, page: Seen, act: str, about: str = "", **fields: str) -> Seen:
        """Fill in a form of a page and send it; `about` tells one of several forms of an act, by how it begins."""
        self._take_seat()
        forms = [filled for name, filled in forms_of(page) if name == act and filled["about"].startswith(about)]
        assert forms, f"no form for {act} on the page"
        sent: dict[str, Any] = {**forms[0], **{name.replace("__", "."): value for name, value in fields.items()}}
        seen = self.post(f"/console/acts/{act}", sent)
        self.cookies = list(self.client.cookies.jar)
        return seen

    def _take_seat(self) -> None:
        self.client.cookies.clear()
        for each in self.cookies:
            self.client.cookies.jar.set_cookie(each)
