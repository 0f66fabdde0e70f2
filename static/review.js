// Decisions on the review page: by keyboard or mouse, sent without leaving the page. Without this script, its form does the same.

import { text } from "./texts.js";

const TIMEOUT = 20; // seconds for the answer to a decision

const form = document.getElementById("corrections");
const status = document.getElementById("done");
const undoable = []; // the ids of each decision, the latest last
document.documentElement.classList.add("scripted");

const items = () => [...form.querySelectorAll(".item")];
const boxOf = (item) => item.querySelector('[name="id"]');
const labelOf = (item) => item.querySelector('input[type="text"]');
const selected = () => items().filter((item) => boxOf(item).checked);
const current = () => document.activeElement.closest?.(".item") ?? form.querySelector('.item[tabindex="0"]');

function goTo(item) {
  if (!item) return;
  for (const other of form.querySelectorAll('.item[tabindex="0"]')) other.tabIndex = -1;
  item.tabIndex = 0;
  item.focus();
}

function move(step) {
  const all = items();
  const index = all.indexOf(current());
  goTo(all[Math.min(Math.max(index + step, 0), all.length - 1)]);
}

function goToNextUndecided(item) {
  const all = items();
  const isOpen = (other) => other.dataset.status === "new";
  goTo(all.slice(all.indexOf(item)).find(isOpen) ?? all.find(isOpen) ?? item);
}

function countSelected() {
  document.getElementById("selected").textContent = selected().length;
}

// Sends a decision about some corrections; forAll is a label for all of them, or "" for each its own.
async function decide(decision, chosen, forAll = "") {
  if (!chosen.length) return say(text("nothing_selected"));
  const body = new URLSearchParams({ token: form.elements.token.value, [decision]: "selected", label: forAll });
  for (const item of chosen) {
    body.append("id", item.dataset.id);
    body.append(labelOf(item).name, labelOf(item).value);
  }
  try {
    const headers = { Accept: "application/json" };
    const answer = await fetch(form.action, { method: "POST", body, headers, signal: AbortSignal.timeout(1000 * TIMEOUT) });
    const result = await answer.json();
    if (!answer.ok) return say(result.sentence);
    show(result);
    if (decision !== "reset" && result.decided.length) undoable.push(result.decided.map(({ id }) => id));
  } catch {
    say(text("no_answer"));
  }
}

function show({ status, decided, refused }) {
  for (const { id, label, is_new } of decided) {
    const item = itemOf(id);
    item.dataset.status = status;
    item.className = `item ${status}`;
    boxOf(item).checked = false;
    if (label) labelOf(item).value = label;
    item.querySelector(".decision").textContent = status === "new" ? "" : decisionInWords(status, label, is_new);
  }
  for (const { id, sentence } of refused) {
    const item = itemOf(id);
    item.classList.add("refused");
    item.querySelector(".decision").textContent = sentence;
  }
  countSelected();
  const why = refused.map(({ id, sentence }) => text("refused", { number: id, sentence }));
  say([...(decided.length ? [doneInWords(status, decided)] : []), ...why].join(" "));
}

function decisionInWords(status, label, isNew) {
  if (!label) return text(status);
  return text("accepted_as", { label }) + (isNew ? ` ${text("unknown_species")}` : "");
}

function doneInWords(status, decided) {
  const isOne = decided.length === 1;
  return text(isOne ? "done_one" : "done_many", { done: text(status), number: isOne ? decided[0].id : decided.length });
}

const itemOf = (id) => document.getElementById(`correction-${id}`);

function say(sentence) {
  status.textContent = sentence;
}

async function decideByKey(decision, chosen, forAll) {
  const item = current();
  await decide(decision, chosen, forAll);
  goToNextUndecided(item);
}

function undo() {
  const ids = undoable.pop() ?? (current().dataset.status === "new" ? [] : [current().dataset.id]);
  if (!ids.length) return say(text("nothing_to_undo"));
  decide("reset", ids.map(itemOf));
  goTo(itemOf(ids[0]));
}

function editLabel() {
  const field = selected().length ? form.elements.label : labelOf(current());
  field.focus();
  field.select();
}

const KEYS = {
  j: () => move(1),
  ArrowDown: () => move(1),
  ArrowRight: () => move(1),
  k: () => move(-1),
  ArrowUp: () => move(-1),
  ArrowLeft: () => move(-1),
  x: () => boxOf(current()).click(),
  " ": () => boxOf(current()).click(),
  a: () => decideByKey("accept", selected().length ? selected() : [current()]),
  r: () => decideByKey("reject", selected().length ? selected() : [current()]),
  l: editLabel,
  u: undo,
  "?": () => document.querySelector(".keys summary").click(),
};

// Enter in a label accepts with it, and Escape leaves it as it was.
function keyInLabel(event) {
  const field = event.target;
  const isForAll = field === form.elements.label;
  const item = isForAll ? current() : field.closest(".item");
  if (event.key === "Enter") {
    decideByKey("accept", isForAll ? selected() : [item], isForAll ? field.value : "");
    if (isForAll) field.value = "";
  } else if (event.key === "Escape") {
    field.value = field.defaultValue;
  } else return;
  event.preventDefault();
  goTo(item);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.target.matches('#corrections input[type="text"]')) return keyInLabel(event);
  const isFree = event.target === document.body || event.target.matches(".item, main");
  const acts = isFree || (event.target.closest(".item") && event.key.length === 1 && event.key !== " ");
  if (!acts || !KEYS[event.key] || !document.getElementById("keys").checked) return;
  event.preventDefault();
  KEYS[event.key]();
}

if (form) {
  document.addEventListener("keydown", onKey);
  form.addEventListener("change", countSelected);
  form.addEventListener("submit", (event) => {
    const { name, value } = event.submitter;
    if (name === "delete") return; // a page of its own asks first
    event.preventDefault();
    const isForAll = value === "selected";
    decide(name, isForAll ? selected() : [itemOf(value)], isForAll ? form.elements.label.value : "");
  });
  items()[0].tabIndex = 0;
  items()[0].focus({ preventScroll: true });
  countSelected();
}
