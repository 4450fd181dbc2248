"""Strategies become a leaderboard: cross-validated, with intervals, paired tests and ties."""
