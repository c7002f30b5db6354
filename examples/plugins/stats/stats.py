"""# stats

Collects numbers and says what they are like: `POST /NAME` adds the numbers in
the body to a series, `GET /NAME` sums the series up, with Python's own
`statistics`.

A series keeps its last thousand numbers. Two requests that add to one series at
once could each write what they read, and one of them be lost: so every request
writes a key of its own, whose number the store increments.
"""

import json
import re
from statistics import fmean, median, quantiles
from typing import Iterator

from componentize_py_types import Err, Ok
from wit_world import exports
from wit_world.imports import atomics, term
from wit_world.imports import wasi_keyvalue_store as store
from wit_world.imports.wasi_keyvalue_store import Bucket
from wit_world.imports.types import (
    Fields,
    IncomingBody,
    IncomingRequest,
    Method_Get,
    Method_Post,
    OutgoingBody,
    OutgoingResponse,
    ResponseOutparam,
)

# The most numbers of a series, and the most bytes of a request.
SERIES_MAX = 1000
BODY_MAX = 20_000


class Refusal(Exception):
    """What was asked for is not possible: a status and a text."""


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request: IncomingRequest, response_out: ResponseOutparam) -> None:
        try:
            status, answer = 200, route(request)
        except Refusal as refusal:
            status, answer = refusal.args[0], {"error": refusal.args[1]}
        except Err as error:
            # The store did not do it: it cannot be reached, this host leads no
            # longer, or the settings lack `state = true`.
            status, answer = 503, {"error": str(error.value)}
        respond(response_out, status, json.dumps(answer) + "\n")


def route(request: IncomingRequest) -> dict:
    name = (request.path_with_query() or "/").split("?")[0][1:]
    if not re.fullmatch(r"[a-z0-9-]{1,64}", name):
        raise Refusal(404, "name a series: /NAME, of lower-case letters, digits and `-`")
    match request.method():
        case Method_Post():
            return add(name, numbers(read(request)))
        case Method_Get():
            return summary(name)
        case _:
            raise Refusal(405, "POST numbers, or GET what they are like")


def add(name: str, values: list[float]) -> dict:
    """Adds the numbers, and forgets those that are too many."""
    bucket = store.open("default")
    turn = atomics.increment(bucket, f"{name}/turns", 1)
    # Zeros before it, so that the keys' order is the numbers'.
    bucket.set(f"{name}/{turn:012}", json.dumps(values).encode())
    kept = 0
    for key in sorted(keys(bucket, name), reverse=True):
        if kept >= SERIES_MAX:
            bucket.delete(key)
        else:
            kept += len(load(bucket, key))
    return {"added": len(values), "fencing_token": term.current().fencing_token}


def summary(name: str) -> dict:
    bucket = store.open("default")
    values = [value for key in sorted(keys(bucket, name)) for value in load(bucket, key)]
    if not values:
        raise Refusal(404, f"there is no series {name}")
    values = values[-SERIES_MAX:]
    ranks = quantiles(values, n=100, method="inclusive") if len(values) > 1 else values * 99
    return {
        "count": len(values),
        "min": min(values),
        "max": max(values),
        "mean": round(fmean(values), 6),
        "median": median(values),
        "p95": ranks[94],
        "last": values[-1],
    }


def keys(bucket: Bucket, name: str) -> Iterator[str]:
    """The keys that hold numbers of this series."""
    cursor = None
    while True:
        page = bucket.list_keys(cursor)
        yield from (key for key in page.keys if re.fullmatch(rf"{name}/\d+", key))
        cursor = page.cursor
        if cursor is None:
            return


def load(bucket: Bucket, key: str) -> list[float]:
    # Another request may just have removed it.
    return json.loads(bucket.get(key) or b"[]")


def numbers(text: str) -> list[float]:
    try:
        values = [float(word) for word in text.split()]
    except ValueError as error:
        raise Refusal(400, str(error)) from None
    if not values or not all(abs(value) < 1e300 for value in values):
        raise Refusal(400, "send numbers with blanks between them")
    return values


def read(request: IncomingRequest) -> str:
    """The body as text."""
    body = request.consume()
    data = b""
    with body.stream() as stream:
        # The stream ends with an error that says so.
        while len(data) <= BODY_MAX:
            try:
                data += stream.blocking_read(BODY_MAX)
            except Err:
                break
    IncomingBody.finish(body)
    if len(data) > BODY_MAX:
        raise Refusal(413, f"more than {BODY_MAX} bytes at once")
    return data.decode(errors="replace")


def respond(out: ResponseOutparam, status: int, text: str) -> None:
    response = OutgoingResponse(Fields.from_list([("content-type", b"application/json")]))
    response.set_status_code(status)
    body = response.body()
    ResponseOutparam.set(out, Ok(response))
    with body.write() as stream:
        stream.blocking_write_and_flush(text.encode())
    OutgoingBody.finish(body, None)
