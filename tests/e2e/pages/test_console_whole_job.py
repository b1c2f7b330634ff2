"""The whole job by pages alone: from an empty service to a bundle, by mouse and by keyboard; nobody types JSON."""

import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page

from tests.e2e.pages.oidc import CONFIDENTIAL, IN_THE_FORM, PUBLIC, STAFF, console
from tests.faults.service import eventually

PERSON = "julie@exemple.example"
ACTS = 78
"""Presses and fields of the whole job, the person's three included: docs/console.md gives the number."""
AT_THE_ISSUER = 4
"""Presses and fields of one sign-in on the issuer's own pages: login, password, two buttons."""
SIGN_IN = "Sign in with your organisation’s account"
SCOPES = (
    *("register:read", "register:write", "register:approve", "consents:read", "consents:write"),
    *("subjects:read", "audit:read"),
)


class Hands:
    """What presses and types: a mouse, or Tab, Enter and Space alone. `acts` counts presses and fields."""

    def __init__(self, by: str) -> None:
        """Use one of them."""
        self.by, self.acts = by, 0

    def press(self, control: Locator) -> None:
        """Press a link, a button, a box, or what unfolds."""
        self.acts += 1
        if self.by == "mouse":
            control.click()
            return
        self._reach(control)
        is_box = control.evaluate("element => element.type === 'checkbox'")
        control.page.keyboard.press("Space" if is_box else "Enter")

    def write(self, control: Locator, text: str) -> None:
        """Fill in a field."""
        self.acts += 1
        if self.by == "mouse" and control.get_attribute("type") != "date":
            control.click()
        elif self.by == "mouse":
            control.focus()  # a click would go to the part of the date that it hits
        else:
            self._reach(control)
        if control.get_attribute("type") == "date":
            year, month, day = text.split("-")
            control.page.keyboard.type(f"{day}{month}{year}")  # as a browser in British English takes it
        else:
            control.page.keyboard.press("ControlOrMeta+A")
            control.page.keyboard.insert_text(text)

    def choose(self, control: Locator, value: str) -> None:
        """Take one of several."""
        self.acts += 1
        if self.by == "mouse":
            control.select_option(value)
            return
        self._reach(control)
        label = control.locator(f'option[value="{value}"]').inner_text()
        control.page.keyboard.type(label[:12])  # a list goes to what is typed
        assert control.input_value() == value

    @staticmethod
    def _reach(control: Locator) -> None:
        """Go on with Tab from where the focus is until it is there, and is seen there."""
        control.wait_for()
        wanted = control.element_handle()
        for _ in range(150):
            control.page.keyboard.press("Tab")
            if control.page.evaluate("wanted => document.activeElement === wanted", wanted):
                assert control.evaluate("element => getComputedStyle(element).outlineStyle") != "none"
                return
        raise AssertionError(f"no Tab leads to {control}")


class Desk:
    """A window of one of the staff, signed in at the issuer; what is done on its pages is counted apart."""

    def __init__(self, browser: Browser, at: tuple[str, str], who: str, hands: Hands) -> None:
        """Sign in with an account."""
        (self.address, self.issuer), self.hands, self.there = at, hands, Hands(hands.by)
        self.page = browser.new_page(locale="en-GB", viewport={"width": 1280, "height": 900})
        self.page.goto(f"{self.address}/console?lang=en")
        assert self.page.locator("#key").count() == 0  # there is no step between
        hands.press(self.page.get_by_role("link", name=SIGN_IN))
        self.page.wait_for_url(f"{self.issuer}/**")
        self.there.write(self.page.locator("[name=login]"), who)
        self.there.write(self.page.locator("[name=password]"), "any")
        self.there.press(self.page.get_by_role("button", name="Sign-in"))
        self.there.press(self.page.get_by_role("button", name="Continue"))
        self.page.wait_for_url("**/console?lang=en")
        assert STAFF[who] in self.page.inner_text("header")
        assert self.there.acts == AT_THE_ISSUER

    def leave(self) -> Page:
        """Sign out of the console, then at the issuer. A copy of the browser of before, whom both then ask anew."""
        before = self.page.context.storage_state()
        self.hands.press(self.page.locator(".sign-out button"))
        self.page.get_by_role("status").get_by_text("You are signed out of the console.").wait_for()
        self.hands.press(self.page.get_by_role("link", name="sign out there too"))
        self.page.wait_for_url(f"{self.issuer}/**")
        self.there.press(self.page.get_by_role("button", name="Yes, sign me out"))
        self.page.wait_for_url(f"{self.address}/console/sign-in")
        assert self.page.context.browser is not None
        copy = self.page.context.browser.new_page(locale="en-GB", storage_state=before)
        copy.goto(f"{self.address}/console?lang=en")
        self.hands.press(copy.get_by_role("link", name=SIGN_IN))
        copy.wait_for_url(f"{self.issuer}/**")
        copy.wait_for_selector("[name=login]")
        return copy

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
        with self.page.expect_download() as download:
            self.hands.press(press)
        target = folder / download.value.suggested_filename
        download.value.save_as(target)
        return target


@pytest.fixture
def staff(tmp_path, client):
    """An empty service where two persons decide, an issuer, and two of the staff whom it knows: no key is theirs."""
    with console(client, tmp_path, SCOPES, SCEAU_REGISTER_APPROVAL="two") as at:
        yield at


@pytest.mark.parametrize(
    ("by", "client"),
    [
        pytest.param("mouse", PUBLIC, id="mouse", marks=pytest.mark.deep),
        pytest.param("keyboard", CONFIDENTIAL, id="keyboard"),
    ],
)
def test_the_whole_job(browser, staff, tmp_path, by):
    """Proposed, approved, asked, given, changed, renewed, withdrawn, invalidated, reported and bundled."""
    hands = Hands(by)
    ada = Desk(browser, staff, "ada", hands)
    bob = Desk(browser, staff, "bob", hands)
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
    for page in (ada.leave(), ada.page, bob.page, person):
        page.context.close()


@pytest.mark.parametrize("client", [IN_THE_FORM], ids=["secret in the form"])
def test_the_issuer_lets_in_again_until_it_is_left_too(browser, staff):
    """Who signs out of the console alone comes back unasked; who leaves the issuer too does not; to cancel is told."""
    ada = Desk(browser, staff, "ada", Hands("mouse"))
    ada.hands.press(ada.page.locator(".sign-out button"))
    ada.hands.press(ada.page.get_by_role("link", name=SIGN_IN))
    ada.page.wait_for_url("**/console?lang=en")
    assert ada.there.acts == AT_THE_ISSUER
    there = ada.leave()
    there.get_by_role("link", name="Cancel").click()
    assert "Signing in did not succeed." in there.inner_text("[role=alert]")
    for page in (there, ada.page):
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


def _answer(person: Page, hands: Hands, link: str, outcome: str) -> None:
    """The person opens the link, reads and accepts."""
    person.goto(link)
    hands.press(person.locator("section[data-processing=ads-mail] button[value=accept]"))
    person.wait_for_selector("#answers")
    assert outcome in person.inner_text("main")


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
    text = ada.page.inner_text("main")
    assert "every consent in force would end" in text, text
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
