// # polls
//
// Asks people something and counts what they say, by an app of Hono that would
// look the same anywhere else:
//
//   GET    /       the names of all polls
//   PUT    /NAME   begins a poll: {"question": "…", "options": ["…", "…"]}
//   GET    /NAME   its question, and the votes so far
//   POST   /NAME   votes: {"option": "…"}
//   DELETE /NAME   ends it
//
// The store itself adds the votes up, so of two that come at once both count.

import { Hono } from 'hono';
import { cors } from 'hono/cors';
import { HTTPException } from 'hono/http-exception';
import { increment } from 'wasi:keyvalue/atomics@0.2.0-draft';
import { open } from 'wasi:keyvalue/store@0.2.0-draft';

const NAME = '/:name{[a-z0-9-]{1,40}}';
const OPTIONS_MAX = 20;
const TEXT_MAX = 200;

const app = new Hono();

// Pages of any site may ask and vote.
app.use(cors());

app.get('/', (c) => c.json(names()));

app.put(NAME, async (c) => {
  const { name } = c.req.param();
  const { question, options } = await said(c);
  const isText = (text) => typeof text === 'string' && text !== '' && text.length <= TEXT_MAX;
  const areTexts = Array.isArray(options) && options.every(isText);
  const differ = areTexts && new Set(options).size === options.length;
  if (!isText(question) || !differ || options.length < 2 || options.length > OPTIONS_MAX) {
    refuse(400, 'say what is asked: {"question": "…", "options": ["…", "…"]}');
  }
  if (read(`polls/${name}`) !== undefined) refuse(409, `there is a poll ${name}: end it first`);
  // A vote for a poll of this name that has ended is none for this one.
  const round = String(increment(open('default'), `rounds/${name}`, 1n));
  write(`polls/${name}`, JSON.stringify({ question, options, round }));
  return c.json({ name, question, options }, 201);
});

app.get(NAME, (c) => {
  const { name } = c.req.param();
  const { question, options, round } = poll(name);
  const count = (option, place) => [option, Number(read(votes(name, round, place)) ?? 0)];
  return c.json({ name, question, votes: Object.fromEntries(options.map(count)) });
});

app.post(NAME, async (c) => {
  const { name } = c.req.param();
  const { options, round } = poll(name);
  const { option } = await said(c);
  const place = options.indexOf(option);
  if (place < 0) refuse(400, `vote for one of these: ${options.join(', ')}`);
  const now = increment(open('default'), votes(name, round, place), 1n);
  return c.json({ option, votes: Number(now) });
});

app.delete(NAME, (c) => {
  const { name } = c.req.param();
  const { options, round } = poll(name);
  const bucket = open('default');
  bucket.delete(`polls/${name}`);
  options.forEach((_, place) => bucket.delete(votes(name, round, place)));
  return c.body(null, 204);
});

app.notFound((c) => c.json({ error: `there is nothing at ${c.req.path}` }, 404));

app.onError((error, c) => {
  if (error instanceof HTTPException) return c.json({ error: error.message }, error.status);
  // The store did not do it: it cannot be reached, this host leads no longer, or
  // the settings lack `state = true`.
  return c.json({ error: JSON.stringify(error.payload ?? String(error)) }, 503);
});

addEventListener('fetch', (event) => event.respondWith(app.fetch(event.request)));

function refuse(status, message) {
  throw new HTTPException(status, { message });
}

/** What the body says, as JSON. */
async function said(c) {
  try {
    return Object(await c.req.json());
  } catch {
    return refuse(400, 'send JSON');
  }
}

function poll(name) {
  return JSON.parse(read(`polls/${name}`) ?? refuse(404, `there is no poll ${name}`));
}

/** The key of the votes for one option. */
function votes(name, round, place) {
  return `votes/${name}/${round}/${place}`;
}

function names() {
  const bucket = open('default');
  const keys = [];
  let cursor;
  do {
    const page = bucket.listKeys(cursor);
    keys.push(...page.keys);
    cursor = page.cursor;
  } while (cursor !== undefined);
  const polls = keys.filter((key) => key.startsWith('polls/')).sort();
  return polls.map((key) => key.slice('polls/'.length));
}

function read(key) {
  const bytes = open('default').get(key);
  return bytes && new TextDecoder().decode(bytes);
}

function write(key, text) {
  open('default').set(key, new TextEncoder().encode(text));
}
