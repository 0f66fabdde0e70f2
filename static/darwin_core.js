// Darwin Core: a CSV file of occurrences, with a header of terms. lists/darwin_core.py explains it, and writes the same.

import { countOf, surestOf } from "./checklists.js";
import { defused, quoted } from "./csv.js";

const NAMESPACE = "9b423b03a2b94f80886e5ea815df91af"; // of occurrence IDs, as in darwin_core.py

export const hasScientificName = (sighting) => Boolean(surestOf(sighting).darwin_core);

// The text of the file, of sightings that have a scientific name. `today` is "YYYY-MM-DD".
export async function darwinCore(checklists, terms, today, locality) {
  const lines = [terms];
  for (const checklist of checklists)
    for (const sighting of checklist.sightings.filter(hasScientificName)) {
      const cells = {
        ...event(checklist, locality),
        ...(await occurrence(sighting)),
        ...surestOf(sighting).darwin_core, // from the server
        dateIdentified: today,
      };
      lines.push(terms.map((term) => quoted(cells[term] ?? "")));
    }
  return lines.map((line) => `${line.join(",")}\r\n`).join("");
}

function event({ started, place }, locality) {
  const coordinates = place ? [place.latitude.toFixed(5), place.longitude.toFixed(5)] : [];
  const day = started?.slice(0, 10);
  return {
    locality: defused(locality),
    ...(day && { eventDate: day, eventID: [day, ...coordinates].join(":") }),
    ...(place && { decimalLatitude: coordinates[0], decimalLongitude: coordinates[1], geodeticDatum: "EPSG:4326" }),
    ...(place?.uncertainty && { coordinateUncertaintyInMeters: `${Math.ceil(place.uncertainty)}` }),
  };
}

async function occurrence(sighting) {
  const [{ photo, taxon }] = sighting;
  return {
    occurrenceID: photo.sha256 ? await uuid5(`${photo.sha256}:${taxon}`) : uuid4(),
    basisOfRecord: "HumanObservation", // a person took the photo
    occurrenceStatus: "present",
    individualCount: `${countOf(sighting)}`,
    eventTime: photo.taken?.slice(11),
    associatedMedia: defused(sighting.map((record) => record.photo.file).join(" | ")),
  };
}

// RFC 9562, sections 5.5 and 5.4: the same for the same name, and a random one.
async function uuid5(name) {
  const namespace = NAMESPACE.match(/../g).map((byte) => parseInt(byte, 16));
  const content = Uint8Array.of(...namespace, ...new TextEncoder().encode(name));
  return uuid(new Uint8Array(await crypto.subtle.digest("SHA-1", content)), 5);
}

const uuid4 = () => uuid(crypto.getRandomValues(new Uint8Array(16)), 4);

function uuid(bytes, version) {
  bytes[6] = (bytes[6] & 0x0f) | (version << 4);
  bytes[8] = (bytes[8] & 0x3f) | 0x80; // the variant
  const digits = [...bytes.slice(0, 16)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
