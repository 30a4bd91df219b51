"""The data and the models of the demo."""
