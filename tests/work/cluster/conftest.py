"""What tests of the cluster share."""

from __future__ import annotations

import pytest

from thawline.core.progress import SilentProgress


class RecordedProgress(SilentProgress):
    """Keeps every note."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def recorded_progress() -> RecordedProgress:
    """Return a progress that keeps every note."""
    return RecordedProgress()
