// Sends photos as soon as they are chosen, dropped or pasted, and shows a card for each. Without this the form works too.

import { shrunk } from "./shrink.js";
import { follow } from "./waiting.js";

const AT_ONCE = 2; // photos: one is looked at while the next one is on its way
const TRIES = 10; // for a photo that the app has no time for
const FORM = 4096; // bytes of a form around its photo, at most

const form = document.querySelector("#photos");
const cards = document.querySelector("#cards");
const list = document.querySelector("#list");
const news = document.querySelector("#news");
const problem = document.querySelector("#problem");
const target = form.querySelector(".target");
const limit = Number(form.dataset.limit) - FORM;
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
  card.querySelector(".name").textContent = photo.name;
  card.photoName = photo.name;
  cards.append(card);
  return card;
}

async function answer({ photo, card }) {
  try {
    const small = (await isTooLarge(photo, card)) ? await reduced(photo, card) : photo;
    show(card, small ? await sent(small, photo.name, card) : refusal("Uploaded file too large."));
  } catch {
    sendAgainLater(photo, card);
  }
}

async function isTooLarge(photo, card) {
  if (photo.size > limit) return true;
  const picture = card.querySelector("img");
  await picture?.decode().catch(() => {}); // the server says what is wrong with it
  return picture?.naturalWidth * picture?.naturalHeight > Number(form.dataset.pixels);
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

// The card in which the answer comes; it is asked for again as long as the app is busy.
async function sent(photo, name, card) {
  for (let tries = 1; ; tries++) {
    const answer = await post(photo, name, card);
    const pause = Number(answer.getResponseHeader("Retry-After"));
    const next = new DOMParser().parseFromString(answer.responseText, "text/html").querySelector(".card");
    if (!next) throw new Error("no card"); // whatever stands between us and the app
    if (!pause || tries === TRIES) return next;
    state(card, `${next.querySelector(".message").textContent} The page does so by itself.`);
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
    request.addEventListener("error", () => reject(new Error("no answer")));
    request.open("POST", form.dataset.cards);
    request.send(body);
  });
}

function sendAgainLater(photo, card) {
  state(card, "The photo could not be sent. Is there a connection?");
  tell(`${photo.name} could not be sent.`);
  const again = card.querySelector(".again");
  again.hidden = false;
  again.onclick = () => {
    again.hidden = true;
    waiting.push({ photo, card });
    if (atWork < AT_ONCE) work();
  };
}

function refusal(sentence) {
  const card = newCardLike("article", "card");
  card.dataset.row = JSON.stringify([...Array(csvHeader().length - 2).fill(""), sentence]);
  const said = newCardLike("div", "said");
  const message = newCardLike("p", "message", sentence);
  message.setAttribute("role", "alert");
  said.append(message);
  card.append(said);
  return card;
}

function newCardLike(tag, name, text = "") {
  const element = document.createElement(tag);
  element.className = name;
  element.textContent = text;
  return element;
}

function show(card, next) {
  next.photoName = card.photoName;
  const picture = card.querySelector("img");
  if (next.querySelector("img")) URL.revokeObjectURL(picture?.src);
  else if (picture) next.prepend(picture);
  next.querySelector(".said").prepend(newCardLike("p", "name", card.photoName));
  card.replaceWith(next);
  if (next.matches("[data-place]")) follow(next, shown);
  else shown(next);
}

// An answer has come: it is read out, and the list is one longer.
function shown(card) {
  const [, species, confidence] = rowOf(card);
  if (species) tell(`${card.photoName ?? ""} ${species}, ${Math.round(100 * confidence)} %`);
  if (species && cards.children.length === 1) document.title = `${species} – Which bird is it?`;
  const answers = [...cards.querySelectorAll("[data-row]:not([data-place])")];
  list.hidden = answers.length < 2;
  const rows = [csvHeader(), ...answers.map((answer) => [nameOf(answer), ...rowOf(answer)])];
  const link = list.querySelector("a");
  URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(new Blob([rows.map(csvLine).join("")], { type: "text/csv" }));
}

const nameOf = (card) => card.photoName ?? card.querySelector(".name")?.textContent ?? "";
const rowOf = (card) => JSON.parse(card.dataset.row);
const csvHeader = () => JSON.parse(cards.dataset.csvHeader);
const csvLine = (row) => row.map((text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)).join(",") + "\r\n";

function state(card, sentence) {
  card.querySelector(".state").textContent = sentence;
}

function tell(sentence) {
  news.textContent = sentence;
}
