"""Words on the command line -> `api` -> console."""
