"""An order -> a finished run: its pictures opened, its rows answered, its model and its record written."""
