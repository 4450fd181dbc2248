"""Held-out answers become what a person can act on: what to look at, what is not known, what would help."""
