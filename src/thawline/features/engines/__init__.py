"""A network and what is read of it -> the same features, computed by another library where that is faster."""
