"""What the gateway works with: accounts, live updates, and the bodies of its API."""
