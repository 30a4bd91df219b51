"""The words of edgeml: values, errors and protocols. Imports nothing else of the project."""
