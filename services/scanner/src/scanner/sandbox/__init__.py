"""Separate low-privilege processes that do all parsing and unpacking of untrusted bytes."""
