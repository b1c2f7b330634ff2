"""Staff who must know the duties of L32-3 V: who is covered, and the notice that tells them."""
