"""A release after this one, whose schema is one revision further."""

import shutil
from pathlib import Path
from typing import Final

import pytest

from app.db.revisions import known_revisions, migrations

NEXT: Final = "0002_synthetic"
_NEXT: Final = """
import sqlalchemy as sa
from alembic import op

revision = "{next}"
down_revision = "{before}"


def upgrade():
    op.create_table("synthetic", sa.Column("id", sa.Integer(), primary_key=True))


def downgrade():
    op.drop_table("synthetic")
"""


def know_one_more(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    """Let the code know one more revision from here on, which makes a table."""
    folder = place / "migrations"
    shutil.copytree(migrations(), folder, ignore=shutil.ignore_patterns("__pycache__"))
    following = _NEXT.format(next=NEXT, before=known_revisions()[-1])
    (folder / "versions" / f"{NEXT}.py").write_text(following, encoding="utf-8")
    for user in ("app.db.revisions", "app.db.migrate"):
        monkeypatch.setattr(f"{user}.migrations", lambda: folder)
