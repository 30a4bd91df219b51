"""The operating system: child processes, files, digests, the machine, the installed copy of edgeml."""
