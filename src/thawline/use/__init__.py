"""A model folder in use: its manifest, the bundle, prediction, evaluation, export and service."""
