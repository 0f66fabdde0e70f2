// Asks the server for the card of a pending photo again and again, and shows it, until there is an answer; returns the last card.

const SHORTEST = 0.5; // seconds between two requests, at first
const LONGEST = 5; // seconds between them when it takes long
const TIMEOUT = 10; // seconds for the answer to a request

export async function follow(card) {
  let retryAfter = 0;
  for (let pause = SHORTEST; card.matches("[data-pending]"); pause = Math.min(1.5 * pause, LONGEST)) {
    await new Promise((resolve) => setTimeout(resolve, 1000 * Math.max(pause, retryAfter)));
    try {
      const answer = await fetch(card.dataset.job, { cache: "no-store", signal: AbortSignal.timeout(1000 * TIMEOUT) });
      retryAfter = Number(answer.headers.get("Retry-After"));
      const next = answer.status === 503 ? null : await cardOf(answer);
      if (!next) continue;
      next.dataset.taken ||= card.dataset.taken; // the server does not keep the date with the job
      card = replaced(card, next);
    } catch {
      // No network at the moment: keep what is shown.
    }
  }
  return card;
}

async function cardOf(answer) {
  return new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(".card");
}

// Replaces the card of a photo by its next one; returns the card that is then shown.
export function replaced(card, next) {
  const name = card.querySelector(".name");
  if (name) next.querySelector(".said").prepend(name.cloneNode(true));
  next.original = card.original;
  if (next.textContent === card.textContent) return card; // the same text is not announced again
  keepPhoto(card, document.adoptNode(next)); // an image is loaded again when it gets into another document
  next.setAttribute("aria-label", card.getAttribute("aria-label"));
  const focused = card.contains(document.activeElement) ? document.activeElement : null;
  card.replaceWith(next);
  if (focused) ((focused.matches("a") && next.querySelector("a")) || next).focus();
  return next;
}

// The photo itself shows more than its thumbnail, and nothing jumps if it stays. Of other formats than JPEG, browsers and the
// server may disagree which way is up.
function keepPhoto(card, next) {
  const [photo, thumbnail] = [card, next].map((each) => each.querySelector(".photo"));
  if (!thumbnail || !photo || card.original?.type !== "image/jpeg") return;
  photo.alt = thumbnail.alt;
  thumbnail.replaceWith(photo);
}
