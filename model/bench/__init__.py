"""What only measures, and the random models that are measured."""
