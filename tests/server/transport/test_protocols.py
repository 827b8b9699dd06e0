"""What PROTOCOL.md of graphql-transport-ws and of graphql-sse demands of a server, sentence by sentence, and the test of each.

The sentences are the documents' own; `tests/web/test_protocols.py` compares them with the packages'.
"""

import json
from collections.abc import Callable

import pytest

from server.graphql import TransportLimits
from server.graphql.messages import LONGEST_REASON, clipped
from tests.server.transport import test_http, test_multiplex, test_negotiation, test_socket, test_sse
from tests.server.transport.toy import GOOD, running

GOODBYE = 1000


async def test_the_ack_comes_before_anything_may_run() -> None:
    async with running() as toy, toy.socket(init=None) as client:
        await client.send({"type": "connection_init", "payload": GOOD})
        await client.subscribe("{hello}")
        received = [(await client.receive())["type"] for _ in range(3)]
        assert received == ["connection_ack", "next", "complete"]


@pytest.mark.parametrize("payload", [None, {}, GOOD])
async def test_two_connection_inits_at_once_are_4429(payload: object) -> None:
    async with running() as toy, toy.socket(init=None, headers=GOOD) as client:
        for _ in range(2):
            await client.send({"type": "connection_init", "payload": payload})
        assert await client.closed() == (4429, "Too many initialisation requests")


@pytest.mark.parametrize("message", ['"x"', '{"type": "start"}', '{"type": "subscribe", "id": "1"}', b"{}"])
async def test_what_the_protocol_does_not_know_is_4400_before_the_ack_too(message: str | bytes) -> None:
    async with running() as toy, toy.socket(init=None) as client:
        await client.send(message)
        assert (await client.closed())[0] == 4400


@pytest.mark.parametrize("running_one", ["{slow}", "mutation {touchSlowly}", "subscription {wait}"])
@pytest.mark.parametrize("new_one", ["{hello}", "mutation {touch}", "subscription {count}", "{"])
async def test_an_id_in_use_is_4409_whatever_the_two_operations_are(running_one: str, new_one: str) -> None:
    async with running() as toy, toy.socket() as client:
        await client.subscribe(running_one, id="7")
        await toy.journal.entered.wait()
        await client.subscribe(new_one, id="7")
        assert await client.closed() == (4409, "Subscriber for 7 already exists")
        assert toy.journal.touched == 0
        toy.journal.release.set()


async def test_an_error_is_the_last_word_about_its_id_and_frees_it() -> None:
    async with running() as toy, toy.socket() as client:
        await client.subscribe("{nothing}")
        await client.subscribe("{hello}")
        received = [await client.receive() for _ in range(3)]
        assert [(message["id"], message["type"]) for message in received] == [
            ("1", "error"),
            ("1", "next"),
            ("1", "complete"),
        ]


async def test_a_subscription_that_breaks_has_an_error_for_its_end_and_no_complete() -> None:
    async with running() as toy, toy.socket() as client:
        await client.subscribe("subscription {breaks(after: 2)}")
        await client.send({"type": "ping"})
        received = [(await client.receive())["type"] for _ in range(4)]
        assert (received.count("next"), received.count("error"), received.count("pong")) == (2, 1, 1)
        await client.send({"type": "ping"})
        assert await client.receive() == {"type": "pong"}


async def test_after_complete_nothing_more_is_said_of_a_subscription() -> None:
    async with running() as toy, toy.socket() as client:
        await client.subscribe("subscription {flood}")
        await client.receive()
        await client.send({"type": "complete", "id": "1"})
        await client.send({"type": "ping"})
        while (await client.receive())["type"] == "next":
            pass  # was on its way
        await client.send({"type": "ping"})
        assert await client.receive() == {"type": "pong"}


@pytest.mark.parametrize("query", ["{hello}", "{", "subscription {count(to: 0)}"])
async def test_a_complete_for_what_has_ended_is_ignored(query: str) -> None:
    async with running() as toy, toy.socket() as client:
        await client.subscribe(query)
        while (await client.receive())["type"] == "next":
            pass
        await client.send({"type": "complete", "id": "1"})
        await client.send({"type": "ping"})
        assert await client.receive() == {"type": "pong"}


async def test_ids_interleave_on_one_socket() -> None:
    async with running() as toy, toy.socket() as client:
        await client.subscribe("subscription {wait}", id="a")
        await client.receive()
        await client.subscribe("subscription {count(to: 1)}", id="b")
        await client.subscribe("{hello}", id="c")
        assert sorted([(await client.receive())["id"] for _ in range(4)]) == ["b", "b", "c", "c"]
        toy.journal.release.set()
        assert [(await client.receive())["id"] for _ in range(2)] == ["a", "a"]


async def test_a_client_that_says_goodbye_ends_its_operations() -> None:
    async with running() as toy:
        async with toy.socket() as client:
            await client.subscribe("subscription {wait}")
            await client.receive()
            await client.connection.close(GOODBYE)
        await toy.journal.left.wait()


