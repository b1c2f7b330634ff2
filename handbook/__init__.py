"""The site of docs/ and its reference pages: `./dev docs` writes and builds them, `./dev check` builds them strictly."""
