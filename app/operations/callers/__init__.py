"""Make, change, rotate and revoke callers, and sign persons in."""
