"""The verifier's French: each of its sentences has a translation, and its verdicts do not change."""

import ast
import re
from importlib.resources import files

import pytest

from app.proof.verifier import french_sentences
from app.proof.verifier.french import in_french
from app.proof.verifier.main import main
from tests.proof.logs import copied

FRENCH = french_sentences()
NOT_SAID = re.compile(r"data/|sceau|%Y|[{}]*cosignature/v1|unzip|openssl|verify FILE|FILE with|verify\b")


def _sentences(module):
    """The sentences in the code of a module, with `{}` in the place of what is put into them."""
    tree = ast.parse((files("app.proof.verifier") / f"{module}.py").read_text(encoding="utf-8"))
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    explained = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner | explained:
            yield node.value


@pytest.mark.parametrize("module", ["notes", "trees", "anchors", "bodies", "files", "decisions", "bundles", "receipts"])
def test_every_sentence_has_a_french_one(module):
    """Each sentence in the verifier's code has a French one, whole or as a part of another."""
    templates = [re.sub(r"\{\}", " ", english) for english in FRENCH]
    missing = [
        sentence
        for sentence in _sentences(module)
        if len(re.findall(r"[a-z]{2,} [a-z]{2,}", sentence)) > 0
        and not NOT_SAID.search(sentence)
        and sentence not in FRENCH
        and not any(_words(sentence) in _words(each) for each in templates)
    ]
    assert missing == []


def _words(text):
    return " ".join(re.findall(r"[a-z'-]+", text.replace("{}", " ").lower()))


@pytest.mark.parametrize("english", FRENCH)
def test_each_sentence_is_found_again(english):
    """A French sentence takes as many values as the English one, and keeps them unchanged and in order."""
    translated = FRENCH[english]
    assert english.count("{}") == translated.count("{}")
    things = [f"<{number}>" for number in range(english.count("{}"))]
    assert in_french(english.format(*things)) == translated.format(*things)


def test_it_says_the_same_of_the_same_files_in_french(made, tmp_path, capsys):
    """In French, each line is translated, and the exit status and the content of files are unchanged."""
    with copied(made, tmp_path) as log:
        log.superuser("UPDATE processing_version SET retention = 'P9Y'")
        bundle, key = log.bundle(), log.key().split("\n")[0]
        spoken = {}
        for language in ("en", "fr"):
            status, _, output = log.sceau("proof", "verify", bundle, "--key", key, "--lang", language)
            assert status == 1
            spoken[language] = output.splitlines()
        done = log.alone(bundle, "--key", key, "--lang", "fr")
        assert (done.returncode, done.stdout.splitlines()) == (1, spoken["fr"])
    assert len(spoken["en"]) == len(spoken["fr"])
    assert not set(spoken["en"]) & set(spoken["fr"])
    assert any(
        "FAUX: entrée " in line and "la base ne contient pas ce qui a été enregistré" in line for line in spoken["fr"]
    )
    assert spoken["fr"][-1].endswith("FAUX : ne vous y fiez pas")


@pytest.mark.parametrize(
    ("spoken", "says"), [("fr_FR.UTF-8", "ILLISIBLE"), ("de_DE.UTF-8", "UNREADABLE"), ("", "UNREADABLE")]
)
def test_the_environment_chooses_the_language(monkeypatch, capsys, tmp_path, spoken, says):
    """LC_ALL, LC_MESSAGES and LANG choose French, as for other commands; otherwise the verifier speaks English."""
    for name in ("LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", spoken)
    (tmp_path / "file").write_text("nothing")
    assert main([str(tmp_path / "file")]) == 2
    assert says in capsys.readouterr().out
