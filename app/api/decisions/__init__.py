"""Decisions over HTTP: how a request is read and answered (AuthZEN 1.0), and the routes that document it."""
