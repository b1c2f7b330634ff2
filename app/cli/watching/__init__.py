"""Commands that look at a running service from outside."""
