"""What is seen on a phone before any scrolling, and how the second layer opens."""

import pytest

from tests.e2e.pages.consent import ADS, BUTTON, STATISTICS, press
from tests.e2e.pages.looking import PHONE

REFUSE_ALL = "button[value=refuse_all]"
SEEN = """(wanted) => {
    const e = document.querySelector(wanted), b = e.getBoundingClientRect();
    const middle = document.elementFromPoint(b.x + b.width / 2, b.y + b.height / 2);
    return b.top >= 0 && b.bottom <= window.innerHeight && (middle === e || e.contains(middle));
}"""
"""Whether a button is within the window, with nothing over it."""


def seen(page, *buttons):
    """Which of these buttons are seen as the page stands."""
    return [page.evaluate(SEEN, each) for each in buttons]


def two(processing):
    """The two answers to a first request."""
    return [BUTTON.format(processing, what) for what in ("accept", "refuse")]


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_both_answers_are_on_the_first_screen(phone, operator, lang):
    """At 390 × 844 nothing needs to be scrolled to accept or to refuse."""
    phone.goto(operator.link(f"one-{lang}@exemple-courriel.example", ADS, lang=lang))
    assert seen(phone, *two(ADS)) == [True, True]
    assert phone.evaluate("window.scrollY") == 0


@pytest.mark.parametrize("reader", ["child", "parent"])
@pytest.mark.parametrize("lang", ["fr", "en"])
def test_child_and_parent_see_both_answers_at_once(phone, operator, reader, lang):
    """The plain words for a child leave room for both answers on the first screen, and so do the parent's."""
    phone.goto(operator.joint(f"{reader}-{lang}@exemple-courriel.example", reader, lang))
    assert seen(phone, *two(ADS)) == [True, True]


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_of_several_the_first_answers_and_refusing_everything_are_on_the_first_screen(phone, operator, lang):
    """Where two are asked, both answers to the first and the one that refuses everything are seen at once."""
    phone.goto(operator.link(f"two-{lang}@exemple-courriel.example", lang=lang))
    assert seen(phone, *two(ADS), REFUSE_ALL) == [True, True, True]


def test_control_of_the_first_screen(phone, operator):
    """Control: with more above them the answers are not on the first screen, and with something over them not seen."""
    phone.goto(operator.link("control@exemple-courriel.example", ADS))
    phone.evaluate("document.querySelector('main').style.paddingTop = '400px'")
    assert seen(phone, *two(ADS)) == [False, False]
    phone.evaluate("document.querySelector('main').style.paddingTop = '0'")
    assert seen(phone, *two(ADS)) == [True, True]
    phone.evaluate(
        "() => { const over = document.body.appendChild(document.createElement('p'));"
        " over.style.position = 'fixed'; over.style.inset = '0'; }"
    )
    assert seen(phone, *two(ADS)) == [False, False]


def test_each_page_begins_with_who_and_what_for(phone, operator):
    """Two lines come first, whatever the page asks: who; what for, and until when while it asks."""
    name = "begins@exemple-courriel.example"
    phone.goto(operator.link(name, ADS))
    assert phone.locator("main .lead").all_inner_texts()[0] == "Exemple Courriel SAS vous demande votre accord."
    assert (
        phone.locator("main .lead").all_inner_texts()[1].startswith("À des fins publicitaires, au plus tard jusqu’au ")
    )
    press(phone, ADS, "accept")
    expected = ["Accord donné à Exemple Courriel SAS.", "À des fins publicitaires."]
    assert phone.locator("main .lead").all_inner_texts() == expected
    phone.goto(operator.link(name, ADS, kind="withdraw"))
    assert phone.locator("main .lead").all_inner_texts() == expected


def test_the_second_layer_opens_without_scripts(phone, operator):
    """Folded at first; a press on its line shows what GDPR 13 wants told, and the line is reached by keyboard."""
    phone.goto(operator.link("layers@exemple-courriel.example", ADS))
    rights = phone.get_by_text("Quels sont mes droits ?")
    assert not rights.is_visible()
    summary = phone.locator("section summary").first
    summary.focus()
    phone.keyboard.press("Enter")
    assert rights.is_visible()
    contact = phone.get_by_role("link", name="dpo@exemple-courriel.example").first
    assert contact.get_attribute("href") == "mailto:dpo@exemple-courriel.example"


@pytest.mark.parametrize("answer", ["accept", "refuse", "withdraw", "decline"])
def test_every_answer_folds_the_page_alike(phone, operator, answer):
    """After any answer: where one stands, then the button that changes it, on the first screen; the details folded."""
    name = f"folds-{answer}@exemple-courriel.example"
    phone.goto(operator.link(name, ADS))
    press(phone, ADS, "accept" if answer in {"withdraw", "decline"} else answer)
    if answer in {"withdraw", "decline"}:
        phone.goto(operator.link(name, ADS))
        press(phone, ADS, answer)
    order = phone.evaluate(
        "[...document.querySelectorAll('section[data-processing] > *')].map(e => e.tagName.toLowerCase())"
    )
    assert order[:2] == ["h2", "div"]
    assert order.index("form") < order.index("details")
    note, control = phone.locator("section .note").first, phone.locator("section button").first
    for each in (note, control):
        box = each.bounding_box()
        assert box["y"] + box["height"] <= PHONE["height"]
    assert not phone.locator("section details[open]").count()


def test_the_page_prints_whole(phone, operator):
    """On paper the second layer is there although it is folded on the screen, and buttons are not."""
    phone.goto(operator.link("printer@exemple-courriel.example", ADS))
    height = "document.querySelector('section details').getBoundingClientRect().height"
    assert phone.evaluate(height) < 50
    phone.emulate_media(media="print")
    assert phone.evaluate(height) > PHONE["height"]
    assert not phone.locator(BUTTON.format(ADS, "accept")).is_visible()


@pytest.mark.parametrize("zoom", [2, 4])
def test_zoomed(browser, operator, zoom):
    """At 200 % and 400 % of a window of 1280 × 1024 nothing scrolls sideways, and every button can be pressed."""
    viewport = {"width": 1280 // zoom, "height": 1024 // zoom}
    context = browser.new_context(viewport=viewport, device_scale_factor=zoom)
    page = context.new_page()
    page.goto(operator.link(f"zoom-{zoom}@exemple-courriel.example"))
    for fold in page.locator("summary").all():
        fold.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    page.click(BUTTON.format(STATISTICS, "refuse"))
    assert operator.decision(f"zoom-{zoom}@exemple-courriel.example", STATISTICS) == (False, "consent_refused")
    context.close()
