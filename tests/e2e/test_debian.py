import os

import pytest

from tests.e2e import debian


def test_who_may_not_install_is_told_what_to_install(monkeypatch):
    """A user without rights gets the command that somebody with rights can run."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(debian.Unavailable, match="apt install no-such-server"):
        debian.provide_servers({"no-such-server": "/nowhere/server"}, "a test")


def test_a_package_that_cannot_be_had_fails_with_what_apt_said(monkeypatch, tmp_path):
    """Debian has no such package: the run fails, and says why."""
    monkeypatch.setattr(debian, "POLICY", tmp_path / "policy-rc.d")
    with pytest.raises(debian.Unavailable, match="no-such-server"):
        debian.provide_servers({"no-such-server": "/nowhere/server"}, "a test")


def test_what_is_there_is_not_installed(monkeypatch):
    """Servers that are installed already need no rights."""
    installed: list[object] = []
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(debian, "install", installed.append)
    debian.provide_servers({"a-shell": "/bin/sh"}, "a test")
    assert installed == []


def test_no_service_starts_while_packages_are_installed(monkeypatch, tmp_path):
    """Debian's own question is answered with no meanwhile, and the machine's answer is back afterwards."""
    policy = tmp_path / "policy-rc.d"
    policy.write_text("of the machine")
    monkeypatch.setattr(debian, "POLICY", policy)
    with debian._no_service_starts():
        assert policy.read_text() == "#!/bin/sh\nexit 101\n"
        assert os.access(policy, os.X_OK)
    assert policy.read_text() == "of the machine"
