// Reads from a photo when and where it was taken (EXIF 2.32), for the lists that a person asks for. It is sent nowhere.

import "./exif-reader/exif-reader.js"; // defines ExifReader

const DATE = /^(?!0000)(\d{4}):(\d\d):(\d\d) (\d\d):(\d\d):(\d\d)$/; // in local time

// { taken, place } of a file's content: "YYYY-MM-DD HH:MM:SS", and { latitude, longitude, uncertainty } in degrees and meters.
// What the file does not say, or says wrongly, is missing.
export function readExif(content) {
  try {
    const { exif = {} } = ExifReader.load(content, { expanded: true });
    return { taken: takenOf(exif), place: placeOf(exif) };
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

function placeOf(tags) {
  const latitude = degrees(tags.GPSLatitude, tags.GPSLatitudeRef, "NS", 90);
  const longitude = degrees(tags.GPSLongitude, tags.GPSLongitudeRef, "EW", 180);
  const isFound = latitude || longitude; // cameras write zeros until they have found satellites
  if (Number.isNaN(latitude + longitude) || !isFound) return undefined;
  const [numerator, denominator] = tags.GPSHPositioningError?.value ?? [];
  const uncertainty = numerator / denominator;
  return { latitude, longitude, uncertainty: uncertainty > 0 && Number.isFinite(uncertainty) ? uncertainty : undefined };
}

// Degrees, minutes and seconds as decimal degrees, negative in the second direction; NaN if they are no place on earth.
function degrees(parts, reference, [positive, negative], limit) {
  const [degree, minute, second] = (parts?.value ?? []).map(([numerator, denominator]) => numerator / denominator);
  const value = degree + minute / 60 + second / 3600; // 0/0 is what is not known
  const direction = reference?.value.join("").trim().toUpperCase();
  if (![positive, negative].includes(direction) || !(value <= limit)) return NaN;
  return direction === negative ? -value : value;
}
