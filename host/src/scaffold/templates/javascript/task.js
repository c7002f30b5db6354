// Answers a call with its text in capital letters.

export const task = {
  handle(call) {
    let text;
    try {
      text = new TextDecoder('utf-8', { fatal: true }).decode(call.payload);
    } catch {
      throw { tag: 'invalid', val: 'the payload is not UTF-8' };
    }
    return {
      payload: new TextEncoder().encode(text.toUpperCase()),
      contentType: 'text/plain; charset=utf-8',
    };
  },
};
