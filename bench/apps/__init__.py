"""The applications that Sceau is measured against; each runs under the same server with the same flags."""
