"""Rewriting of scikit-learn models before conversion."""
