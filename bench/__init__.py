"""Measures Sceau side by side with other ways to answer the same question: `./dev bench` (docs/performance.md)."""
