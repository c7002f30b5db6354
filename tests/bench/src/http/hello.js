// Answers every request with `hello`. Not by a fetch event: the engine answers one of
// those and no more, and what is measured is an instance that answers many.

import { Fields, OutgoingBody, OutgoingResponse, ResponseOutparam } from 'wasi:http/types@0.2.10';

const utf8 = (text) => new TextEncoder().encode(text);
const TYPE = ['content-type', utf8('text/plain; charset=utf-8')];
const TEXT = utf8('hello\n');

export const incomingHandler = {
  handle(request, out) {
    const response = new OutgoingResponse(Fields.fromList([TYPE]));
    const body = response.body();
    ResponseOutparam.set(out, { tag: 'ok', val: response });
    const stream = body.write();
    stream.blockingWriteAndFlush(TEXT);
    stream[Symbol.dispose]();
    OutgoingBody.finish(body, undefined);
  },
};
