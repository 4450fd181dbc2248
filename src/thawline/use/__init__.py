"""A model meets people: evaluation, the bundle, prediction and the report."""