@pytest.mark.parametrize("reason", ["x" * 500, "é" * 500, "🌳" * 500, "x" + "🌳" * 500, "\ud83d" * 200])
def test_every_close_reason_is_cut_to_what_a_frame_holds_between_two_characters(reason: str) -> None:
    cut = clipped(reason).encode()
    assert LONGEST_REASON - 4 < len(cut) <= LONGEST_REASON


async def test_a_refusal_with_a_long_reason_keeps_its_code() -> None:
    async with running(limits=TransportLimits()) as toy, toy.socket(init=None) as client:
        await client.send(json.dumps({"type": "subscribe", "id": "é" * 5_000, "payload": {"query": "{hello}"}}))
        code, reason = await client.closed()
        assert (code, len(str(reason).encode()) <= LONGEST_REASON) == (4400, True)


Test = Callable[..., object]

WEBSOCKET: dict[str, tuple[Test, ...]] = {
    "**All** messages contain the `type` field outlining the action this message describes.": (
        test_socket.test_what_the_protocol_does_not_know_is_4400,
        test_what_the_protocol_does_not_know_is_4400_before_the_ack_too,
    ),
    "Messages corresponding to operations must contain the `id` field used for uniquely identifying server responses "
    "and connecting them with the client's requests.": (
        test_socket.test_what_the_protocol_does_not_know_is_4400,
        test_multiplex.test_a_subscription_is_next_after_next_and_a_complete,
    ),
    "Multiple operations identified with separate IDs can be active at any time and their messages can be interleaved on "
    "the connection.": (test_ids_interleave_on_one_socket, test_multiplex.test_operations_are_answered_as_they_end),
    "Messages are represented through the JSON structure and are stringified before being sent over the network. They are "
    "bidirectional, meaning both the server and the client must conform to the specified message structure.": (
        test_socket.test_what_the_protocol_does_not_know_is_4400,
    ),
    "The client closes the socket and the connection by dispatching a `1000: Normal Closure` close event to the server "
    "indicating a normal closure.": (test_a_client_that_says_goodbye_ends_its_operations,),
    "The server must receive the connection initialisation message within the allowed waiting time specified in the "
    "`connectionInitWaitTimeout` parameter during the server setup. If the client does not request a connection within the "
    "allowed timeout, the server will close the socket with the event: `4408: Connection initialisation timeout`.": (
        test_socket.test_silence_instead_of_connection_init_is_4408,
    ),
    "If the server receives more than one `ConnectionInit` message at any given time, the server will close the socket "
    "with the event `4429: Too many initialisation requests`.": (
        test_socket.test_a_second_connection_init_is_4429,
        test_two_connection_inits_at_once_are_4429,
    ),
    "If the server wishes to reject the connection, for example during authentication, it is recommended to close the "
    "socket with `4403: Forbidden`.": (
        test_socket.test_a_missing_malformed_or_expired_credential_is_4403,
        test_socket.test_a_credential_that_will_never_be_good_again_is_4401,
    ),
    "A `Pong` must be sent in response from the receiving party as soon as possible.": (
        test_socket.test_a_ping_is_answered_with_its_own_payload,
    ),
    "The response to the `Ping` message. Must be sent as soon as the `Ping` message is received.": (
        test_socket.test_a_ping_is_answered_with_its_own_payload,
    ),
    "The `Pong` message can be sent at any time within the established socket. Furthermore, the `Pong` message may even be "
    "sent unsolicited as an unidirectional heartbeat.": (
        test_socket.test_a_pong_out_of_nowhere_and_an_unknown_complete_are_ignored,
    ),
    "If there is already an active subscriber for an operation matching the provided ID, regardless of the operation type, "
    "the server **must** close the socket immediately with the event `4409: Subscriber for <unique-operation-id> already "
    "exists`.": (test_an_id_in_use_is_4409_whatever_the_two_operations_are,),
    "The server needs only keep track of IDs for as long as the subscription is active. Once a client completes an "
    "operation, it is free to re-use that ID.": (
        test_multiplex.test_an_id_in_use_is_4409_and_a_completed_one_is_free,
        test_multiplex.test_complete_closes_the_generator_and_frees_the_id_at_once,
        test_an_error_is_the_last_word_about_its_id_and_frees_it,
    ),
    "Executing operations is allowed **only** after the server has acknowledged the connection through the "
    "`ConnectionAck` message, if the connection is not acknowledged, the socket will be closed immediately with the event "
    "`4401: Unauthorized`.": (
        test_socket.test_an_operation_before_the_ack_is_4401,
        test_the_ack_comes_before_anything_may_run,
    ),
    "Operation execution result(s) from the source stream created by the binding `Subscribe` message. After all results "
    "have been emitted, the `Complete` message will follow indicating stream completion.": (
        test_multiplex.test_a_subscription_is_next_after_next_and_a_complete,
        test_multiplex.test_queries_and_mutations_are_one_next_and_a_complete,
    ),
    "Operation execution error(s) in response to the `Subscribe` message. This can occur _before_ execution starts, "
    "usually due to validation errors, or _during_ the execution of the request. This message terminates the operation and "
    "no further messages will be sent.": (
        test_multiplex.test_a_bad_operation_is_an_error_for_its_id_and_nothing_else_ends,
        test_an_error_is_the_last_word_about_its_id_and_frees_it,
        test_a_subscription_that_breaks_has_an_error_for_its_end_and_no_complete,
    ),
    "- **Server -> Client** indicates that the requested operation execution has completed. If the server dispatched the "
    "`Error` message relative to the original `Subscribe` message, no `Complete` message will be emitted.": (
        test_an_error_is_the_last_word_about_its_id_and_frees_it,
        test_a_subscription_that_breaks_has_an_error_for_its_end_and_no_complete,
    ),
    "- **Client -> Server** indicates that the client has stopped listening and wants to complete the subscription. No "
    "further events, relevant to the original subscription, should be sent through. Even if the client sent a `Complete` "
    "message for a _single-result-operation_ before it resolved, the result should not be sent through once it does.": (
        test_after_complete_nothing_more_is_said_of_a_subscription,
        test_multiplex.test_complete_cancels_a_query_and_its_result_is_not_sent,
        test_multiplex.test_a_mutation_runs_to_its_end_after_complete_and_nobody_is_told,
    ),
    "Note: The asynchronous nature of the full-duplex connection means that a client can send a `Complete` message to the "
    "server even when messages are in-flight to the client, or when the server has itself completed the operation (via a "
    "`Error` or `Complete` message). Both client and server must therefore be prepared to receive (and ignore) messages for "
    "operations that they consider already completed.": (test_a_complete_for_what_has_ended_is_ignored,),
    "Receiving a message of a type or format which is not specified in this document will result in an **immediate** "
    "socket closure with the event `4400: <error-message>`. The `<error-message>` can be vaguely descriptive on why the "
    "received message is invalid.": (
        test_socket.test_what_the_protocol_does_not_know_is_4400,
        test_what_the_protocol_does_not_know_is_4400_before_the_ack_too,
    ),
    "Receiving a message (other than `Subscribe`) with an ID that belongs to an operation that has been previously "
    "completed does not constitute an error. It is permissable to simply ignore all _unknown_ IDs without closing the "
    "connection.": (
        test_a_complete_for_what_has_ended_is_ignored,
        test_socket.test_a_pong_out_of_nowhere_and_an_unknown_complete_are_ignored,
    ),
}

