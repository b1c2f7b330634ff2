"""docs/reference/settings.md: every setting, its default and what it is for."""

import re
from typing import Final

from app.settings import Settings
from app.settings.environment import PREFIX
from handbook.lists import code, listing, page
from handbook.staging import ROOT

_EXAMPLE: Final = ROOT / ".env.example"
INTRODUCTION: Final = """
Every setting is an environment variable. Any of them can come from a file: `SCEAU_MASTER_KEY_FILE` is the path of a
file with the value of `SCEAU_MASTER_KEY`. A variable that begins with `SCEAU_` and is no setting is refused at the
start. Durations are written as ISO 8601 has them (`PT5S`, `P30D`), lists with commas. Defaults are in brackets;
`.env.example` says more about each.
"""


def settings_page() -> str:
    """The whole page."""
    shown = dict(re.findall(rf"^#?({PREFIX}\w+)=(.*)$", _EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE))
    rows = []
    for field, about in Settings.model_fields.items():
        name = PREFIX + field.upper()
        default = "" if about.default is None else shown[name]  # a test holds .env.example to the defaults
        rows.append((name, code(default), about.description or ""))
    return page("Settings", INTRODUCTION, listing(rows))
