"""Thawline: a folder of photos becomes a leaderboard, a report and a model that predicts."""

from __future__ import annotations

__version__ = "0.1.0"
