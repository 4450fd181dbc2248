"""Pictures on disk become a checked Dataset, a Split and ordered batches. Nothing here imports torch."""
