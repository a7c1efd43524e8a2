"""The scanner: looks at files and at everything inside them."""
