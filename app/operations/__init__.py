"""Use cases, one file and one function each: this listing is the table of contents."""
