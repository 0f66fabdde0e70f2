// eBird Record Format (Extended): a CSV file without a header. lists/ebird.py says what its rules are; both write the same.

import { countOf, surestOf } from "./checklists.js";

const MAX_SIZE = 1_000_000; // bytes of one file
const PROTOCOL = "Incidental"; // whoever takes photos was not necessarily counting birds
const FILES_NAMED = 3; // at most in a comment
const MAX_NAME = 100; // characters of a file's name in a comment

const NOT_PRINTABLE = /[\p{C}\p{Z}]/gu;
const FORBIDDEN = /["“”„«»,;\s]+/g;
const FORMULA_START = /^[=+\-@＝＋－＠ ]+/; // of a location that a spreadsheet would run

export const hasPlace = ({ place }, location) => Boolean(place || plain(location));

// The texts of the files, of checklists that have a date, and a place or the name of a location. No checklist is split.
export function ebirdFiles(checklists, location) {
  const texts = [];
  for (const checklist of checklists) {
    const text = rowsOf(checklist, location).map((row) => `${row.join(",")}\r\n`).join("");
    const longer = (texts.at(-1) ?? "") + text;
    if (texts.length && new TextEncoder().encode(longer).length <= MAX_SIZE) texts[texts.length - 1] = longer;
    else texts.push(text);
  }
  return texts;
}

function rowsOf({ started, place, sightings }, location) {
  const coordinates = place ? [place.latitude.toFixed(5), place.longitude.toFixed(5)] : ["", ""];
  const where = [plain(location) || coordinates.join(" "), ...coordinates];
  const [year, month, day] = started.slice(0, 10).split("-");
  const when = [`${month}/${day}/${year}`, started.slice(11, 16)];
  const [state, country, duration, distance, area, comments] = Array(6).fill("");
  const [observers, allReported] = ["1", "N"];
  const effort = [state, country, PROTOCOL, observers, duration, allReported, distance, area, comments];
  return sightings.map((sighting) => [...rowStart(sighting), ...where, ...when, ...effort]);
}

// A text without what a cell may not hold, nor what a spreadsheet would take for a formula.
function plain(text) {
  return text.replace(NOT_PRINTABLE, " ").replace(FORBIDDEN, " ").replace(FORMULA_START, "").trimEnd();
}

// The species, the number and the comment.
function rowStart(sighting) {
  const { species, claim } = surestOf(sighting).ebird; // from the server
  return [...species, `${countOf(sighting)}`, `${claim} from ${named(sighting.map(({ photo }) => photo.file))}`];
}

function named(names) {
  const first = names.slice(0, FILES_NAMED).map((name) => [...plain(name)].slice(0, MAX_NAME).join(""));
  const more = names.length - first.length;
  return (more ? [...first, `${more} more`] : first).join(" and ");
}
