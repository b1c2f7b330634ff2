"""The consent page as a browser without scripts uses it: links asked for, forms read off the page and sent."""

import hashlib
import html
import re
import unicodedata
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

from tests.support.api import Api, subject

PARENT: dict[str, Any] = {
    "parent": {"type": "user", "id": "parent@example.fr"},
    "parent_checked_how": "identity_document",
}
"""Who the parent of a joint link is, and how that was checked."""


def ask_link(api: Api, name: str, *processings: str, kind: str = "decide", **more: Any) -> Any:
    """The answer to a request for a link."""
    body = {
        "subject": subject(name),
        "processings": list(processings),
        "authentication": "mailbox",
        "kind": kind,
        **(PARENT if kind == "joint" else {}),
        **more,
    }
    return api.call("POST", "/v1/consent-links", body)


def link(api: Api, name: str, *processings: str, kind: str = "decide", **more: Any) -> str:
    """The path of a new link."""
    answer = ask_link(api, name, *processings, kind=kind, **more)
    assert answer.status_code == 201, answer.text
    address: str = answer.json()["url"]
    return urlsplit(address).path


def overview_link(api: Api, name: str) -> str:
    """The path of a new link to everything that is held about a person."""
    body = {"subject": subject(name), "kind": "overview", "authentication": "signed_in"}
    address: str = api.ok("POST", "/v1/consent-links", body)["url"]
    return urlsplit(address).path


_VOID = frozenset({"meta", "link", "input", "br", "img"})


class Page(HTMLParser):
    """One answer, read: its forms with their fields and buttons, its texts that are hashed, its landmarks."""

    def __init__(self, answer: Any) -> None:
        """Read an answer's HTML."""
        super().__init__()
        self.status: int = answer.status_code
        self.headers = answer.headers
        self.html: str = answer.text
        self.forms: list[dict[str, str]] = []
        self.presses: list[list[str]] = []
        self.choices: dict[str, list[str]] = {}
        self.stated: dict[str, str] = {}
        self.tags: list[str] = []
        self.links: list[str] = []
        self._pieces: list[tuple[str, str]] = []
        self._processing = ""
        self._depth = 0
        self._filled = 0
        self.feed(self.html)

    def handle_starttag(self, tag, attrs):
        """Note a tag."""
        attributes = dict(attrs)
        self.tags.append(tag)
        if "data-processing" in attributes:
            self._processing = attributes["data-processing"] or ""
            self.stated[self._processing] = attributes["data-text-sha256"] or ""
        if self._depth and tag not in _VOID:
            self._depth += 1
            if self._filled or "data-filled" in attributes:
                self._filled += 1
                self._hear("…" if self._filled == 1 else "")
        elif "data-said" in attributes:
            self._depth = 1
            self._pieces.append((self._processing, ""))
        self._note(tag, attributes)

    def _note(self, tag, attributes):
        if tag == "form":
            self.forms.append({"action": attributes["action"] or ""})
            self.presses.append([])
        if tag == "input" and attributes["type"] == "radio":
            self.choices.setdefault(attributes["name"] or "", []).append(attributes["value"] or "")
        elif tag == "input":
            self.forms[-1][attributes["name"] or ""] = attributes["value"] or ""
        if tag == "button":
            self.presses[-1].append(attributes["value"] or "")
        if tag == "a":
            self.links.append(attributes["href"] or "")

    def _hear(self, text):
        of, before = self._pieces[-1]
        self._pieces[-1] = (of, before + text)

    def handle_endtag(self, tag):
        """Note the end of a tag."""
        if self._depth:
            self._depth -= 1
            self._filled = max(0, self._filled - 1)
        elif tag == "section":
            self._processing = ""

    def handle_data(self, data):
        """Hear what is hashed."""
        if self._depth and not self._filled:
            self._hear(data)

    @property
    def said(self) -> dict[str, list[str]]:
        """The hashed text of each processing: all that is not in another's section, in the order of the page."""
        return {each: [text for of, text in self._pieces if of in {"", each}] for each in self.stated}

    @property
    def buttons(self) -> dict[str, list[str]]:
        """The buttons there are, by processing ("" for all at once: one entry for all of its forms)."""
        buttons: dict[str, list[str]] = {}
        for form, presses in zip(self.forms, self.presses, strict=True):
            buttons.setdefault(form["processing"], []).extend(presses)
        return buttons

    def fingerprint(self, processing: str) -> str:
        """The hash as an outsider computes it from the page."""
        lines = [" ".join(line.split()) for line in self.said[processing]]
        return hashlib.sha256(unicodedata.normalize("NFC", "\n".join(lines)).encode()).hexdigest()

    def filled(self, press: str, processing: str = "") -> dict[str, str]:
        """The fields that a button sends; if accepting needs a choice, the first one is chosen."""
        for form, presses in zip(self.forms, self.presses, strict=True):
            if form["processing"] == processing and press in presses:
                chosen = {name: values[0] for name, values in self.choices.items() if press == "accept"}
                return {**{name: value for name, value in form.items() if name != "action"}, **chosen, "press": press}
        raise AssertionError(f"no button {press} for {processing or 'all'}")

    def text(self) -> str:
        """What can be read on it, with the apostrophes of a keyboard."""
        in_line = re.sub(r"</?(?:a|bdi|code|span|strong)\b[^>]*>", "", self.html)
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", in_line)).split()).replace("’", "'")


class Person:
    """A visitor with a link and without a key."""

    def __init__(self, api: Api, path: str, lang: str = "fr") -> None:
        """Hold a link and read in a language."""
        self.api = api.with_key(None)
        self.path = path
        self.lang = lang

    def open(self, **headers: str) -> Page:
        """Follow the link."""
        return Page(self.api.client.get(f"{self.path}?lang={self.lang}", headers=headers))

    def send(self, fields: dict[str, str], *, action: str = "", **headers: str) -> Page:
        """Send a form to where it says, or in this person's language, and read where it leads."""
        address = self.path + (action or f"?lang={self.lang}")
        return Page(self.api.client.post(address, data=fields, headers=headers, follow_redirects=True))

    def press(self, press: str, processing: str = "") -> Page:
        """Open the page and press a button."""
        page = self.open()
        return self.send(page.filled(press, processing), action=page.forms[0]["action"])


def consents(api, name):
    """The consents of a person."""
    return api.ok("POST", "/v1/consents/search", {"subject": subject(name)})["items"]


def history(api, name):
    """Every event of a person about the processing of their first consent."""
    return api.ok("GET", f"/v1/consents/{consents(api, name)[0]['id']}/history")["items"]