DISTINCT_CONNECTIONS: dict[str, tuple[Test, ...]] = {
    "Operation requests need to conform to the [GraphQL over HTTP "
    "spec](https://github.com/graphql/graphql-over-http/blob/main/spec/GraphQLOverHTTP.md), with two key observations:": (
        test_sse.test_get_streams_too_and_runs_no_mutation,
        test_sse.test_a_bad_envelope_and_a_missing_credential_are_plain_http_errors,
        test_http.test_other_content_types_are_415,
    ),
    "1. The `Content-Type` MUST always be `text/event-stream` as per the [Server-Sent Events "
    "spec](https://www.w3.org/TR/eventsource/#text-event-stream).": (
        test_sse.test_what_fails_before_the_first_event_is_one_next_without_data,
        test_sse.test_a_quiet_stream_sends_comments,
    ),
    "1. Validation steps that run before execution of the GraphQL operation MUST report errors through an accepted SSE "
    "connection by emitting `next` events that contain the errors in the data field.": (
        test_sse.test_what_fails_before_the_first_event_is_one_next_without_data,
    ),
    "One reason being, the server should agree with the client's `Accept` header when deciding about the response's "
    "`Content-Type`.": (test_negotiation.test_the_clients_favourite_is_chosen,),
    "Additionally, responding with a `400` (Bad Request) will cause the user agent to fail the connection. In some cases, "
    "like with the browser's native `EventSource`, the error event will hold no meaningful information helping to "
    "understand the validation issue(s).": (test_sse.test_what_fails_before_the_first_event_is_one_next_without_data,),
    "Streaming operations, such as `subscriptions` or directives like `@stream` and `@defer`, are terminated/completed by "
    "having the client simply close the SSE connection.": (
        test_sse.test_the_generator_is_closed_when_the_client_leaves,
    ),
    "Operation execution result(s) from the source stream. After all results have been emitted, the `complete` event will "
    "follow indicating stream completion.": (
        test_sse.test_a_subscription_is_a_stream_of_next_and_a_complete_framed_with_lf,
        test_sse.test_queries_and_mutations_stream_one_result,
    ),
    "> Include an empty `data: ` field when sending the message to a client that uses "
    "[EventSource](https://developer.mozilla.org/en-US/docs/Web/API/EventSource). If the field is omitted, the complete "
    "event won't trigger the listener.": (
        test_sse.test_a_subscription_is_a_stream_of_next_and_a_complete_framed_with_lf,
    ),
}


@pytest.mark.parametrize("document", [WEBSOCKET, DISTINCT_CONNECTIONS])
def test_each_sentence_has_a_test(document: dict[str, tuple[Test, ...]]) -> None:
    assert all(tests and all(test.__name__.startswith("test_") for test in tests) for tests in document.values())
