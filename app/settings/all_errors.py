"""Every setting that is wrong or missing, at once: a start reports the first one only."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Self

from pydantic import ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from app.settings import Settings, required
from app.settings.environment import PREFIX, SettingsError, lacking, line_of, read_files


class _GivenSettings(Settings):
    """Settings of what is handed in alone: the environment was read before."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - as pydantic-settings calls it
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what is handed in."""
        return (init_settings,)

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        """Accept settings that lack others, in the place of the check of that name: that is looked at afterwards."""
        return self


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
    names = frozenset(Settings.model_fields)
    values, lines = read_files(environment, names)
    values |= {name: value for name in names if (value := environment.get(PREFIX + name.upper()))}
    wrong = _wrong_values(values)
    lines += wrong.values()
    settings = _GivenSettings(**{name: value for name, value in values.items() if name not in wrong})
    lines += (line for line in lacking(settings) if not any(PREFIX + name.upper() in line.split() for name in wrong))
    lines += _wrong_together(settings, but=frozenset(wrong))
    return list(dict.fromkeys(lines))


def _wrong_values(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings whose values cannot be read, each with its line."""
    try:
        _GivenSettings(**values)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False, include_context=False)
        return {str(each["loc"][0]): line_of(str(each["loc"][0]), each["type"], each["msg"]) for each in errors}
    return {}


def _wrong_together(settings: Settings, *, but: frozenset[str]) -> Iterator[str]:
    """Yield what is missing, or has the wrong form, among the settings that could be read."""
    for name, look in _LOOKS.items():
        if name not in but:
            try:
                look(settings)
            except SettingsError as error:
                yield str(error)
