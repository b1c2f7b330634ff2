"""Commands of `sceau proof`; those that came first stand beside it."""
