// Reads from a photo when and where it was taken (EXIF 2.32), for the lists that a person asks for. It is sent nowhere.

import "./exif-reader/exif-reader.js"; // defines ExifReader

const DATE = /^(\d{4}):(\d\d):(\d\d) (\d\d):(\d\d):(\d\d)$/; // in local time

// { taken, place }: "YYYY-MM-DD HH:MM:SS", and { latitude, longitude, uncertainty } in degrees and meters. What the file does
// not say, or says wrongly, is missing.
export async function readExif(photo) {
  const content = await photo.arrayBuffer();
  try {
    const { exif = {}, gps = {} } = ExifReader.load(content, { expanded: true });
    return { taken: takenOf(exif), place: placeOf(exif, gps) };
  } catch {
    return {}; // no EXIF data, or damaged ones, for which the library has errors of many kinds
  }
}

function takenOf({ DateTimeOriginal }) {
  const date = DATE.exec(DateTimeOriginal?.value[0].trim());
  if (!date) return undefined;
  const [, year, month, day, hour, minute, second] = date;
  const taken = `${year}-${month}-${day} ${hour}:${minute}:${second}`;
  const time = new Date(`${taken.replace(" ", "T")}Z`); // of a clock that was never set it is invalid, or on another day
  return !Number.isNaN(time.getTime()) && time.toISOString().startsWith(`${year}-${month}-${day}`) ? taken : undefined;
}

function placeOf({ GPSHPositioningError }, { Latitude: latitude, Longitude: longitude }) {
  const isOnEarth = Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180; // false if one is missing, or 0/0
  if (!isOnEarth || (latitude === 0 && longitude === 0)) return undefined; // cameras without a fix write zeros
  const [numerator, denominator] = GPSHPositioningError?.value ?? [];
  const uncertainty = numerator / denominator;
  return { latitude, longitude, uncertainty: uncertainty > 0 && Number.isFinite(uncertainty) ? uncertainty : undefined };
}
