"""A data set and a backbone become a feature bank: pooled activations at every depth, from one pass."""
