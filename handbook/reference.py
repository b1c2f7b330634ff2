"""Writes the reference pages from the code. A test compares the files of docs/reference/ with what this writes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from app.main import create_app
from app.settings import Settings
from handbook.happenings import events_page
from handbook.interface import problems_page, scopes_page
from handbook.measures import metrics_page
from handbook.settings import settings_page
from handbook.staging import ROOT

FOLDER: Final = ROOT / "docs" / "reference"
_NOWHERE: Final = SecretStr("postgresql://nobody@127.0.0.1:1/none")


def pages() -> Mapping[str, str]:
    """What each page should hold, by its name; opens nothing."""
    app = create_app(_described())
    return {
        "settings.md": settings_page(),
        "scopes.md": scopes_page(),
        "problems.md": problems_page(),
        "metrics.md": metrics_page(app),
        "events.md": events_page(),
    }


def write_pages() -> list[Path]:
    """Write the pages that differ; which these were."""
    written = []
    for name, text in pages().items():
        path = FOLDER / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            written.append(path)
    return written


def _described() -> Settings:
    """Settings under which every part is there: an issuer's tokens, and memory."""
    return Settings.model_validate(
        {
            "database_url": _NOWHERE,
            "pseudonym_key": SecretStr("00" * 32),
            "master_key": SecretStr("1:" + "00" * 32),
            "oidc_issuer": "https://issuer.example",
            "oidc_audience": "https://sceau.example",
            "register_approval": "two",
            "durability": "local",
        }
    )
