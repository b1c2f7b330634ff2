"""Commands about one person, whose id comes on standard input: an argument would stand in the list of processes."""
