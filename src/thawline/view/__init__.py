"""What a run made -> what people see: words, figures, tables, the report. Imports nothing of `train/`."""
