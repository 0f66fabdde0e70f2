// Sends photos as soon as they are chosen, dropped or pasted, and shows a card for each. Without this the form works too.

import { shrunk } from "./shrink.js";
import { follow, replaced } from "./waiting.js";

const AT_ONCE = 2; // photos: one is looked at while the next one is on its way
const TRIES = 10; // for a photo that the app has no time for
const FORM = 4096; // bytes of a form around its photo, at most
const TOO_LARGE = "Uploaded file too large."; // the server's words
const NEWS = 20; // sentences that are kept for screen readers

const form = document.querySelector("#photos");
const cards = document.querySelector("#cards");
const list = document.querySelector("#list");
const news = document.querySelector("#news");
const problem = document.querySelector("#problem");
const target = form.querySelector(".target");
const limit = Number(form.dataset.limit) - FORM;
const pixelsOf = JSON.parse(form.dataset.pixelsOf); // by type
const waiting = []; // what is still to be sent, in order
let atWork = 0;

document.documentElement.classList.add("scripted");
for (const card of cards.querySelectorAll("[data-place]")) follow(card, shown);

form.addEventListener("change", ({ target: field }) => {
  take(field.files);
  field.value = ""; // the same photo may be chosen again
});
form.addEventListener("submit", (event) => {
  event.preventDefault(); // Enter in the field: what has been chosen is on its way already
  form.querySelector("#bird_image").click();
});
document.addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) take(event.clipboardData.files);
});
document.addEventListener("dragover", (event) => {
  event.preventDefault(); // the browser would show the photo in the place of the page
  target.classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) target.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  target.classList.remove("over");
  take(event.dataTransfer.files);
});

window.addEventListener("beforeunload", (event) => {
  if (atWork) event.preventDefault(); // the browser asks whether to leave
});

function take(files) {
  const photos = [...files];
  if (!photos.length) return;
  problem.hidden = photos.length <= Number(form.dataset.most);
  problem.textContent = problem.hidden ? "" : `Please send ${form.dataset.most} photos at most at once.`;
  if (!problem.hidden) return;
  tell(photos.length === 1 ? "Sending the photo." : `Sending ${photos.length} photos.`);
  document.documentElement.classList.add("answered");
  const jobs = photos.map((photo) => ({ photo, card: newCard(photo) }));
  jobs[0].card.scrollIntoView({ block: "start" });
  waiting.push(...jobs);
  for (let idle = AT_ONCE - atWork; idle > 0; idle--) work();
}

async function work() {
  atWork++;
  while (waiting.length) await answer(waiting.shift());
  atWork--;
}

function newCard(photo) {
  const card = document.querySelector("#sending").content.firstElementChild.cloneNode(true);
  const picture = card.querySelector("img");
  picture.addEventListener("error", () => picture.remove()); // a format that this browser does not show
  picture.src = URL.createObjectURL(photo);
  picture.alt += `: ${photo.name}`;
  card.setAttribute("aria-label", photo.name);
  card.querySelector(".name").textContent = photo.name;
  cards.append(card);
  return card;
}

async function answer({ photo, card }) {
  try {
    const small = (await isTooLarge(photo, card)) ? await reduced(photo, card) : photo;
    show(card, small ? await sent(small, photo.name, card) : refusal(TOO_LARGE));
  } catch (error) {
    offerToSendAgain(photo, card, error.message);
  }
}

async function isTooLarge(photo, card) {
  if (photo.size > limit) return true;
  const picture = card.querySelector("img");
  await picture?.decode().catch(() => {}); // the server says what is wrong with it
  return picture?.naturalWidth * picture?.naturalHeight > (pixelsOf[photo.type] ?? Number(form.dataset.pixels));
}

async function reduced(photo, card) {
  state(card, "Making it smaller.");
  try {
    const small = await shrunk(photo);
    return small.size > limit ? null : small;
  } catch {
    return null; // this browser cannot read it
  }
}

