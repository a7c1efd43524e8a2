"""Detectors: what looks at an artifact, and the model packs they come from."""
