// Replaces what the page of a waiting photo shows by what the server says of it, until that is the answer.

const SOONEST = 0.5; // seconds between two questions
const LATEST = 5;

const main = document.querySelector("main");
main.setAttribute("aria-live", "polite");

async function ask() {
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
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
  if (main.innerHTML !== next.innerHTML) {
    document.title = title;
    main.replaceChildren(...next.childNodes);
  }
}

function askLater() {
  const waiting = main.querySelector("[data-waiting]");
  if (waiting) {
    const seconds = Math.min(Math.max(waiting.dataset.waiting / 2, SOONEST), LATEST);
    setTimeout(ask, 1000 * seconds);
  }
}

askLater();
