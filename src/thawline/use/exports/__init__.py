"""A model -> files that other programs run, each with the golden pictures that prove it."""
