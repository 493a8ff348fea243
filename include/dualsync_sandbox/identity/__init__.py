"""Who may ask: the certificates of the sandbox, and the service that clients sign in to."""
