"""What a published checkpoint holds: its config, its tensors, its files, its tokenizer."""
