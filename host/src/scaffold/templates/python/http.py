"""Answers every request with the term that it runs under."""

from componentize_py_types import Ok
from wit_world import exports
from wit_world.imports import term
from wit_world.imports.types import (
    Fields,
    IncomingRequest,
    OutgoingBody,
    OutgoingResponse,
    ResponseOutparam,
)


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request: IncomingRequest, response_out: ResponseOutparam) -> None:
        path = request.path_with_query()
        now = term.current()
        respond(response_out, 200, f"{{name}} at {path}: host {now.host}, token {now.token}\n")


def respond(out: ResponseOutparam, status: int, text: str) -> None:
    """Answers with plain text."""
    response = OutgoingResponse(Fields.from_list([("content-type", b"text/plain; charset=utf-8")]))
    response.set_status_code(status)
    body = response.body()
    ResponseOutparam.set(out, Ok(response))
    with body.write() as stream:
        rest = text.encode()
        while rest:
            # One write takes 4096 bytes.
            stream.blocking_write_and_flush(rest[:4096])
            rest = rest[4096:]
    OutgoingBody.finish(body, None)
