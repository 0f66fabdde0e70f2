// Shows the offline page where the site cannot be reached. It keeps that page and its files, and nothing else: no answer
// and no photo. web/installing.py fills in the next lines.
const CACHES = {{ caches | tojson }}; // how the names of its caches begin: other sites may have the same host
const CACHE = CACHES + {{ version | tojson }};
const HOME = address({{ home | tojson }});
const PAGE = address({{ page | tojson }});
const FILES = {{ files | tojson }}.map(address);

self.addEventListener("install", (event) => event.waitUntil(keep()));
self.addEventListener("activate", (event) => event.waitUntil(takeOver()));
self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (isPage(request)) event.respondWith(page(event).catch(() => caches.match(PAGE)));
  else if (FILES.includes(request.url)) event.respondWith(fetch(request).catch(() => caches.match(request)));
});

function address(path) {
  return new URL(path, self.location).href;
}

async function keep() {
  const cache = await caches.open(CACHE);
  await cache.addAll([PAGE, ...FILES].map((url) => new Request(url, { cache: "reload" })));
  await self.skipWaiting(); // pages come from the network, so they do not mind a new service worker
}

async function takeOver() {
  const old = (await caches.keys()).filter((name) => name.startsWith(CACHES) && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
  await self.registration.navigationPreload?.enable();
}

// Photos that are sent or shared are posted to the home page. Other forms are left alone: the site wants to know from
// the browser which page they are from, and a service worker would stand in between.
function isPage({ mode, method, url }) {
  return mode === "navigate" && (method === "GET" || url === HOME);
}

// The browser may have asked for the page already, while this script was being started.
async function page({ preloadResponse, request }) {
  return (await preloadResponse) ?? fetch(request);
}
