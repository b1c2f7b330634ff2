"""Documents about the deployment: the report of a month, and the page of a bundle of proofs."""
