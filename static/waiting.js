// Replaces what the page of a waiting photo shows by what the server says of it, until that is the answer.

const SOONEST = 0.5; // seconds between two questions, at first
const LATEST = 5; // and when it takes long
const PATIENCE = 10; // seconds for the answer to one

const main = document.querySelector("main");
let pause = SOONEST;

async function ask() {
  try {
    const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(1000 * PATIENCE) });
    if (answer.status !== 503) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      show(page.title, page.querySelector("main"));
    }
  } catch {
    // No network at the moment: what is shown is still true.
  }
  askLater();
}

function show(title, next) {
  const place = main.querySelector("[data-place]");
  const nextPlace = next.querySelector("[data-place]");
  if (nextPlace) {
    const sentences = nextPlace.querySelectorAll("p");
    place.querySelectorAll("p").forEach((sentence, number) => {
      const next = sentences[number].textContent;
      if (sentence.textContent !== next) sentence.textContent = next; // what stays the same is not read out again
    });
  } else {
    main.setAttribute("aria-live", "polite"); // the answer is read out; that seconds pass is not
    document.title = title;
    main.replaceChildren(...next.childNodes);
  }
}

function askLater() {
  if (main.querySelector("[data-place]")) {
    setTimeout(ask, 1000 * pause);
    pause = Math.min(1.5 * pause, LATEST);
  }
}

askLater();
