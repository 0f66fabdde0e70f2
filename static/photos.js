// Sends photos as soon as they are chosen, dropped or pasted, and shows a card for each. The form works without this script, too.

import { offerCrop } from "./crop.js";
import { defused, quoted } from "./csv.js";
import { shrunk } from "./shrink.js";
import { text } from "./texts.js";
import { follow, replaced } from "./waiting.js";

const AT_ONCE = 2; // photos: the server identifies one while the next one is on its way
const TRIES = 10; // for a photo that the app is too busy for
const FORM = 4096; // bytes of a form around its photo, at most
const NEWS = 20; // sentences kept for screen readers
const BYTE_ORDER_MARK = "\ufeff"; // without it, Excel takes the letters for those of another alphabet

const form = document.querySelector("#photos");
const cards = document.querySelector("#cards");
const list = document.querySelector("#list");
const lists = document.querySelector("#lists");
const news = document.querySelector("#news");
const problem = document.querySelector("#problem");
const target = form.querySelector(".target");
const limit = Number(form.dataset.bytes) - FORM;
const pixelsOf = JSON.parse(form.dataset.pixelsOf); // by type
const waiting = []; // what is still to be sent, in order
let senders = 0; // how many photos are being sent

document.documentElement.classList.add("scripted");
for (const card of cards.querySelectorAll("[data-pending]")) follow(card).then(shown);
window.addEventListener("online", () => {
  for (const button of cards.querySelectorAll(".unsent .again:not([hidden])")) button.click();
});
renewList();

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
  event.preventDefault(); // the browser would show the photo instead of the page
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

lists.addEventListener("click", async ({ target }) => {
  if (!target.matches("button")) return;
  try {
    const { save } = await import("./lists.js"); // it is large, because it reads EXIF data
    await save(target.value);
  } catch {
    lists.querySelector("[role=status]").textContent = lists.dataset.failed; // no network, or a photo is no longer there
  }
});

document.querySelector(".language").addEventListener("submit", (event) => {
  const isHome = location.pathname === new URL(form.action).pathname; // an answer with a page of its own stays
  const isLost = [...cards.children].some((card) => isHome || card.original);
  if (isLost && !confirm(text("language_removes"))) event.preventDefault();
});

window.addEventListener("beforeunload", (event) => {
  if (senders) event.preventDefault(); // the browser asks whether to leave
});

function take(files) {
  const photos = [...files];
  if (!photos.length) return;
  problem.hidden = photos.length <= Number(form.dataset.most);
  problem.textContent = problem.hidden ? "" : text("most_photos", { most: form.dataset.most });
  if (!problem.hidden) return;
  announce(photos.length === 1 ? text("sending_photo") : text("sending_photos", { number: photos.length }));
  form.classList.add("more-photos");
  document.querySelector("h1").classList.add("visually-hidden");
  const sendings = photos.map((photo) => ({ photo, card: newCard(photo) }));
  sendings[0].card.scrollIntoView({ block: "start" });
  waiting.push(...sendings);
  for (let idle = AT_ONCE - senders; idle > 0; idle--) sendWaiting();
}

async function sendWaiting() {
  senders++;
  while (waiting.length) await identify(waiting.shift());
  senders--;
}

function newCard(photo) {
  const card = document.querySelector("#sending").content.firstElementChild.cloneNode(true);
  const image = card.querySelector("img");
  image.addEventListener("error", () => image.parentElement.remove()); // a format that this browser does not show
  image.src = URL.createObjectURL(photo);
  image.alt = text("photo_of", { name: photo.name });
  card.setAttribute("aria-label", photo.name);
  card.querySelector(".name").textContent = photo.name;
  card.original = photo; // for lists.js
  cards.append(card);
  return card;
}

async function identify({ photo, card }) {
  try {
    const small = (await isTooLarge(photo, card)) ? await reduced(photo, card) : photo;
    show(card, small ? await resultCard(formWith(small), photo.name, card) : await refusal(photo.name, card), small);
  } catch (error) {
    offerToSendAgain(photo, card, error.message);
  }
}

async function isTooLarge(photo, card) {
  if (photo.size > limit) return true;
  const image = card.querySelector("img");
  await image?.decode().catch(() => {}); // the server says what is wrong with it
  return image?.naturalWidth * image?.naturalHeight > (pixelsOf[photo.type] ?? Number(form.dataset.pixels));
}

async function reduced(photo, card) {
  state(card, text("making_smaller"));
  try {
    const small = await shrunk(photo);
    return small.size > limit ? null : small;
  } catch {
    return null; // this browser cannot read it
  }
}

// The result card; the request is sent again while the app is busy or being started. An error's message is for people.
async function resultCard(body, name, card, headers = {}) {
  for (let tries = 1; ; tries++) {
    const answer = await post(body, card, headers);
    const pause = Number(answer.getResponseHeader("Retry-After"));
    const next = cardIn(answer);
    if (!next && answer.status === 413 && body) return refusal(name, card); // from a proxy
    if (next && !pause) return next;
    const sentence = next ? sentenceOn(next) : text(pause ? "busy" : "no_answer");
    if (!pause || tries === TRIES) throw new Error(sentence);
    const said = text("will_try_again", { sentence });
    state(card, said);
    if (tries === 1) announce(text("about_photo", { name, sentence: said }));
    await new Promise((resolve) => setTimeout(resolve, 1000 * pause));
  }
}

