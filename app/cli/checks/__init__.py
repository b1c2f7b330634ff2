"""Commands that look at a deployment and change nothing: `sceau doctor`, `sceau config check`, `sceau status`."""
