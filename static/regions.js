// Parts of a photo: { x, y, width, height }, in shares of its width and height, as inference/regions.py has them. A point is
// [x, y], in the same shares.

import { text } from "./texts.js";

const REACH = 22; // CSS pixels from a corner within which a pointer takes hold of it; a finger is no more precise

export const MIDDLE = { x: 0.25, y: 0.25, width: 0.5, height: 0.5 };

export const clamp = (number, low, high) => Math.min(Math.max(number, low), high);

export function parsed(text) {
  const [x, y, width, height] = text.split(",").map(Number);
  return { x, y, width, height };
}

export const asText = ({ x, y, width, height }) => [x, y, width, height].map((share) => share.toFixed(4)).join();

export function inWords({ x, y, width, height }) {
  const [left, right, top, bottom] = [x, x + width, y, y + height].map((share) => Math.round(100 * share));
  return text("region", { left, right, top, bottom });
}

export const moved = (region, byX, byY) => ({
  ...region,
  x: clamp(region.x + byX, 0, 1 - region.width),
  y: clamp(region.y + byY, 0, 1 - region.height),
});

// With another right and lower edge. No region is narrower or lower than `least`.
export const resized = (region, byX, byY, least) => ({
  ...region,
  width: clamp(region.width + byX, Math.min(least, 1 - region.x), 1 - region.x),
  height: clamp(region.height + byY, Math.min(least, 1 - region.y), 1 - region.y),
});

// The region between two opposite corners.
function between([x1, y1], [x2, y2], least) {
  const width = Math.max(Math.abs(x1 - x2), least);
  const height = Math.max(Math.abs(y1 - y2), least);
  return { x: Math.min(x1, x2, 1 - width), y: Math.min(y1, y2, 1 - height), width, height };
}

const corners = ({ x, y, width, height }) => [[x, y], [x + width, y], [x, y + height], [x + width, y + height]];

// What becomes of a region when a pointer goes down at a point, as a function of the point to which it goes: one corner follows
// it, or the region moves, or a new one begins. `size` is the photo's, in CSS pixels.
export function drag(region, [x, y], size, least) {
  const isInside = x > region.x && x < region.x + region.width && y > region.y && y < region.y + region.height;
  // The middle of a small region can be taken hold of, too.
  const reach = isInside ? Math.min(REACH, (region.width * size[0]) / 3, (region.height * size[1]) / 3) : REACH;
  const distances = corners(region).map((corner) => Math.hypot((corner[0] - x) * size[0], (corner[1] - y) * size[1]));
  const nearest = distances.indexOf(Math.min(...distances));
  if (distances[nearest] <= reach) return (to) => between(corners(region)[3 - nearest], to, least);
  if (isInside) return (to) => moved(region, to[0] - x, to[1] - y);
  return (to) => between([x, y], to, least);
}
