// # flags
//
// Feature flags: `PUT /NAME` with `{"percent": 20}` turns a flag on for a fifth
// of all users, and `GET /NAME?user=ann` tells whether it is on for this one.
//
// A user's answer stays the same, from request to request and from leader to
// leader: it follows from the names of the flag and of the user.

import { open } from 'wasi:keyvalue/store@0.2.0-draft';

const NAME = /^[a-z0-9][a-z0-9-]{0,63}$/;
const utf8 = {
  encode: (text) => new TextEncoder().encode(text),
  decode: (bytes) => new TextDecoder().decode(bytes),
};

addEventListener('fetch', (event) => event.respondWith(answer(event.request)));

async function answer(request) {
  try {
    return await route(request);
  } catch (error) {
    // The store did not do it: it cannot be reached, this host leads no longer,
    // or the settings lack `state = true`.
    return json(503, { error: JSON.stringify(error.payload ?? String(error)) });
  }
}

async function route(request) {
  const url = new URL(request.url);
  const name = url.pathname.slice(1);
  if (name === '') {
    if (request.method === 'GET') return json(200, all());
    return json(405, { error: 'GET / lists the flags' });
  }
  if (!NAME.test(name)) return json(400, { error: 'a name has lower-case letters, digits and `-`' });
  switch (request.method) {
    case 'GET':
      return ask(name, url.searchParams.get('user') ?? '');
    case 'PUT':
      return set(name, await request.text());
    case 'DELETE':
      open('default').delete(name);
      return json(200, { name });
    default:
      return json(405, { error: 'GET, PUT or DELETE a flag' });
  }
}

function ask(name, user) {
  const bytes = open('default').get(name);
  if (bytes === undefined) return json(404, { error: `there is no flag ${name}` });
  const { percent } = JSON.parse(utf8.decode(bytes));
  return json(200, { name, user, on: place(name, user) < percent });
}

function set(name, text) {
  let percent;
  try {
    ({ percent } = JSON.parse(text));
  } catch {
    // Falls through to the refusal below.
  }
  if (typeof percent !== 'number' || !(percent >= 0 && percent <= 100)) {
    return json(400, { error: 'say for how many users, as in {"percent": 20}' });
  }
  open('default').set(name, utf8.encode(JSON.stringify({ percent })));
  return json(200, { name, percent });
}

/** All flags, each with its percentage. */
function all() {
  const bucket = open('default');
  const flags = {};
  let cursor;
  do {
    const page = bucket.listKeys(cursor);
    for (const name of page.keys) {
      const bytes = bucket.get(name);
      if (bytes !== undefined) flags[name] = JSON.parse(utf8.decode(bytes)).percent;
    }
    cursor = page.cursor;
  } while (cursor !== undefined);
  return flags;
}

/** Where a user stands for a flag, from 0 to 100, evenly spread (FNV-1a, then mixed). */
function place(name, user) {
  let hash = 0x811c9dc5;
  for (const byte of utf8.encode(`${name}/${user}`)) {
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32) * 100;
}

function json(status, value) {
  return new Response(`${JSON.stringify(value)}\n`, {
    status,
    headers: { 'content-type': 'application/json' },
  });
}
