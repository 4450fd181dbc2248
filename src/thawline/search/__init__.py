"""Strategies become a Leaderboard: cross-validated, with intervals, paired tests and ties."""
