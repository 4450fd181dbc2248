"""A plan becomes a trained network: thawing, cached prefix, the training loop, checkpoints, forecast, budget."""
