// Saves the birds on the page as lists for birders' programs. The browser writes them: nothing is sent for them, least of all
// where a photo was taken. The sentences are in lists.html.

import { checklistsOf } from "./checklists.js";
import { darwinCore, hasScientificName } from "./darwin_core.js";
import { ebirdFiles, hasPlace } from "./ebird.js";
import { readExif } from "./exif.js";

const NAMELESS = "photo"; // an answer that was opened by its link does not say what its file is called
const WRITERS = { ebird: writeEbird, darwin_core: writeDarwinCore };

const cards = document.querySelector("#cards");
const panel = document.querySelector("#lists");
const status = panel.querySelector("[role=status]");

// Saves the list of a format, "ebird" or "darwin_core", and says what is left out.
export async function save(format) {
  const withPlace = panel.querySelector("[name=place]").checked;
  const location = panel.querySelector("[name=location]").value.trim();
  const records = await recordsOnPage(withPlace);
  const { files, listed, leftOut } = await WRITERS[format](checklistsOf(records), location);
  files.forEach(download);
  const nowhere = withPlace ? photosOf(records.filter(({ photo }) => !photo.place)) : 0;
  const unsure = cards.querySelectorAll(".answer").length - records.reduce((sum, { count }) => sum + count, 0);
  const facts = { listed, none: Number(!listed), ...leftOut, nowhere, unsure };
  const said = Object.entries(facts).filter(([, number]) => number);
  status.textContent = said.map(([name, number]) => status.dataset[name].replace("{count}", number)).join("\n");
}

async function recordsOnPage(withPlace) {
  const records = [];
  for (const card of cards.querySelectorAll("[data-records]")) {
    const photo = await photoOf(card, withPlace); // one after the other, because photos are large
    records.push(...JSON.parse(card.dataset.records).map((record) => ({ ...record, photo })));
  }
  return records;
}

async function photoOf(card, withPlace) {
  const file = card.querySelector(".name")?.textContent ?? NAMELESS;
  const photo = { file, taken: card.dataset.taken };
  if (!card.original) return photo; // the page was opened with the answer
  const content = await card.original.arrayBuffer();
  const { taken = photo.taken, place } = readExif(content);
  return { file, taken, place: withPlace ? place : undefined, sha256: await sha256(content) };
}

// In hexadecimal digits; nothing over plain HTTP, where browsers do not compute it.
async function sha256(content) {
  const digest = await crypto.subtle?.digest("SHA-256", content);
  return digest && [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function writeEbird(checklists, location) {
  const dated = checklists.filter(({ started }) => started);
  const complete = dated.filter((checklist) => hasPlace(checklist, location));
  const texts = ebirdFiles(complete, location);
  const files = texts.map((text, index) => ({ name: index ? `ebird-${index + 1}.csv` : "ebird.csv", text }));
  const [all, withDate, withBoth] = [checklists, dated, complete].map((lists) => photosOf(sightingsOf(lists).flat()));
  const leftOut = { undated: all - withDate, placeless: withDate - withBoth };
  return { files, listed: sightingsOf(complete).length, leftOut };
}

async function writeDarwinCore(checklists, locality) {
  const sightings = sightingsOf(checklists);
  const listed = sightings.filter(hasScientificName).length;
  const text = await darwinCore(checklists, panel.dataset.terms.split(","), today(), locality);
  const files = listed ? [{ name: "darwin-core.csv", text }] : [];
  return { files, listed, leftOut: { nameless: sightings.length - listed } };
}

const sightingsOf = (checklists) => checklists.flatMap(({ sightings }) => sightings);

const photosOf = (records) => new Set(records.map(({ photo }) => photo)).size;

function today() {
  const now = new Date();
  const [month, day] = [now.getMonth() + 1, now.getDate()].map((number) => `${number}`.padStart(2, "0"));
  return `${now.getFullYear()}-${month}-${day}`;
}

function download({ name, text }) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // milliseconds; a browser may first ask where to save it
}
