"""Answers a call with its text in capital letters."""

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.task import Call, Error_Invalid, Output


class Task(exports.Task):
    def handle(self, call: Call) -> Output:
        try:
            text = call.payload.decode()
        except UnicodeDecodeError:
            raise Err(Error_Invalid("the payload is not UTF-8"))
        return Output(text.upper().encode(), "text/plain; charset=utf-8")
