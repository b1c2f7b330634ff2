"""Staff under L32-3 V: the notice in versions, who is to know it, and who acknowledged it."""
