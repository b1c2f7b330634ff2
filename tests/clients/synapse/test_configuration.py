"""The module's configuration: what is wrong is named, and no secret is shown."""

import pytest

from sceau_synapse.configuration import ConfigurationProblem, read_configuration
from sceau_synapse.message import Element

KEY, SECRET = "sceau_" + "k" * 43, "5" * 64


@pytest.fixture
def given(tmp_path):
    """A configuration that is as it should be."""
    (tmp_path / "key").write_text(KEY + "\n")
    (tmp_path / "secret").write_text(SECRET + "\n")
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "short").write_text("secret\n")
    (tmp_path / "two").write_text("one two\n")
    return {
        "url": "https://sceau.example.fr/",
        "key_file": str(tmp_path / "key"),
        "secret_file": str(tmp_path / "secret"),
        "processings": [{"id": "ads-chat", "elements": ["content"], "on_permit": "builtins.print"}],
    }


def test_defaults_are_the_cautious_ones(given):
    """One second, the main process, local messages only, the other local users named."""
    read = read_configuration(given)
    assert read.url == "https://sceau.example.fr/access/v1/evaluations"
    assert (read.key, read.secret, read.timeout, read.territory) == (KEY, SECRET.encode(), 1.0, "FR")
    assert (read.worker, read.federated, read.participants, read.subject_type) == (None, False, True, "mxid")
    assert [(gate.processing, gate.elements) for gate in read.gates] == [("ads-chat", frozenset({Element.CONTENT}))]


def test_neither_key_nor_secret_is_shown(given):
    """A configuration that comes into a log gives nothing away."""
    shown = repr(read_configuration(given))
    assert KEY not in shown
    assert SECRET not in shown
    assert "ads-chat" in shown


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"url": None}, "url must be Sceau's address"),
        ({"url": "sceau.example.fr"}, "url must be Sceau's address"),
        ({"url": "https://sceau.example.fr?user=1"}, "url must be Sceau's address"),
        ({"url": "https://key@sceau.example.fr"}, "url must hold no credentials"),
        ({"key_file": None}, "key_file must be the path"),
        ({"key_file": "{folder}/none"}, "key_file is no path of a file that can be read: FileNotFoundError"),
        ({"key_file": "{folder}/empty"}, "key_file is empty"),
        ({"key_file": "{folder}/two"}, "key_file must hold one key"),
        ({"secret_file": "{folder}/short"}, "secret_file must hold at least 32 characters"),
        ({"timeout": 0}, "timeout must be seconds"),
        ({"timeout": True}, "timeout must be seconds"),
        ({"timeout": 31}, "timeout must be seconds"),
        ({"timeout": float("nan")}, "timeout must be seconds"),
        ({"federated": "yes"}, "federated must be true or false"),
        ({"worker": 1}, "worker must be a text"),
        ({"max_local_members": 0}, "max_local_members must be a whole number"),
        ({"max_local_members": 1_001}, "max_local_members must be a whole number"),
        ({"fail_open": True}, "unknown: fail_open"),
        ({"processings": []}, "at least one processing"),
        ({"processings": ["ads-chat"]}, "processings[0] must be a mapping"),
    ],
)
def test_what_is_wrong_is_named(given, tmp_path, change, says):
    """One line says which key and why."""
    changed = {
        name: value.format(folder=tmp_path) if isinstance(value, str) else value for name, value in change.items()
    }
    with pytest.raises(ConfigurationProblem) as raised:
        read_configuration(given | changed)
    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"id": ""}, "processings[0].id must be"),
        ({"elements": []}, "processings[0].elements must list"),
        ({"elements": ["subject_line"]}, "Matrix messages have no subject line"),
        ({"elements": ["words"]}, "processings[0].elements must list"),
        ({"on_permit": "print"}, "processings[0].on_permit must name a function"),
        ({"on_permit": "no_such_package.function"}, "on_permit cannot be imported: No module named"),
        ({"on_permit": "builtins.no_such_function"}, "on_permit cannot be imported"),
        ({"on_permit": "sys.version"}, "on_permit names something that cannot be called"),
        ({"exempt": True}, "unknown: processings[0].exempt"),
    ],
)
def test_what_is_wrong_in_a_processing_is_named(given, change, says):
    """One line says which processing, which key and why."""
    wrong = given | {"processings": [given["processings"][0] | change]}
    with pytest.raises(ConfigurationProblem) as raised:
        read_configuration(wrong)
    assert says in str(raised.value)


def test_one_processing_stands_once(given):
    """Two analyses of one processing would be one processing with two things to declare."""
    with pytest.raises(ConfigurationProblem, match="names one id twice"):
        read_configuration(given | {"processings": given["processings"] * 2})


def test_a_message_never_asks_more_than_one_request_may(given):
    """Members times processings stay within Sceau's thousand items."""
    two = [given["processings"][0], given["processings"][0] | {"id": "stats-chat"}]
    read_configuration(given | {"processings": two, "max_local_members": 500})
    with pytest.raises(ConfigurationProblem, match="over 1000"):
        read_configuration(given | {"processings": two, "max_local_members": 501})


def test_the_configuration_is_a_mapping():
    """Synapse hands over whatever stands there."""
    with pytest.raises(ConfigurationProblem, match="config must be a mapping"):
        read_configuration(None)
