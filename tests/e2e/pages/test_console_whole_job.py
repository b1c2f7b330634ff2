"""The whole job by pages alone: from an empty service to a bundle, by mouse and by keyboard; nobody types JSON."""

import re
import zipfile
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, Locator, Page

from tests.e2e.service import service
from tests.faults.service import eventually
from tests.support.issuer import AUDIENCE, Issuer, issuing

PERSON = "julie@exemple.example"
STAFF = {"ada": "Ada Exemple", "bob": "Bob Exemple"}
ACTS = 78
"""Presses and fields of the whole job, the person's three included: docs/console.md gives the number."""
SCOPES = (
    *("register:read", "register:write", "register:approve", "consents:read", "consents:write"),
    *("subjects:read", "audit:read"),
)


class Hands:
    """What presses and types: a mouse, or Tab, Enter and Space alone. `acts` counts presses and fields."""

    def __init__(self, by: str) -> None:
        """Use one of them."""
        self.by, self.acts = by, 0

    def press(self, found: Locator) -> None:
        """Press a link, a button, a box, or what unfolds."""
        self.acts += 1
        if self.by == "mouse":
            found.click()
            return
        self._reach(found)
        is_box = found.evaluate("element => element.type === 'checkbox'")
        found.page.keyboard.press("Space" if is_box else "Enter")

    def write(self, found: Locator, text: str) -> None:
        """Fill in a field."""
        self.acts += 1
        if self.by == "mouse" and found.get_attribute("type") != "date":
            found.click()
        elif self.by == "mouse":
            found.focus()  # a click would go to the part of the date that it hits
        else:
            self._reach(found)
        if found.get_attribute("type") == "date":
            year, month, day = text.split("-")
            found.page.keyboard.type(f"{day}{month}{year}")  # as a browser in British English takes it
        else:
            found.page.keyboard.press("ControlOrMeta+A")
            found.page.keyboard.insert_text(text)

    def choose(self, found: Locator, value: str) -> None:
        """Take one of several."""
        self.acts += 1
        if self.by == "mouse":
            found.select_option(value)
            return
        self._reach(found)
        label = found.locator(f'option[value="{value}"]').inner_text()
        found.page.keyboard.type(label[:12])  # a list goes to what is typed
        assert found.input_value() == value

    @staticmethod
    def _reach(found: Locator) -> None:
        """Go on with Tab from where the focus is until it is there, and is seen there."""
        found.wait_for()
        wanted = found.element_handle()
        for _ in range(150):
            found.page.keyboard.press("Tab")
            if found.page.evaluate("wanted => document.activeElement === wanted", wanted):
                assert found.evaluate("element => getComputedStyle(element).outlineStyle") != "none"
                return
        raise AssertionError(f"no Tab leads to {found}")


