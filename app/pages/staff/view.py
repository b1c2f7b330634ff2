"""What the template of the staff notice is given."""

from dataclasses import dataclass
from typing import Any

from app.auth.callers import Caller
from app.auth.scopes import Scope
from app.core.staff import Notice, lacking, standing
from app.operations.staff.coverage import OwnStanding
from app.pages.dates import day, moment
from app.pages.languages import Language


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a notice: a heading, a paragraph, or a list."""

    kind: str
    lines: tuple[str, ...]


def blocks_of(body: str) -> list[Block]:
    """The blocks of a body, parted by blank lines: `# ` heads, `- ` on each line lists, all else is a paragraph."""
    found = []
    for part in body.replace("\r\n", "\n").split("\n\n"):
        lines = tuple(line.strip() for line in part.split("\n") if line.strip())
        if not lines:
            continue
        if len(lines) == 1 and lines[0].startswith("# "):
            found.append(Block("heading", (lines[0].removeprefix("# "),)))
        elif all(line.startswith("- ") for line in lines):
            found.append(Block("list", tuple(line.removeprefix("- ") for line in lines)))
        else:
            found.append(Block("paragraph", (" ".join(lines),)))
    return found


def notice_page(notice: Notice, own: OwnStanding, who: Caller, language: Language) -> dict[str, Any]:
    """The context of `staff_notice.html`."""
    written_in, text = notice.text(language.value)
    return {
        "title": text.title,
        "written_in": written_in,
        "blocks": blocks_of(text.body),
        "number": notice.number,
        "published": day(notice.published_at, language),
        "sha256": text.sha256,
        "unfinished": bool(lacking(notice.texts)),
        "standing": standing(notice.number, own.acknowledged).value,
        "acknowledged_at": moment(own.acknowledged_at, language) if own.acknowledged_at is not None else None,
        "signed_in_as": who.name,
        "dashboard": Scope.AUDIT_READ in who.scopes,
    }
