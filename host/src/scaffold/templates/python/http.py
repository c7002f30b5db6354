"""Answers every request with the term that it runs under."""

from web import App, Request
from wit_world import exports
from wit_world.imports import term

app = App()


@app.get("/{path:path}")
def answer(request: Request, path: str) -> str:
    now = term.current()
    return f"{{name}} at {request.path}: host {now.host}, fencing token {now.fencing_token}\n"


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request, response_out) -> None:
        app.serve(request, response_out)
