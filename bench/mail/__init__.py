"""What asking Sceau adds to a message on its way through real mail servers."""
