"""Every SCEAU_… that a file of a deployment names is a setting."""

import re
from pathlib import Path

from app.settings import Settings
from app.settings.environment import PREFIX
from tests.packaging.wheels import ROOT

SETTINGS = {PREFIX + name.upper() for name in Settings.model_fields}


def unknown(folder: Path) -> set[str]:
    """The names in the files of a folder that are neither a setting nor a setting's file."""
    named = {
        name
        for path in folder.rglob("*")
        if path.is_file()
        for name in re.findall(r"\bSCEAU_[A-Z0-9_]*[A-Z0-9]", path.read_text(encoding="utf-8"))
    }
    return {name for name in named if name not in SETTINGS and name.removesuffix("_FILE") not in SETTINGS}


def test_every_setting_that_a_deployment_names_exists():
    """Units, Compose file, chart, manifests and proxies name settings of this version only."""
    assert unknown(ROOT / "deploy") == set()


def test_a_setting_that_does_not_exist_is_seen(tmp_path):
    """The control: a misspelt setting is found."""
    (tmp_path / "sceau.env").write_text("SCEAU_DATABASE_URI=x\nSCEAU_MASTER_KEY_FILE=/run/key\n")
    assert unknown(tmp_path) == {"SCEAU_DATABASE_URI"}