// The server's card for a photo that is too large to be sent, requested as by a proxy that does not pass the photo on.
const refusal = (name, card) => resultCard(null, name, card, { "X-Body-Too-Large": "1" });

const cardIn = (answer) => new DOMParser().parseFromString(answer.responseText, "text/html").querySelector(".card");

function formWith(photo, part = "") {
  const body = new FormData();
  body.append("bird_image", photo);
  if (part) body.append("crop", part);
  return body;
}

function post(body, card, headers) {
  const bar = card.querySelector("progress");
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch does not report how much has been sent
    request.upload.addEventListener("progress", ({ loaded, total }) => {
      if (loaded < total) bar.value = loaded / total;
      else bar.removeAttribute("value"); // nobody knows how long that takes
      state(card, text(loaded < total ? "on_its_way" : "being_looked_at"));
    });
    request.addEventListener("load", () => resolve(request));
    request.addEventListener("error", () => reject(new Error(text("photo_not_sent"))));
    request.open("POST", form.dataset.cards);
    for (const [header, value] of Object.entries(headers)) request.setRequestHeader(header, value);
    request.send(body);
  });
}

function offerToSendAgain(photo, card, sentence) {
  state(card, sentence);
  card.classList.add("unsent");
  announce(text("about_photo", { name: photo.name, sentence }));
  const again = card.querySelector(".again");
  again.hidden = false;
  again.onclick = () => {
    card.focus(); // the button goes
    again.hidden = true;
    card.classList.remove("unsent");
    waiting.push({ photo, card });
    if (senders < AT_ONCE) sendWaiting();
  };
}

function element(tag, name, text = "") {
  const made = document.createElement(tag);
  made.className = name;
  made.textContent = text;
  return made;
}

async function show(card, next, photo) {
  const picture = card.querySelector(".thumbnail");
  const image = next.querySelector(".photo");
  if (!image && picture) next.prepend(picture);
  if (image) URL.revokeObjectURL(picture?.firstElementChild.src);
  replaced(card, next);
  if (next.matches("[data-pending]")) {
    announce(text("about_photo", { name: nameOf(card), sentence: sentenceOn(next) }));
    next = await follow(next);
  }
  shown(next, photo);
}

// Replaces an answered card by the answer about a part of its photo, or about the whole photo if `part` is empty.
async function lookAgain(card, photo, part) {
  try {
    let next = await resultCard(formWith(photo, part), photo.name, card);
    if (next.matches("[data-pending]")) {
      state(card, sentenceOn(next));
      next = await follow(next);
    }
    if (!next.querySelector(".answer")) throw new Error(sentenceOn(next));
    next.dataset.taken ||= card.dataset.taken;
    const links = [...card.querySelectorAll(".feedback .address")]; // to delete corrections
    next.querySelector(".said").append(...links.map((link) => link.closest(".feedback")));
    replaced(card, next);
    shown(next, photo, part);
  } catch (error) {
    announce(text("about_photo", { name: photo.name, sentence: error.message }));
    throw error;
  }
}

// Announces an answer, and adds it to the list. If the script has the photo, a person can choose a part of it.
function shown(card, photo, part) {
  const answers = [...card.querySelectorAll(".answer")];
  card.photo = photo; // for feedback.js
  if (answers.length) announce(`${nameOf(card)} ${answers.map((answer) => answer.dataset.said).join("; ")}`);
  if (answers.length && photo) offerCrop(card, photo, Boolean(part), (region) => lookAgain(card, photo, region));
  const species = cards.children.length === 1 && answers[0]?.dataset.species;
  document.title = species ? text("title_of", { species }) : text("title");
  renewList();
}

function renewList() {
  const answers = [...cards.querySelectorAll("[data-csv]:not([data-pending])")];
  list.hidden = answers.length < 2;
  lists.hidden = !cards.querySelector("[data-records]");
  const link = list.querySelector("a");
  URL.revokeObjectURL(link.href);
  const rows = [cards.dataset.csvHeader, ...answers.map(csvRow), ""];
  link.href = URL.createObjectURL(new Blob([BYTE_ORDER_MARK, rows.join("\r\n")], { type: "text/csv" }));
}

// The server writes the row except for the name of the file, which it does not keep.
function csvRow(card) {
  return `${quoted(defused(nameOf(card)))},${card.dataset.taken},${card.dataset.csv}`;
}

function sentenceOn(card) {
  return card.querySelector(".message, .species").textContent;
}

function nameOf(card) {
  return card.querySelector(".name")?.textContent ?? "";
}

function state(card, sentence) {
  card.querySelector(".state").textContent = sentence;
}

function announce(sentence) {
  news.append(element("p", "", sentence));
  if (news.children.length > NEWS) news.firstElementChild.remove();
}
