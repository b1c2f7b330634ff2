"""What checks proofs: it needs no database, no network and no settings; beside Python only `cryptography`.

Time-stamps it checks with `rfc3161-client`, where that is installed.

`sceau proof verify --script` writes these modules as one file. They import nothing of Sceau but one another.
"""

from importlib import resources


def french_sentences() -> dict[str, str]:
    """What the verifier says in French, by the English sentence, with `{}` where something of a file stands.

    The single file has this as a dict in its place.
    """
    from babel.messages.pofile import read_po  # noqa: PLC0415 - English needs none of it

    with (resources.files(__package__) / "fr.po").open("rb") as opened:
        return {str(each.id): str(each.string) for each in read_po(opened, abort_invalid=True) if each.id}
