"""Sections of a report, one file each: texts, tables and charts."""
