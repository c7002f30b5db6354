// Answers every request with the term that it runs under.

import { current } from 'soloist:plugin/term@0.1.0';

addEventListener('fetch', (event) => event.respondWith(answer(event.request)));

async function answer(request) {
  const { pathname } = new URL(request.url);
  const { host, token } = current();
  return new Response(`{{name}} at ${pathname}: host ${host}, token ${token}\n`);
}
