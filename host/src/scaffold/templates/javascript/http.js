// Answers every request with the term that it runs under.

import { current } from 'soloist:plugin/term@0.1.0';

// Whatever has a `fetch` can stand here, as an app of Hono (`new Hono()`) has.
const app = {
  fetch(request) {
    const { pathname } = new URL(request.url);
    const { host, fencingToken } = current();
    return new Response(`{{name}} at ${pathname}: host ${host}, fencing token ${fencingToken}\n`);
  },
};

addEventListener('fetch', (event) => event.respondWith(app.fetch(event.request)));
