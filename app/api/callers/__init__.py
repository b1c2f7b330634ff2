"""The routes of callers, their keys and their identities."""
