from pathlib import Path

import asyncpg
import pytest
from tortoise.context import TortoiseContext
from tortoise.migrations.autodetector import MigrationAutodetector

from domain.errors import Unavailable
from repositories.migrate import NOTHING, migrate, move_to, pending
from repositories.pool import tortoise_config
from tests.repositories.racing import raced

NAMES = sorted(path.stem for path in Path("repositories/migrations").glob("[0-9]*.py"))

# Everything that a migration can make, in words that do not depend on object ids.
_CATALOGUE = """
SELECT 'column', table_name || '.' || column_name, concat_ws(' ', data_type, is_nullable, column_default, ordinal_position)
FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'tortoise_migrations'
UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'tortoise_migrations'
UNION ALL SELECT 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid) FROM pg_constraint
  WHERE connamespace = 'public'::regnamespace AND conrelid <> coalesce(to_regclass('tortoise_migrations'), 0)
UNION ALL SELECT 'trigger', tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT 'function', proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT 'table', relname, coalesce(reloptions::text, '') FROM pg_class
  WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'tortoise_migrations'
ORDER BY 1, 2, 3
"""


async def test_up_and_down_and_up_leave_the_same_schema(empty_database_url: str) -> None:
    assert await migrate(empty_database_url) == NAMES
    first = await catalogue(empty_database_url)
    assert await move_to(empty_database_url, NOTHING) == NAMES[::-1]
    assert await catalogue(empty_database_url) == []
    assert await migrate(empty_database_url) == NAMES
    assert await catalogue(empty_database_url) == first


async def test_each_migration_is_taken_back_exactly(empty_database_url: str) -> None:
    states = [await catalogue(empty_database_url)]
    for name in NAMES:
        await move_to(empty_database_url, name)
        states.append(await catalogue(empty_database_url))
    for name, state in zip([*NAMES[:-1]][::-1], states[-2:0:-1], strict=True):
        await move_to(empty_database_url, name)
        assert await catalogue(empty_database_url) == state


async def test_what_is_pending_is_what_migrate_applies(empty_database_url: str) -> None:
    assert await pending(empty_database_url) == NAMES
    await migrate(empty_database_url)
    assert await pending(empty_database_url) == []
    assert await migrate(empty_database_url) == []


async def test_of_processes_that_migrate_at_once_one_does_it(empty_database_url: str) -> None:
    applied = await raced(*[("apply", empty_database_url)] * 3)
    assert sorted(applied) == ["0", "0", str(len(NAMES))]


async def test_the_models_say_what_the_migrations_made() -> None:
    config = tortoise_config("postgresql://nobody@localhost/nothing")
    with TortoiseContext() as context:
        await context.init(config=config, init_connections=False)
        assert context.apps is not None
        changes = await MigrationAutodetector(context.apps, config["apps"]).changes()
    assert changes == []


async def test_a_database_that_does_not_answer_is_unavailable() -> None:
    for ask in (migrate, pending):
        with pytest.raises(Unavailable, match="does not answer"):
            await ask("postgresql://nobody@localhost:1/nothing")


async def catalogue(url: str) -> list[tuple[str, str, str]]:
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(_CATALOGUE)]
    finally:
        await connection.close()
