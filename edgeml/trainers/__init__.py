"""Models trained here."""
