"""Storage: Tortoise and SQL behind the domain's Protocols, on PostgreSQL and nothing else."""
