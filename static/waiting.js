// Replaces the card of a photo that waits by what the server says of it, until that is the answer.

const SOONEST = 0.5; // seconds between two questions, at first
const LATEST = 5; // and when it takes long
const PATIENCE = 10; // seconds for the answer to one

export async function follow(card, whenAnswered) {
  for (let pause = SOONEST; card.matches("[data-place]"); pause = Math.min(1.5 * pause, LATEST)) {
    await new Promise((resolve) => setTimeout(resolve, 1000 * pause));
    try {
      card = replaced(card, await asked(card.dataset.job));
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

function replaced(card, next) {
  if (!next) return card;
  const name = card.querySelector(".name");
  if (name) next.querySelector(".said").prepend(name.cloneNode(true));
  if (next.textContent === card.textContent) return card; // what stays the same is not read out again
  const [taken, ...row] = JSON.parse(next.dataset.row);
  next.dataset.row = JSON.stringify([taken || JSON.parse(card.dataset.row)[0], ...row]); // it is not kept with the job
  next.photoName = card.photoName;
  const hadFocus = card.contains(document.activeElement);
  card.replaceWith(next);
  if (hadFocus) (next.querySelector("a") ?? next).focus();
  return next;
}
