"""Where settings come from: variables, or files that these name; how a wrong one is refused, and which lack others."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from app.core.errors import RefusalError
from app.settings.values import REFUSED

if TYPE_CHECKING:
    from app.settings import Settings

PREFIX: Final = "SCEAU_"
ELSEWHERE: Final = frozenset({"KEY", "KEY_FILE", "TEST_DATABASE_URL", "URL"})
"""Names under the prefix that are not the service's, but of commands that talk to a service, and of its tests."""


class SettingsError(RefusalError):
    """A setting is missing or wrong; the message is one line that names it and says how to mend it."""


def line_of(setting: str, kind: str, message: str) -> str:
    """Return the line that refuses a setting, from pydantic's type of the error and its message."""
    name = PREFIX + setting.upper()
    if kind == REFUSED:
        return f"{name} {message}"
    reason = message.removeprefix("Value error, ")
    example = ", as in PT5S" if kind.startswith("time_delta") else ""
    return f"{name}: {reason[:1].lower()}{reason[1:]}{example}"


def from_files(environment: Mapping[str, str], names: frozenset[str]) -> dict[str, Any]:
    """Return the values in the files that SCEAU_…_FILE variables name.

    Raises:
        SettingsError: a variable under the prefix is no setting, both a setting and its file are named, or the file
            cannot be read.

    """
    values, errors = read_files(environment, names)
    if errors:
        raise SettingsError(errors[0])
    return values


def read_files(environment: Mapping[str, str], names: frozenset[str]) -> tuple[dict[str, Any], list[str]]:
    """Return the values as `from_files` does, with a line for each wrong variable instead of an error for the first."""
    values: dict[str, Any] = {}
    errors: list[str] = []
    for variable, value in environment.items():
        name = variable.removeprefix(PREFIX)
        if name == variable or name in ELSEWHERE or name.lower() in names or not value:
            continue
        try:
            base, text = _read(variable, value, environment, names)
        except SettingsError as error:
            errors.append(str(error))
            continue
        if text:  # else nothing is set, as with an empty variable
            values[base.lower()] = text
    return values, errors


def _read(variable: str, value: str, environment: Mapping[str, str], names: frozenset[str]) -> tuple[str, str]:
    """Return the setting that a variable's file is for, and what the file holds.

    Raises:
        SettingsError: see `from_files`.

    """
    name = variable.removeprefix(PREFIX)
    base = name.removesuffix("_FILE")
    if base == name or base.lower() not in names:
        raise SettingsError(f"{variable} is no setting of this version: see .env.example")
    if environment.get(PREFIX + base):
        raise SettingsError(f"{variable} and {PREFIX}{base} are both set: keep one")
    try:
        return base, Path(value).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        detail = f"the file that it names cannot be read ({why}): give the path of one that this user may read"
        raise SettingsError(f"{variable}: {detail}") from None


# Settings that need others: which of those are missing.


def lacking(settings: "Settings") -> Iterator[str]:
    """Yield a line for each setting that is set without the others that it needs."""
    if settings.oidc_issuer and not settings.oidc_audience:
        how = "is not set: say what tokens must be for (`aud`), such as the address of this deployment"
        yield f"{PREFIX}OIDC_AUDIENCE {how}"
    if settings.oidc_audience and not settings.oidc_issuer:
        yield f"{PREFIX}OIDC_AUDIENCE is set and {PREFIX}OIDC_ISSUER is not: say whose tokens are taken"
    if settings.console_client is not None and not settings.oidc_issuer:
        yield f"{PREFIX}CONSOLE_CLIENT is set and {PREFIX}OIDC_ISSUER is not: say where people have their accounts"
    if settings.tsa_url is not None and settings.tsa_ca_file is None:
        how = "is not set: name a file with the roots that the authority of"
        yield f"{PREFIX}TSA_CA_FILE {how} {PREFIX}TSA_URL must be certified under"
    if settings.tsa_ca_file is not None and settings.tsa_url is None:
        yield f"{PREFIX}TSA_CA_FILE is set and {PREFIX}TSA_URL is not: say which authority is asked"
