from datetime import timedelta

import pytest

from tests.support.two_persons import add, person, rule, states

OTHER = {"fr": "Autre texte", "en": "Another text"}


@pytest.mark.parametrize(
    ("number", "change"),
    [(1, {"notice": OTHER}), (2, {"name": OTHER}), (3, {"consequences": {"fr": "Rien ne change."}})],
)
def test_texts_changed_as_minor_wait_for_another_person(pap, shared_clock, number, change):
    """Texts changed as minor wait for a second person's approval, with any setting."""
    name = f"words-{number}"
    pap.agreed(name, "alice")
    ada, bob = person(pap, "Ada"), person(pap, "Bob")
    body = add(ada, name, reason="A typing error.", **change).json()
    assert (body["version"]["number"], body["proposed_version"]) == (1, 2)
    assert rule(ada, name, 2).status_code == 403
    shared_clock.at += timedelta(seconds=1)
    assert rule(bob, name, 2).json()["version"]["number"] == 2
    assert pap.reason("alice", name) == "consent_in_force"
    listed = pap.ok("GET", f"/v1/processings/{name}/versions")["items"][1]
    assert (listed["state"], listed["reason"]) == ("approved", "A typing error.")


def test_other_texts_without_a_reason_are_refused(pap):
    """Other texts in a version that is not material need a reason that is kept."""
    pap.register("unsaid")
    answer = add(pap, "unsaid", notice=OTHER)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "reason")
    assert states(pap, "unsaid") == [(1, "approved")]


def test_other_texts_in_a_material_version_wait_for_nobody(pap):
    """Other texts in a material version need no second person where one registers."""
    pap.register("anew")
    assert add(pap, "anew", notice=OTHER, material=True).json()["version"]["number"] == 2


def test_each_version_tells_what_it_changed(pap):
    """For each later version, the register lists each changed fact, before and after, and which are material."""
    pap.register("told")
    add(pap, "told", retention="P7D", elements=["content", "attachments"], material=True, storage_location="Roubaix")
    first, second = pap.ok("GET", "/v1/processings/told/versions")["items"]
    assert first["changes"] is None
    assert second["changes"] == [
        {
            "field": "elements",
            "before": ["content", "subject_line"],
            "after": ["attachments", "content"],
            "material": True,
        },
        {"field": "storage_location", "before": None, "after": "Roubaix", "material": True},
        {"field": "retention", "before": "P30D", "after": "P7D", "material": False},
    ]
