"""Every setting that is wrong or missing, at once: a start reports the first one only."""

from collections.abc import Callable, Mapping
from typing import Final

from app.settings import Settings, required
from app.settings.environment import SettingsError

_LOOKS: Final[Mapping[str, Callable[[Settings], object]]] = {
    "database_url": lambda settings: required.required(settings.database_url, "database_url"),
    "pseudonym_key": required.pseudonym_keys,
    "master_key": required.master_keys,
    "bootstrap_key": required.bootstrap_key,
    "durability": required.durability,
    "register_approval": required.register_approval,
}
"""What a service cannot do without, and keys, whose form is checked only when they are used."""


def settings_errors(environment: Mapping[str, str]) -> list[str]:
    """Return a line for each setting that is wrong or missing, with how to mend it and without its value.

    Args:
        environment: names and values, such as `os.environ`.

    """
    settings, lines, wrong = Settings.read(environment)
    for name, look in _LOOKS.items():
        if name in wrong:
            continue
        try:
            look(settings)
        except SettingsError as error:
            lines.append(str(error))
    return list(dict.fromkeys(lines))
