/* Requests of the page -> what was kept of the folder, so that it opens without a network.

   One idea: all that can be kept has its version in its address, so nothing kept is ever old; the page itself is asked of
   the host first. Only the page and its versioned files are answered; what else lies below goes its own way, and pictures
   never come by here. */
"use strict";
const SCOPE = new URL(self.registration.scope).pathname;
const OWN = new RegExp("^(index\\.html)?$|^v-[0-9a-f]{12}/");
const WAIT_MS = 4000;
const ISOLATED = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp", "Cross-Origin-Resource-Policy": "same-origin"};

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", event => event.waitUntil(self.clients.claim()));

/* What was kept for an address by any version of this folder. */
async function kept(request) {
  for (const name of await caches.keys()) {
    if (!name.startsWith(`thawline ${SCOPE} `)) continue;
    const found = await (await caches.open(name)).match(request, {ignoreSearch: true});
    if (found) return found;
  }
  return undefined;
}

/* The same answer in a world of its own, in which the browser lets a page compute with several threads. */
function isolated(response) {
  if (response.type === "opaqueredirect" || response.status === 0) return response;
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(ISOLATED)) headers.set(name, value);
  return new Response(response.body, {status: response.status, statusText: response.statusText, headers});
}

async function page(request) {
  const late = new Promise((_, reject) => setTimeout(reject, WAIT_MS));
  try {
    const response = await Promise.race([fetch(request), late]);
    if (response.ok || response.type === "opaqueredirect") return response;
    return await kept(request) || response;
  } catch {
    return await kept(request) || await kept("./") || Response.error();
  }
}

self.addEventListener("fetch", event => {
  const {request} = event, address = new URL(request.url);
  if (request.method !== "GET" || address.origin !== location.origin || !address.pathname.startsWith(SCOPE)) return;
  if (!OWN.test(address.pathname.slice(SCOPE.length))) return;
  const answer = request.mode === "navigate" ? page(request) : kept(request).then(found => found || fetch(request));
  event.respondWith(answer.then(isolated));
});
