"""The request of a run, written again from what is stored."""

from domain.instruction import Instructions
from domain.model import ModelRequest
from domain.page import PageArgs
from domain.text import cut
from domain.window.past import Past
from domain.window.turns import prompt_turns
from domain.world import UserId
from providers.request import body
from repositories.database import Database
from repositories.generation.store import SqlGenerations
from repositories.instruction import SqlInstructions
from repositories.message.store import SqlMessages
from resolvers import node

EVERYTHING = PageArgs(size=1_000_000)


async def rebuilt(database: Database, generation: str) -> bytes:
    messages = SqlMessages(database)
    run_id = node.generation_id(generation)
    assert run_id is not None
    owner = UserId((await database.fetch("SELECT owner_id FROM generations WHERE id = $1", run_id))[0][0])
    run = (await SqlGenerations(database).generations(owner, [run_id]))[run_id]
    report, settings = run.context, run.settings
    assert report is not None
    assert report.leaf is not None
    leaf = (await messages.messages(owner, [report.leaf]))[report.leaf]
    *past, asked = (await messages.path(owner, leaf, EVERYTHING, top=report.from_depth)).nodes
    reply = (await messages.messages(owner, [run.reply_id]))[run.reply_id]
    layers = await Instructions(SqlInstructions(database)).given(report.instructions, None)
    history = [Past(message.id, message.depth, message.role, message.text) for message in past]
    turns = prompt_turns(layers, None, history, asked.text, cut(reply.text, run.text_offset))
    return body(
        ModelRequest(
            report.name_at_provider,
            turns,
            report.max_output_tokens,
            settings.temperature,
            settings.top_p,
            settings.seed,
            settings.stop or (),
            continues=run.text_offset > 0,
        )
    )
