from domain.page import PageArgs
from tests.repositories.story import Story, texts


async def test_smoke(story: Story) -> None:
    c = await story.conversation()
    a, b = await story.say(c.id, None, "a", "b")
    (c1,) = await story.say(c.id, a, "c1")
    (d,) = await story.say(c.id, b, "d")
    assert texts((await story.messages.path(story.owner, d, PageArgs(20))).nodes) == ["a", "b", "d"]
    assert texts((await story.messages.path(story.owner, c1, PageArgs(20, after=str(d.id)))).nodes) == ["c1"]
    run = await story.run(c.id, d)
    run = await story.write(run, "x", "yz")
    m = await story.message(run.reply_id)
    assert (m.text, m.text_through_seq, m.status.value) == ("xyz", 3, "STREAMING")
    print(await story.messages.leaves(story.owner, c.id, PageArgs()))
    print(await story.messages.leaves_below(story.owner, [a.id, c1.id]))
    await story.finish(run, "xyz")
    print(await story.message(run.reply_id))
    print(await story.generation(run.id))
