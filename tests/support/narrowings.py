"""What an operator takes from a caller."""

NARROWINGS = {
    "caller revoked": lambda made, _: ("DELETE", f"/v1/keys/{made['id']}", None),
    "key revoked": lambda made, _: ("PATCH", f"/v1/keys/{made['id']}", {"revoke_keys": [made["keys"][0]["id"]]}),
    "key compromised": lambda made, _: ("POST", f"/v1/keys/{made['id']}/rotations", {"compromised": True}),
    "scope taken away": lambda made, _: ("PATCH", f"/v1/keys/{made['id']}", {"scopes": ["audit:read"]}),
    "processing taken away": lambda made, name: ("PATCH", f"/v1/keys/{made['id']}", {"processings": [f"not-{name}"]}),
}
"""By name: the request, made of what told the caller its key and of a processing that it may ask about."""