// The card in which the answer comes; it is asked for again while the app is busy. An error's message is for people.
async function sent(photo, name, card) {
  for (let tries = 1; ; tries++) {
    const answer = await post(photo, name, card);
    const pause = Number(answer.getResponseHeader("Retry-After"));
    const next = new DOMParser().parseFromString(answer.responseText, "text/html").querySelector(".card");
    if (!next && answer.status === 413) return refusal(TOO_LARGE); // says a proxy
    if (!next) throw new Error("The server could not answer. Please try again later.");
    if (!pause) return next;
    const sentence = next.querySelector(".message").textContent;
    if (tries === TRIES) throw new Error(sentence);
    state(card, `${sentence} The page does so by itself.`);
    if (tries === 1) tell(`${name}: ${sentence} The page does so by itself.`);
    await new Promise((resolve) => setTimeout(resolve, 1000 * pause));
  }
}

function post(photo, name, card) {
  const bar = card.querySelector("progress");
  const body = new FormData();
  body.append("bird_image", photo, name);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch does not tell how much has been sent
    request.upload.addEventListener("progress", ({ loaded, total }) => {
      bar.value = loaded / total;
      state(card, loaded < total ? "On its way." : "Being looked at.");
    });
    request.addEventListener("load", () => resolve(request));
    request.addEventListener("error", () => reject(new Error("The photo could not be sent. Is there a connection?")));
    request.open("POST", form.dataset.cards);
    request.send(body);
  });
}

function offerToSendAgain(photo, card, sentence) {
  state(card, sentence);
  tell(`${photo.name}: ${sentence}`);
  const again = card.querySelector(".again");
  again.hidden = false;
  again.onclick = () => {
    card.focus(); // the button goes
    again.hidden = true;
    waiting.push({ photo, card });
    if (atWork < AT_ONCE) work();
  };
}

function refusal(sentence) {
  const card = element("article", "card");
  card.tabIndex = -1;
  card.dataset.row = JSON.stringify([...Array(csvHeader().length - 2).fill(""), sentence]);
  const said = element("div", "said");
  const message = element("p", "message", sentence);
  message.setAttribute("role", "alert");
  said.append(message);
  card.append(said);
  return card;
}

function element(tag, name, text = "") {
  const made = document.createElement(tag);
  made.className = name;
  made.textContent = text;
  return made;
}

function show(card, next) {
  const picture = card.querySelector("img");
  if (next.querySelector("img")) URL.revokeObjectURL(picture?.src);
  else if (picture) next.prepend(picture);
  replaced(card, next);
  if (!next.matches("[data-place]")) return shown(next);
  tell(`${nameOf(card)}: ${next.querySelector(".species").textContent}`);
  follow(next, shown);
}

// An answer has come: it is read out, and the list is one longer.
function shown(card) {
  const [, species, confidence] = rowOf(card);
  const isUnsure = card.querySelector(".unsure");
  if (species) tell(`${nameOf(card)} ${isUnsure ? "Not sure, perhaps " : ""}${species}, ${Math.round(100 * confidence)} %`);
  const title = species && !isUnsure && cards.children.length === 1 ? `${species} – ` : "";
  document.title = `${title}Which bird is it?`;
  const answers = [...cards.querySelectorAll("[data-row]:not([data-place])")];
  list.hidden = answers.length < 2;
  const rows = [csvHeader(), ...answers.map((answer) => [nameOf(answer), ...rowOf(answer)])];
  const link = list.querySelector("a");
  URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(new Blob([rows.map(csvLine).join("")], { type: "text/csv" }));
}

const nameOf = (card) => card.querySelector(".name")?.textContent ?? "";
const rowOf = (card) => JSON.parse(card.dataset.row);
const csvHeader = () => JSON.parse(cards.dataset.csvHeader);
const csvLine = (row) => row.map((text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)).join(",") + "\r\n";

function state(card, sentence) {
  card.querySelector(".state").textContent = sentence;
}

function tell(sentence) {
  news.append(element("p", "", sentence));
  if (news.children.length > NEWS) news.firstElementChild.remove();
}
