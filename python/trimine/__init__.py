"""Exact mining of hard training examples from whole embedding stores.

docs/PYTHON.md has examples.
"""

__version__ = "0.1.0"
