"""The `fumehood` command."""
