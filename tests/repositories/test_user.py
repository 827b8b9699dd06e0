import asyncio
from dataclasses import replace
from datetime import timedelta

from asyncpg.connection import LoggedQuery

from domain.user import ApiKey
from domain.world import ApiKeyId, UserId
from repositories.user import SqlUsers
from tests.repositories.story import NOW, WORLD, Story


async def test_a_user_reads_as_added(story: Story) -> None:
    users = SqlUsers(story.database)
    ada, nobody = await users.user(story.owner), UserId(WORLD.new_id())
    assert ada is not None
    assert (ada.id, ada.display_name, ada.created_at) == (story.owner, "Ada", NOW)
    await users.add_user(replace(ada, display_name="Eve"))
    assert await users.users_by_id([story.owner, nobody]) == {story.owner: ada}


async def test_a_credential_is_found_by_its_digest_also_when_revoked_or_expired(story: Story) -> None:
    users, key = SqlUsers(story.database), new_key(story.owner, expires_at=NOW)
    assert await users.add_key(key, b"digest", most=1) is None
    await users.revoke_key(story.owner, key.id, NOW + timedelta(1))
    found = await users.credential(b"digest")
    assert found == (await users.user(story.owner), replace(key, revoked_at=NOW + timedelta(1)))
    assert await users.credential(b"another") is None


async def test_a_use_is_noted_once_a_minute(story: Story, statements: list[LoggedQuery]) -> None:
    users = SqlUsers(story.database)
    await users.add_key(new_key(story.owner), b"digest", most=1)
    statements.clear()
    await asyncio.gather(*(users.credential(b"digest") for _ in range(5)))
    assert len([s for s in statements if "UPDATE" in s.query]) <= 5
    [noted] = await users.live_keys(story.owner)
    assert noted.last_used_at is not None
    statements.clear()
    await users.credential(b"digest")
    assert len(statements) == 1
    await story.database.execute("UPDATE api_keys SET last_used_at = last_used_at - interval '61 seconds'")
    await users.credential(b"digest")
    [again] = await users.live_keys(story.owner)
    assert again.last_used_at is not None
    assert again.last_used_at > noted.last_used_at


async def test_no_race_adds_a_key_too_many(story: Story) -> None:
    users = SqlUsers(story.database)
    adding = [users.add_key(new_key(story.owner), f"{n}".encode(), most=3) for n in range(10)]
    assert sorted(await asyncio.gather(*adding), key=str) == [3] * 7 + [None] * 3
    live = await users.live_keys(story.owner)
    assert [key.id for key in live] == sorted(key.id for key in live)
    await users.revoke_key(story.owner, live[0].id, NOW)
    assert await users.add_key(new_key(story.owner), b"freed", most=3) is None


async def test_a_kept_key_is_added_once(story: Story) -> None:
    users = SqlUsers(story.database)
    await asyncio.gather(*(users.keep_key(new_key(story.owner), b"same") for _ in range(5)))
    assert len(await users.live_keys(story.owner)) == 1


async def test_only_its_user_revokes_a_live_key(story: Story) -> None:
    users, key, stranger = SqlUsers(story.database), new_key(story.owner), await Story.begun(story.database)
    await users.add_key(key, b"digest", most=1)
    assert not await users.revoke_key(stranger.owner, key.id, NOW)
    assert await users.revoke_key(story.owner, key.id, NOW)
    assert not await users.revoke_key(story.owner, key.id, NOW)
    assert await users.live_keys(story.owner) == []


def new_key(owner: UserId, **fields: object) -> ApiKey:
    known = ApiKey(ApiKeyId(WORLD.new_id()), owner, "phone", "gus_abcdef", can_manage=True, created_at=NOW)
    return replace(known, **fields)  # type: ignore[arg-type]
