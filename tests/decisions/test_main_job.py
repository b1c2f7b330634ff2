def test_a_withdrawal_changes_the_next_answer(api):
    """Register, consent, ask, withdraw, ask: deny, permit, deny."""
    api.register("ads")
    assert api.reason("alice", "ads") == "no_consent"
    consent = api.decide("alice", "ads")
    assert consent["state"] == "in_force"
    permit = api.evaluate("alice", "ads")
    assert permit["decision"] is True
    assert permit["context"]["consent"] == consent["id"]
    withdrawn = api.withdraw("alice", "ads")
    assert withdrawn["withdrawn"] == [consent["id"]]
    deny = api.evaluate("alice", "ads")
    assert (deny["decision"], deny["context"]["reason"]) == (False, "consent_withdrawn")
    assert deny["context"]["consent"] == consent["id"]
