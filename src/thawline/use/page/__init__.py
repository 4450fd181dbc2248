"""The page that answers in a browser, with the service or without: one file, built here."""
