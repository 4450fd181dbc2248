"""Ground floor: errors, shared types, the content-addressed store, the machine, progress and scores."""
