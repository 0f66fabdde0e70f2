// Replaces the card of a photo that waits by what the server says of it, until that is the answer.

const SOONEST = 0.5; // seconds between two questions, at first
const LATEST = 5; // and when it takes long
const PATIENCE = 10; // seconds for the answer to one

export async function follow(card, whenAnswered) {
  for (let pause = SOONEST; card.matches("[data-place]"); pause = Math.min(1.5 * pause, LATEST)) {
    await new Promise((resolve) => setTimeout(resolve, 1000 * pause));
    try {
      const next = await asked(card.dataset.job);
      if (next) card = replaced(card, dated(next, card));
    } catch {
      // No network at the moment: what is shown is still true.
    }
  }
  whenAnswered(card);
}

async function asked(address) {
  const answer = await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(1000 * PATIENCE) });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  return answer.status === 503 ? null : page.querySelector(".card");
}

// Puts what there is now to show of a photo in the place of its card; what is shown then.
export function replaced(card, next) {
  const name = card.querySelector(".name");
  if (name) next.querySelector(".said").prepend(name.cloneNode(true));
  if (next.textContent === card.textContent) return card; // what stays the same is not read out again
  next.setAttribute("aria-label", card.getAttribute("aria-label"));
  const focused = card.contains(document.activeElement) ? document.activeElement : null;
  card.replaceWith(next);
  if (focused) ((focused.matches("a") && next.querySelector("a")) || next).focus();
  return next;
}

// The date is not kept with the job: the card that waits has it.
function dated(next, card) {
  const [taken, ...row] = JSON.parse(next.dataset.row);
  next.dataset.row = JSON.stringify([taken || JSON.parse(card.dataset.row)[0], ...row]);
  return next;
}
