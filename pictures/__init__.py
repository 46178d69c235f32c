"""Picture files from anywhere, by their content: right, or refused with the true cause. Imports nothing of ours."""
