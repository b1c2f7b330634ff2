"""The part of the consent page that is a processing's text, without the page around it."""

from html import escape

from app.api.register.views import PreviewedText
from app.core.page.passages import typeset
from app.core.page.text import ConsentText, Passage


def previewed(text: ConsentText) -> PreviewedText:
    """A text as it is hashed, and as HTML: a heading, then questions and answers, spaced as on the page.

    Spacing changes white space only, any run of which the hash takes for one space.
    """
    lines = [_element("h2", text.name, text.language), '<dl class="said">']
    for row in text.rows:
        lines.append(_element("dt", Passage(row.question, text.language), text.language))
        lines += [_element("dd", answer, text.language) for answer in row.answers]
    return PreviewedText(plain=text.plain, sha256=text.sha256, html="\n".join([*lines, "</dl>"]))


def _element(tag: str, passage: Passage, language: str) -> str:
    spoken = f' lang="{passage.language}"' if passage.language != language else ""
    return f"<{tag}{spoken}>{escape(typeset(passage.text, passage.language))}</{tag}>"
