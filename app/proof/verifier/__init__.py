"""What checks proofs: it needs no database, no network and no settings; beside Python only `cryptography`.

Time-stamps it checks with `rfc3161-client`, where that is installed.

`sceau proof verify --script` writes these modules as one file. They import nothing of Sceau but one another.
"""
