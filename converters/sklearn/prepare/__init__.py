"""Rewrites of scikit-learn models before conversion."""
