"""A little of what web frameworks do: routes by method and path, JSON in and out.

A handler returns what is sent: a dict or a list as JSON, a str, bytes, or None; and after it, if
need be, a status and headers: `return {"id": 1}, 201, {"location": "/1"}`. It raises `Refusal`
for what cannot be done.
"""

import json
import re
from functools import partialmethod
from typing import Any
from urllib.parse import parse_qs, unquote

from componentize_py_types import Err, Ok
from wit_world.imports import types as http
from wit_world.imports.streams import StreamError_Closed


class Refusal(Exception):
    """A status, and a text that says why."""


class Request:
    def __init__(self, incoming: http.IncomingRequest):
        kind = incoming.method()
        other = isinstance(kind, http.Method_Other)
        self.method = kind.value if other else type(kind).__name__.split("_")[1].upper()
        self.path, _, query = (incoming.path_with_query() or "/").partition("?")
        self.query = {name: values[-1] for name, values in parse_qs(query, True).items()}
        entries = incoming.headers().entries()
        self.headers = {name: value.decode("latin-1") for name, value in entries}
        self._incoming = incoming

    def body(self) -> bytes:
        """All of it. It can be read once."""
        pieces = []
        with self._incoming.consume() as body, body.stream() as stream:
            try:
                while True:
                    pieces.append(stream.blocking_read(65_536))
            except Err as end:
                if not isinstance(end.value, StreamError_Closed):
                    raise Refusal(400, "the body broke off") from None
        return b"".join(pieces)

    def json(self) -> Any:
        try:
            return json.loads(self.body())
        except ValueError as error:
            raise Refusal(400, f"this is no JSON: {error}") from None


class App:
    def __init__(self):
        self._routes = []

    def route(self, method: str, path: str):
        """The function below answers there. `{name}` in a path is one segment of it, and
        `{name:path}` any number; the function gets them by name."""
        place = lambda match: f"(?P<{match[1]}>{'.*' if match[2] else '[^/]+'})"
        pattern = re.compile(re.sub(r"\\{(\w+)(:path)?\\}", place, re.escape(path)))
        return lambda handler: self._routes.append((method, pattern, handler)) or handler

    get, post = partialmethod(route, "GET"), partialmethod(route, "POST")
    put, delete = partialmethod(route, "PUT"), partialmethod(route, "DELETE")

    def serve(self, incoming: http.IncomingRequest, out: http.ResponseOutparam) -> None:
        try:
            answer = self._answer(Request(incoming))
        except Refusal as refusal:
            status, why = refusal.args
            answer = {"error": why}, status
        send(out, *(answer if isinstance(answer, tuple) else (answer,)))

    def _answer(self, request: Request) -> Any:
        # Who answers GET answers HEAD: the host leaves the body out.
        asked = "GET" if request.method == "HEAD" else request.method
        found = [(m, h, match) for m, p, h in self._routes if (match := p.fullmatch(request.path))]
        for method, handler, match in found:
            if method == asked:
                return handler(request, **{k: unquote(v) for k, v in match.groupdict().items()})
        if not found:
            raise Refusal(404, f"there is nothing at {request.path}")
        allowed = ", ".join(method for method, _, _ in found)
        return {"error": f"this takes {allowed}"}, 405, {"allow": allowed}


def send(out: http.ResponseOutparam, value: Any, status: int = 200, headers: dict = {}) -> None:
    if isinstance(value, bytes) or value is None:
        kind, data = "application/octet-stream", value or b""
    elif isinstance(value, str):
        kind, data = "text/plain; charset=utf-8", value.encode()
    else:
        kind, data = "application/json", (json.dumps(value) + "\n").encode()
    if value is not None:
        headers = {"content-type": kind, "content-length": str(len(data))} | headers
    fields = http.Fields.from_list([(name, text.encode()) for name, text in headers.items()])
    response = http.OutgoingResponse(fields)
    response.set_status_code(204 if value is None and status == 200 else status)
    body = response.body()
    http.ResponseOutparam.set(out, Ok(response))
    try:
        with body.write() as stream:
            # One write takes 4096 bytes.
            for start in range(0, len(data), 4096):
                stream.blocking_write_and_flush(data[start : start + 4096])
        http.OutgoingBody.finish(body, None)
    except Err:
        pass  # A client that has gone needs no answer, nor does HEAD need a body.
