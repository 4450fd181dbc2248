"""Whatever a person names -> a `Listing` of everything that may be a picture."""
