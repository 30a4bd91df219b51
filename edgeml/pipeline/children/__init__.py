"""The child processes of a build: one converts, the other one proves artifacts."""
