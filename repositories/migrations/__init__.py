"""What changed the schema, in order; each can be taken back.

After a change of `tables.py`: `python -m tortoise -c repositories.migrations.CONFIG makemigrations -n what_changed`.
It needs no database, and it forgets the constraints of a new table: add those as 0002 does.
"""

from repositories.pool import tortoise_config

CONFIG = tortoise_config("postgresql://localhost/gus")
