"""An exported model -> a web service, without torch."""
