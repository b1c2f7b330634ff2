"""What asking costs a chat server: `./dev bench chat`."""
