"""The consent page: the links that lead to it, and the text that asks."""
