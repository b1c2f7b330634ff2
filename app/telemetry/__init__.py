"""Logs and metrics. Nothing here sees an identifier of a person."""
