"""Answers a call with its text in capital letters."""

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.task import Answer, Call, Failure_Refused


class Task(exports.Task):
    def handle(self, call: Call) -> Answer:
        try:
            text = call.payload.decode()
        except UnicodeDecodeError:
            raise Err(Failure_Refused("the payload is not UTF-8"))
        return Answer(text.upper().encode(), "text/plain; charset=utf-8")
