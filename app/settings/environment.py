"""Where settings come from: variables, or files that these name; how a wrong one is refused, and which lack others."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from app.core.errors import RefusalError
from app.settings.values import REFUSED

if TYPE_CHECKING:
    from app.settings import Settings

PREFIX: Final = "SCEAU_"
ELSEWHERE: Final = frozenset({"SCEAU_KEY", "SCEAU_KEY_FILE", "SCEAU_TEST_DATABASE_URL", "SCEAU_URL"})
"""Names under the prefix that are not the service's, but of commands that talk to a service, and of its tests."""


class SettingsError(RefusalError):
    """A setting is missing or wrong; the message is one line that names it and says how to mend it."""


def lines_of(error: ValidationError) -> dict[str, str]:
    """Return the settings whose values cannot be read, each with the line that refuses it and without the value."""
    errors = error.errors(include_url=False, include_input=False, include_context=False)
    return {str(each["loc"][0]): _line_of(str(each["loc"][0]), each["type"], each["msg"]) for each in errors}


def _line_of(setting: str, kind: str, message: str) -> str:
    name = PREFIX + setting.upper()
    if kind == REFUSED:
        return f"{name} {message}"
    if kind == "enum":  # Input should be 'leased' or 'strict'
        words = message.removeprefix("Input should be ").replace("'", "")
        return f"{name} must be {words}"
    reason = message.removeprefix("Value error, ")
    example = ", as in PT5S" if kind.startswith("time_delta") else ""
    return f"{name}: {reason[:1].lower()}{reason[1:]}{example}"


def read_variables(environment: Mapping[str, str], names: frozenset[str]) -> tuple[dict[str, Any], list[str]]:
    """Return the settings that variables give, by name, and a line for each variable that is refused.

    A setting is given by its variable, in capitals, or by the file that its SCEAU_…_FILE variable names; an empty one
    counts as not given. Refused is a variable that is no setting, a file beside its setting, and an unreadable file.
    """
    settings = {PREFIX + name.upper(): name for name in names}
    values: dict[str, Any] = {}
    errors: list[str] = []
    for variable, value in environment.items():
        if not variable.upper().startswith(PREFIX) or variable in ELSEWHERE or not value:
            continue
        try:
            name, text = (settings[variable], value) if variable in settings else _read(variable, environment, settings)
        except SettingsError as error:
            errors.append(str(error))
            continue
        if text:
            values[name] = text
    return values, errors


def _read(variable: str, environment: Mapping[str, str], settings: Mapping[str, str]) -> tuple[str, str]:
    """Return the setting that a variable's file is for, and what the file holds.

    Raises:
        SettingsError: it is for no setting, its setting is named as well, or the file cannot be read.

    """
    base = variable.removesuffix("_FILE")
    if base == variable or base not in settings:
        raise SettingsError(f"{variable} is no setting of this version: see .env.example")
    if environment.get(base):
        raise SettingsError(f"{variable} and {base} are both set: keep one")
    try:
        return settings[base], Path(environment[variable]).read_text(encoding="utf-8").strip()
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
