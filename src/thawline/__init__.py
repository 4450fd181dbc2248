"""Thawline: a folder of photos becomes a leaderboard, a report and a model that predicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"
