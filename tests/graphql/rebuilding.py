"""The request of a run, written again from what is stored."""

from domain.model import ModelRequest
from domain.page import PageArgs
from domain.text import cut
from domain.window.past import Past
from domain.window.turns import prompt_turns
from domain.world import UserId
from providers.request import body
from repositories.generation.store import SqlGenerations
from repositories.message.store import SqlMessages
from repositories.summary import SqlSummaries
from resolvers import node
from server.compose import Gus

EVERYTHING = PageArgs(size=1_000_000)


async def rebuilt(gus: Gus, generation: str) -> bytes:
    database, messages = gus.database, SqlMessages(gus.database)
    run_id = node.generation_id(generation)
    assert run_id is not None
    owner = UserId((await database.fetch("SELECT owner_id FROM generations WHERE id = $1", run_id))[0][0])
    run = (await SqlGenerations(database).generations(owner, [run_id]))[run_id]
    report, settings = run.context, run.settings
    assert report is not None
    assert report.leaf is not None
    leaf = (await messages.messages(owner, [report.leaf]))[report.leaf]
    *past, asked = (await messages.path(owner, leaf, EVERYTHING, highest=report.from_depth)).nodes
    reply = (await messages.messages(owner, [run.reply_id]))[run.reply_id]
    layers = await gus.services.instructions.given(report.instructions, run.instruction)
    history = [Past(message.id, message.depth, message.role, message.text) for message in past]
    summaries = await SqlSummaries(database).by_id(owner, [report.summary_id] if report.summary_id else [])
    summary = summaries[report.summary_id] if report.summary_id else None
    turns = prompt_turns(layers, summary, history, asked.text, cut(reply.text, run.text_offset))
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
            response_format=settings.response_format if report.holds_to_form else None,
        )
    )
