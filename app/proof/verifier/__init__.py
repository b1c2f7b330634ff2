"""The verifier of proofs. It needs no database, network or settings, and of packages only `cryptography`.

It checks time-stamps with `rfc3161-client`, if that is installed.

`sceau proof verify --script` writes these modules as one file. Of Sceau they import only one another.
"""

from importlib import resources


def french_sentences() -> dict[str, str]:
    """The verifier's French sentences, by the English ones; `{}` marks where text from a file is filled in.

    In the single file, this function returns a dict that is written into that file.
    """
    from babel.messages.pofile import read_po  # noqa: PLC0415 - English needs none of it

    with (resources.files(__package__) / "fr.po").open("rb") as opened:
        return {str(each.id): str(each.string) for each in read_po(opened, abort_invalid=True) if each.id}
