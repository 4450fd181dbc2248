"""Strategy -> fine-tuned model."""
