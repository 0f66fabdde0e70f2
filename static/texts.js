// The sentences that scripts show, in the language of the page: its templates have them as JSON in the element #texts.

const texts = JSON.parse(document.querySelector("#texts").textContent);

// A sentence by its key; `values` stand where it has their names in braces.
export const text = (key, values = {}) => texts[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
