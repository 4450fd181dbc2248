"""A Dataset and a Backbone become a FeatureBank: pooled activations at every depth, from one pass."""
