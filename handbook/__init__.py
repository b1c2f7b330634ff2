"""The site of docs/ and its reference pages: `./dev docs` writes and builds both, `./dev check` builds strictly."""
