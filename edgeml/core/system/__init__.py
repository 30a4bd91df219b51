"""The system underneath: child processes, files, digests, the machine."""
