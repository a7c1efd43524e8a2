"""How people and programs show who they are: passwords, sessions, tokens, and the limits on trying."""
