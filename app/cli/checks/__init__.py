"""Commands that look at a deployment and change nothing: `sceau doctor`, `doctor settings`, `doctor status`."""
