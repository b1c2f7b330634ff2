"""The verifier as one file: its modules one after the other, without the lines that import one from another."""

import ast
import pprint
from functools import cache
from importlib.resources import files
from typing import Final

from app.proof.verifier import french_sentences

_MODULES: Final = ("french", "notes", "trees", "bodies", "files", "anchors", "decisions", "bundles", "receipts", "main")
"""In an order in which each module needs only those before it."""
_PACKAGE: Final = "app.proof.verifier"
_HEAD: Final = '''#!/usr/bin/env python3
"""Checks proofs of Sceau without Sceau: `python3 verify.py FILE... --key KEY`. It needs the package `cryptography`;
with `rfc3161-client` it checks time-stamps too.

Written by `sceau proof verify --script`. Read it before you rely on it: that is what it is written for.
"""
'''


@cache
def verifier_script() -> str:
    """Return the whole verifier, as a script."""
    sentences = pprint.pformat(french_sentences(), width=118, sort_dicts=False)
    imports = set[str]()
    parts = [f"\n\n# --- French ---\n\n_FRENCH = {sentences}\n\n\ndef french_sentences():\n    return _FRENCH\n"]
    for module in _MODULES:
        source = (files(_PACKAGE) / f"{module}.py").read_text(encoding="utf-8")
        body, imported = _without_imports(source)
        imports |= imported
        parts.append(f"\n\n# --- {module} ---\n\n{body}")
    return _HEAD + "\n" + "\n".join(sorted(imports)) + "\n" + "".join(parts)


def _without_imports(source: str) -> tuple[str, set[str]]:
    """Return a module without its imports, and those imports that are not of the verifier itself."""
    lines, imported = source.split("\n"), set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            if not (isinstance(node, ast.ImportFrom) and (node.module or "").startswith(_PACKAGE)):
                imported.add(ast.unparse(node))
            for at in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[at] = ""
    return "\n".join(lines).strip("\n") + "\n", imported
