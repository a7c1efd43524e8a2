"""Rows of the results service: `recording` writes them, `lookup` finds them."""
