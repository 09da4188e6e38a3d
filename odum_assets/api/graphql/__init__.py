"""GraphQL: the schema of the earlier service, its documents in both spellings, and its limits."""
