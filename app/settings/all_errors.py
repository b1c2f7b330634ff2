"""Every setting that is wrong or missing, at once: a start reports the first one only."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final

from pydantic import ValidationError

from app.settings import Settings, required
from app.settings.environment import PREFIX, SettingsError, lacking, lines_of, read_variables

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
    values, lines = read_variables(environment, frozenset(Settings.model_fields))
    wrong: dict[str, str] = {}
    try:
        settings = Settings(**values)
    except ValidationError as error:
        wrong = lines_of(error)
        settings = Settings(**{name: value for name, value in values.items() if name not in wrong})
    lines += wrong.values()
    lines += (line for line in lacking(settings) if not any(PREFIX + name.upper() in line.split() for name in wrong))
    lines += _wrong_together(settings, but=wrong.keys())
    return list(dict.fromkeys(lines))


def _wrong_together(settings: Settings, *, but: Collection[str]) -> Iterator[str]:
    """Yield what is missing, or has the wrong form, among the settings that could be read."""
    for name, look in _LOOKS.items():
        if name not in but:
            try:
                look(settings)
            except SettingsError as error:
                yield str(error)
