"""The gateway: sign-in, pages, API and live view; the only service reachable from outside."""
