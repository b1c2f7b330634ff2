"""What the verifier says in French, by the English sentence: the gettext catalogue beside this file."""

from importlib.resources import files


def french() -> dict[str, str]:
    """Each sentence, with `{}` where something of a file stands. The single file has this as a dict in its place."""
    from babel.messages.pofile import read_po  # noqa: PLC0415 - English needs none of it

    with (files(__package__) / "fr.po").open("rb") as opened:
        return {str(each.id): str(each.string) for each in read_po(opened, abort_invalid=True) if each.id}
