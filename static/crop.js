// On the photo of a card, a person marks the part that shows the bird, with a finger, the mouse or the keyboard.

import { asText, clamp, drag, inWords, MIDDLE, moved, parsed, resized } from "./regions.js";

const STEP = 0.02; // of the photo, for each press of an arrow key
const JITTER = 5; // CSS pixels that a finger moves without meaning to
const ARROWS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };

const template = document.querySelector("#cropping");
const least = Number(template.dataset.least); // width and height of a region
let count = 0; // of cards, for unique IDs

class Crop {
  constructor(card, photo, look) {
    Object.assign(this, { card, photo, look });
    this.image = card.querySelector(".photo");
    const parts = template.content.cloneNode(true);
    for (const name of ["stage", "selection", "controls", "where", "choose", "whole", "state"])
      this[name] = parts.querySelector(`.${name}`);
    const help = parts.querySelector(".help");
    help.id = `crop-help-${++count}`;
    this.selection.setAttribute("aria-describedby", help.id);
    this.choose.addEventListener("click", () => this.start());
    this.whole.addEventListener("click", () => this.ask("", this.whole));
    parts.querySelector(".ask").addEventListener("click", () => this.askForRegion());
    parts.querySelector(".leave").addEventListener("click", () => this.leave());
    card.addEventListener("keydown", (event) => event.key === "Escape" && this.leave());
    this.selection.addEventListener("keydown", (event) => this.press(event));
    this.stage.addEventListener("pointerdown", (event) => this.take(event));
    // The rectangle stays focused, and after a quick stroke, which a browser takes for a fling, the next tap counts.
    for (const type of ["mousedown", "touchstart"]) this.stage.addEventListener(type, (event) => event.preventDefault());
    this.image.after(this.stage);
    card.querySelector(".said").append(this.controls); // behind the answer, and out of its way
  }

  start() {
    const { region } = this.card.querySelector(".answer").dataset;
    this.place(region ? parsed(region) : MIDDLE);
    this.card.classList.add("cropping");
    this.card.querySelector(".thumbnail").after(this.controls);
    this.card.scrollIntoView({ block: "start" });
    this.selection.focus({ preventScroll: true });
  }

  leave() {
    if (!this.card.matches(".cropping:not(.looking)")) return;
    this.card.classList.remove("cropping");
    this.card.querySelector(".said").append(this.controls);
    this.say("");
    this.choose.focus();
  }

  place(region) {
    this.region = region;
    const { x, y, width, height } = region;
    for (const [side, share] of Object.entries({ left: x, top: y, width, height }))
      this.selection.style[side] = `${100 * share}%`;
    this.where.textContent = inWords(region);
  }

  press(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const arrow = ARROWS[event.key];
    if (event.key === "Enter") this.askForRegion();
    else if (arrow) this.place((event.shiftKey ? resized : moved)(this.region, ...arrow, least));
    else return;
    event.preventDefault(); // the page would scroll
  }

  take(down) {
    if (down.button || !down.isPrimary) return;
    const regionAt = drag(this.region, this.pointOf(down), [this.stage.clientWidth, this.stage.clientHeight], least);
    let isDragged = false;
    const follow = (event) => {
      isDragged ||= Math.hypot(event.clientX - down.clientX, event.clientY - down.clientY) > JITTER;
      if (isDragged) this.place(regionAt(this.pointOf(event)));
    };
    const release = () => this.stage.removeEventListener("pointermove", follow);
    this.stage.setPointerCapture(down.pointerId);
    this.stage.addEventListener("pointermove", follow);
    this.stage.addEventListener("lostpointercapture", release, { once: true });
  }

  pointOf({ clientX, clientY }) {
    const { left, top, width, height } = this.stage.getBoundingClientRect();
    return [clamp((clientX - left) / width, 0, 1), clamp((clientY - top) / height, 0, 1)];
  }

  askForRegion() {
    this.ask(asText(this.region), this.selection);
  }

  async ask(part, focusedAfterError) {
    this.say("");
    this.card.classList.add("looking");
    this.card.focus(); // the buttons go
    try {
      await this.look(part);
    } catch (error) {
      this.card.classList.remove("looking");
      this.say(error.message);
      focusedAfterError.focus();
    }
  }

  say(sentence) {
    this.state.textContent = sentence;
    this.state.classList.toggle("message", sentence !== "");
  }
}

// Offers it on a card. look("x,y,width,height") shows the answer about that part in place of the card, look("") the one about
// the whole photo; an error that it throws has a sentence for people, and the card then stays as it is.
export function offerCrop(card, photo, isPart, look) {
  if (!card.querySelector(".photo")) return;
  new Crop(card, photo, look).whole.hidden = !isPart;
  card.classList.add("choosable");
}
