"""The two child processes of a build: one converts, one proves."""
