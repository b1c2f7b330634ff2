"""The routes that show what was done and decided: the trail of acts, the decision log."""
