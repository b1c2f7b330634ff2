"""What was decided: the log of decisions, by keyed references only."""
