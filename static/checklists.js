// Groups records by day and place, as lists/checklists.py does: what was seen on one day at one place is a checklist.
//
// A record is what the server says of a species in a photo that the model is sure of (data-records of a card) and its photo:
// { file, sha256, taken, place }; taken is "YYYY-MM-DD HH:MM:SS", place is { latitude, longitude, uncertainty }.

const SAME_PLACE = 1; // km at most between a checklist's first photo and its others
const EARTH_RADIUS = 6371.0088; // km, the mean radius (IUGG)

// [{ started, place, sightings }], by date; a sighting is [record, …] of one species, one for each photo, the earliest first.
export function checklistsOf(records) {
  const dated = records.filter(({ photo }) => photo.taken).sort(byTime);
  const groups = [];
  for (const record of dated) {
    const group = groups.find(([first]) => isSameDay(first, record) && isSamePlace(first.photo.place, record.photo.place));
    if (group) group.push(record);
    else groups.push([record]);
  }
  const undated = records.filter(({ photo }) => !photo.taken);
  return [...groups, ...grouped(undated, ({ photo }) => photo.sha256 ?? photo)].map(checklistOf);
}

// Two photos may show the same bird, so only those of one photo add up.
export const countOf = (sighting) => Math.max(...sighting.map(({ count }) => count));

export const surestOf = (sighting) => sighting.reduce((best, record) => (record.confidence > best.confidence ? record : best));

// The haversine formula (R. W. Sinnott, Sky and Telescope 68, 1984, p. 159).
function kilometersBetween(one, other) {
  const [south, north] = [radians(one.latitude), radians(other.latitude)];
  const east = radians(other.longitude - one.longitude);
  const square = Math.sin((north - south) / 2) ** 2 + Math.cos(south) * Math.cos(north) * Math.sin(east / 2) ** 2;
  return 2 * EARTH_RADIUS * Math.asin(Math.min(1, Math.sqrt(square)));
}

const radians = (degrees) => (degrees * Math.PI) / 180;

function byTime({ photo: one }, { photo: other }) {
  return compare(one.taken, other.taken) || compare(one.file, other.file);
}

const compare = (one, other) => (one > other) - (one < other);

const isSameDay = (one, other) => one.photo.taken.slice(0, 10) === other.photo.taken.slice(0, 10);

function isSamePlace(one, other) {
  return one && other ? kilometersBetween(one, other) <= SAME_PLACE : one === other;
}

function checklistOf(records) {
  const { taken, place } = records[0].photo;
  return { started: taken, place, sightings: grouped(records, ({ taxon }) => taxon) };
}

function grouped(records, keyOf) {
  const groups = new Map();
  for (const record of records) {
    const key = keyOf(record);
    if (groups.has(key)) groups.get(key).push(record);
    else groups.set(key, [record]);
  }
  return [...groups.values()];
}
