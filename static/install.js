// Lets the offline page be shown without a connection. Browsers do that only over HTTPS and on the machine itself; where
// they do not, or may not keep anything, the site works as it does without.

addEventListener("load", () => {
  navigator.serviceWorker?.register(new URL("../service-worker.js", import.meta.url)).catch(() => {});
});
