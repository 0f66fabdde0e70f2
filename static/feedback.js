// Sends what a person says about an answer, with the photo if it may be kept, and shows what was kept in place of the form.

import { text } from "./texts.js";

document.addEventListener("submit", (event) => {
  const place = event.target.closest(".feedback");
  if (!place) return;
  event.preventDefault();
  if (!place.ariaBusy) send(place, event.target, event.submitter);
});

// The second click of a double click must not reach the button to delete, which may be where the first one was.
document.addEventListener("click", (event) => {
  if (event.detail > 1 && event.target.closest(".outcome button")) event.preventDefault();
});

async function send(place, form, button) {
  const outcome = place.querySelector(".outcome");
  place.ariaBusy = "true";
  outcome.querySelector(".message")?.remove();
  try {
    const answer = await fetch(form.action, { method: "POST", body: contentOf(form, button) });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (!answer.ok) throw new Error(page.querySelector(".message")?.textContent ?? text("correction_not_kept"));
    outcome.replaceChildren(...page.querySelector(".outcome").childNodes);
    outcome.focus(); // the button goes
    form.remove();
  } catch (error) {
    const sentence = error instanceof TypeError ? text("correction_not_sent") : error.message;
    outcome.append(message(sentence));
  }
  place.ariaBusy = null;
}

function contentOf(form, button) {
  const content = new FormData(form);
  if (button?.name) content.append(button.name, button.value);
  content.delete("thumbnail");
  if (!content.has("keep")) return content; // nothing of the photo is sent
  const card = form.closest(".card");
  if (card.photo) content.append("photo", card.photo, "photo");
  else content.append("thumbnail", card.querySelector(".photo").src.split(",")[1]); // the page was opened with the answer
  return content;
}

function message(sentence) {
  const made = document.createElement("p");
  made.className = "message";
  made.textContent = sentence;
  return made;
}
