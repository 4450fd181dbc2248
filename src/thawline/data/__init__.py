"""Pictures on disk become a checked Dataset, a Split and the network's input. Nothing here imports torch."""