class Desk:
    """A window of one of the staff, signed in by the issuer."""

    def __init__(self, browser: Browser, address: str, provider: Issuer, who: str, hands: Hands) -> None:
        """Sign in with an account."""
        self.address, self.hands = address, hands
        self.page = browser.new_page(locale="en-GB", viewport={"width": 1280, "height": 900})
        provider.who = who
        self.page.goto(f"{address}/console?lang=en")
        hands.press(self.page.get_by_role("link", name="Sign in with your organisation’s account"))
        self.page.wait_for_url("**/console?lang=en")
        assert STAFF[who] in self.page.inner_text("header")

    def go(self, room: str) -> None:
        """Go to a page of the menu."""
        self.hands.press(self.page.get_by_role("link", name=room, exact=True))

    def unfold(self, title: str, within: Locator | Page | None = None) -> Locator:
        """Open a folded form; the form."""
        form = (within or self.page).locator("details.act", has=self.page.locator("summary", has_text=title)).first
        self.hands.press(form.locator("summary"))
        return form

    def fill(self, form: Locator | Page, **fields: str) -> None:
        """Fill in fields by their names."""
        for name, text in fields.items():
            field = form.locator(f'[name="{name.replace("__", ".")}"]')
            kind = field.evaluate("element => element.tagName")
            (self.hands.choose if kind == "SELECT" else self.hands.write)(field, text)

    def send(self, form: Locator | Page, button: str) -> str:
        """Press the form's button; what the page says was done."""
        self.hands.press(form.get_by_role("button", name=button, exact=True))
        self.page.wait_for_selector("#done, [role=alert]")
        assert self.page.locator("#done").count() == 1, self.page.inner_text("main")
        return self.page.inner_text("#done")

    def link(self, kind: str) -> str:
        """A link for the person, from their page."""
        self.go("People")
        self.fill(self.page, id=PERSON)
        self.hands.press(self.page.get_by_role("button", name="Open the page"))
        self.page.wait_for_url("**/console/person?*")
        form = self.unfold("Make a link to send")
        self.fill(form, kind=kind, authentication="signed_in")
        if kind == "overview":
            self.fill(form, request_reference="ticket 12")
        else:
            self.hands.press(form.locator('[name="processings.ads-mail"]'))
        self.hands.press(form.get_by_role("button", name="Make a link to send"))
        self.page.wait_for_selector("code.secret, [role=alert]")
        assert self.page.locator("code.secret").count(), self.page.locator("[role=alert]").all_inner_texts()
        return self.page.inner_text("code.secret")

    def file(self, press: Locator, folder: Path) -> Path:
        """A file that a link or a button gives."""
        with self.page.expect_download() as found:
            self.hands.press(press)
        target = folder / found.value.suggested_filename
        found.value.save_as(target)
        return target


@pytest.fixture
def staff(tmp_path):
    """An empty service where two persons decide, an issuer, and two of the staff whom it knows: no key is theirs."""
    with issuing() as provider:
        settings: dict[str, Any] = {"SCEAU_OIDC_ISSUER": provider.url, "SCEAU_OIDC_AUDIENCE": AUDIENCE}
        settings |= {"SCEAU_CONSOLE_CLIENT": "console", "SCEAU_REGISTER_APPROVAL": "two"}
        with service(tmp_path / "data", **settings) as (address, key):
            with httpx2.Client(trust_env=False, headers={"Authorization": f"Bearer {key}"}) as client:
                for subject, name in STAFF.items():
                    identity = {"issuer": provider.url, "subject": subject}
                    body = {"name": name, "kind": "person", "scopes": SCOPES, "identity": identity}
                    client.post(f"{address}/v1/identities", json=body).raise_for_status()
            yield address, provider


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_the_whole_job(browser, staff, tmp_path, by):
    """Proposed, approved, asked, given, changed, renewed, withdrawn, invalidated, reported and bundled."""
    address, provider = staff
    hands = Hands(by)
    ada = Desk(browser, address, provider, "ada", hands)
    bob = Desk(browser, address, provider, "bob", hands)
    _propose(ada)
    _approve(bob)
    person = browser.new_page(locale="en-GB", viewport={"width": 390, "height": 844})
    _answer(person, hands, ada.link("decide"), "Consent in force until")
    _change(ada)
    _approve(bob)
    _answer(person, hands, ada.link("decide"), "Consent in force until")
    person.goto(ada.link("overview"))
    with person.expect_navigation():
        hands.press(person.locator("button[value=withdraw]"))
    assert "withdrawn" in person.inner_text("#answer-ads-mail .note")
    _invalidate(ada)
    bob.go("Report")
    month = bob.file(bob.page.locator("[data-section=month] a").first, tmp_path)
    assert "Advertising in the mailbox" in month.read_text()
    record = bob.file(bob.page.get_by_role("link", name=re.compile("record", re.IGNORECASE)).last, tmp_path)
    assert ";ads-mail;" in record.read_text()
    eventually(lambda: _is_entered(bob.page))
    form = bob.unfold("Make a bundle of proof")
    bundle = bob.file(form.get_by_role("button", name="Make a bundle of proof"), tmp_path)
    with zipfile.ZipFile(bundle) as bag:
        assert b"withdrawn" in bag.read("data/entries.ndjson")
    assert hands.acts == ACTS
    for page in (ada.page, bob.page, person):
        page.context.close()


def _is_entered(page: Page) -> bool:
    """Whether all that was recorded stands in the log: the jobs process enters it four times a minute."""
    page.reload()
    return "nothing waits" in page.locator("[data-section=proof]").inner_text()


def _propose(ada: Desk) -> None:
    """A processing of two languages, seen before it is proposed."""
    ada.go("Register")
    ada.hands.press(ada.page.get_by_role("link", name="Propose a processing"))
    ada.fill(
        ada.page,
        id="ads-mail",
        purpose="advertising",
        name__fr="Publicité dans la messagerie",
        name__en="Advertising in the mailbox",
        controller="Exemple Courriel SAS",
        provider_kind="operator",
        service="mail",
        party_mode="user_only",
        notice__fr="Le contenu de vos messages est analysé pour choisir les publicités.",
        notice__en="The content of your messages is analysed to choose advertisements.",
        retention="P30D",
        consent_validity="P1Y",
        data_protection_contact="dpo@exemple.example",
        started_on="2026-01-15",
    )
    ada.hands.press(ada.page.get_by_label("content of messages"))
    ada.hands.press(ada.page.get_by_role("button", name="See what this would change"))
    ada.page.wait_for_selector(".shown-page, [role=alert]")
    assert ada.page.locator(".shown-page").count() == 2, ada.page.locator("[role=alert]").all_inner_texts()
    assert "another person has to approve it" in ada.send(ada.page, "Propose this processing")


def _approve(bob: Desk) -> None:
    """The other one reads what waits, and approves it."""
    bob.go("Home")
    bob.hands.press(bob.page.get_by_role("link", name="For you to approve: ads-mail"))
    form = bob.unfold("Approve")
    bob.fill(form, reason="Read and compared with the contract.")
    assert bob.send(form, "Approve") == "Approved."


def _answer(person: Page, hands: Hands, link: str, told: str) -> None:
    """The person opens the link, reads and accepts."""
    person.goto(link)
    hands.press(person.locator("section[data-processing=ads-mail] button[value=accept]"))
    person.wait_for_selector("#answers")
    assert told in person.inner_text("main")


def _change(ada: Desk) -> None:
    """A version that asks anew: the preview says how many consents end by it."""
    ada.go("Register")
    ada.hands.press(ada.page.get_by_role("link", name=re.compile("Advertising in the mailbox")).first)
    ada.hands.press(ada.page.get_by_role("link", name="Propose a version"))
    ada.fill(ada.page, notice__en="The content of your messages is analysed to choose advertisements and offers.")
    ada.fill(ada.page, notice__fr="Le contenu de vos messages est analysé pour choisir publicités et offres.")
    box = ada.page.get_by_label("Material change")
    if not box.is_checked():
        ada.hands.press(box)
    ada.fill(ada.page, reason="Offers are chosen too.")
    ada.hands.press(ada.page.get_by_role("button", name="See what this would change"))
    ada.page.wait_for_selector(".shown-page, [role=alert]")
    told = ada.page.inner_text("main")
    assert "every consent in force would end" in told, told
    assert "another person has to approve it" in ada.send(ada.page, "Propose a version")


def _invalidate(ada: Desk) -> None:
    """A version that was unlawful is struck, after a look at whom that concerns."""
    ada.go("Register")
    ada.hands.press(ada.page.get_by_role("link", name=re.compile("Advertising in the mailbox")).first)
    form = ada.unfold("Invalidate a version or a text")
    ada.fill(form, version="1", reason="The text did not name the recipients.")
    ada.hands.press(form.get_by_role("button", name="See what this would change"))
    ada.page.wait_for_load_state()
    ada.page.wait_for_selector("details.act[open] .note[role=status]")
    form = ada.page.locator("details.act[open]").first
    assert ada.send(form, "Invalidate a version or a text").startswith("Invalidated")
