"use strict";
// Answers to parts of an item, drawn on it: marked words, events along a recording, heat, masks and boxes on a picture.
// Colours that the colour-blind can tell apart (Okabe & Ito 2008).
const APART = ["#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"];
const MOST_DRAWN = 1024, LISTED = 200;
const colourOf = (model, label) => APART[Math.max(0, model.labels.indexOf(label)) % APART.length];
const sureOf = (share) => `${Math.round(100 * share)} % sure`;
const several = (count, one, many) => `${count} ${count === 1 ? one : many}`;
const onlySure = (row) => row.confidence === undefined ? "" : `${sureOf(row.confidence)} on the whole`;

// A training row holds where its parts are; which ones it has is told of it.
const called = (label) => [...new Set(JSON.parse(label).map((one) => one[2]))].join(", ") || "nothing marked";

const PARTS = {
  tagging: { noun: "spans", called, headline: (row) => several(row.answer.length, "span", "spans"), sure: onlySure, view: markedText },
  events: { noun: "events", called, headline: (row) => several(row.answer.length, "event", "events"), sure: onlySure, view: eventTrack },
  defects: {
    noun: "defects", asks: true, headline: (row) => row.answer,
    sure: (row) => `scores ${row.score.toFixed(2)}, ${row.alarm ? "above" : "not above"} ${row.threshold.toFixed(2)}, from where on there is an alarm`,
    view: heatView,
  },
  masks: { noun: "areas", asks: true, headline: (row) => row.answer, sure: onlySure, view: maskView },
  boxes: {
    noun: "boxes", headline: (row) => several(row.count, "thing", "things"),
    sure: (row) => Object.entries(row.counts).map(([name, count]) => `${count} ${name}`).join(", "), view: boxView,
  },
};

function element(name, text, kind) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function swatch(colour) {
  const made = element("span", "", "swatch");
  made.style.backgroundColor = colour;
  return made;
}

function legend(entries) {
  const list = element("ul", undefined, "legend");
  for (const [colour, text] of entries) {
    const item = element("li");
    item.append(swatch(colour), text);
    list.append(item);
  }
  return list;
}

// Offsets count characters, of which JavaScript takes some for two.
function markedText(row, model) {
  const letters = Array.from(at("first").value), text = element("p", undefined, "marked");
  let from = 0;
  for (const span of row.answer) {
    text.append(letters.slice(from, span.start).join(""));
    const mark = element("mark", letters.slice(span.start, span.end).join(""));
    mark.style.borderBottomColor = colourOf(model, span.label);
    mark.append(element("small", ` ${span.label}, ${sureOf(span.confidence)}`));
    text.append(mark);
    from = span.end;
  }
  text.append(letters.slice(from).join(""));
  return [text];
}

function eventTrack(row, model, sound) {
  const track = element("div", undefined, "track"), list = element("ul", undefined, "found");
  const last = row.answer.reduce((most, one) => Math.max(most, one.end), 0);
  const whole = Math.max(last, sound && Number.isFinite(sound.duration) ? sound.duration : 0) || 1;
  for (const label of model.labels) {
    const own = row.answer.filter((one) => one.label === label);
    if (!own.length) continue;
    const lane = element("div", undefined, "lane"), along = element("div", undefined, "along");
    for (const one of own) {
      const bar = element("span", "", "bar");
      bar.style.left = `${100 * one.start / whole}%`;
      bar.style.width = `${Math.max(0.5, 100 * (one.end - one.start) / whole)}%`;
      bar.style.backgroundColor = colourOf(model, label);
      along.append(bar);
    }
    lane.append(element("span", label), along);
    track.append(lane);
  }
  track.setAttribute("aria-hidden", "true");  // the list says the same
  for (const one of row.answer.slice(0, LISTED)) {
    const item = element("li"), hear = element("button", "Hear it");
    hear.type = "button";
    hear.setAttribute("aria-label", `Hear ${one.label} from second ${one.start}`);
    hear.addEventListener("click", () => { sound.currentTime = one.start; sound.play(); });
    item.append(swatch(colourOf(model, one.label)), element("span", `${one.start} to ${one.end} s: ${one.label}, ${sureOf(one.confidence)}`));
    if (sound) item.append(hear);
    list.append(item);
  }
  if (sound && !Number.isFinite(sound.duration))  // it is known once the file was looked at
    sound.addEventListener("loadedmetadata", () => at("view").replaceChildren(...eventTrack(row, model, sound)), { once: true });
  return row.answer.length ? [track, list] : [];
}

// The picture that was dropped becomes a stage, and what is drawn lies on it.
function stage(picture, width, height, over) {
  const made = element("div", undefined, "stage");
  made.style.width = `min(100%, 34rem, calc(75vh * ${width} / ${height}))`;
  made.style.aspectRatio = `${width} / ${height}`;
  const below = picture.cloneNode();
  below.addEventListener("error", () => { below.hidden = true; });  // kinds that browsers do not show
  made.append(below, over);
  return made;
}

function alone(over) {
  const label = element("label", undefined, "check"), box = element("input");
  box.type = "checkbox";
  box.addEventListener("change", () => { over.style.visibility = box.checked ? "hidden" : ""; });
  label.append(box, " show the picture alone");
  return label;
}

function saved(row, name, text) {
  const bytes = Uint8Array.from(atob(row.drawn), (letter) => letter.charCodeAt(0)), link = element("a", text, "save");
  link.href = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
  link.download = name;
  return link;
}

function hidePlain() { at("seen").replaceChildren(); }

function heatView(row, model, picture) {
  const places = row.parts || [];
  if (!row.drawn) {
    const list = element("ul", undefined, "found");
    list.append(...places.map((one) => element("li", `${one.place[0].toFixed(2)} to ${one.place[1].toFixed(2)} s: ${one.times.toFixed(1)} times as far as usual`)));
    return places.length ? [element("h2", "Most unusual places"), list] : [];
  }
  const over = element("img"), box = element("div");
  over.alt = `heat map: ${several(places.length, "place", "places")} told, the worst ${places.length ? places[0].times.toFixed(1) : 0} times as far as usual`;
  over.src = `data:image/png;base64,${row.drawn}`;
  over.addEventListener("load", () => {
    box.replaceChildren(stage(picture, over.naturalWidth, over.naturalHeight, over));
    hidePlain();
  });
  const note = element("p", "Yellow is as unusual as the worst place of any normal item, red is more. Where nothing is coloured, all of it looks usual.", "hint");
  return [box, note, alone(over), saved(row, "heat.png", "Save the heat map")];
}

// Classes are coloured here, since a mask has the grey levels or colours that it was learned from.
function maskView(row, model, picture) {
  const over = element("canvas"), mask = new Image(), off = new Set();
  const names = Object.keys(row.shares), common = names.reduce((best, name) => row.shares[name] > row.shares[best] ? name : best);
  const scale = Math.min(1, MOST_DRAWN / Math.max(row.width, row.height));
  over.width = Math.max(1, Math.round(row.width * scale));
  over.height = Math.max(1, Math.round(row.height * scale));
  over.setAttribute("role", "img");
  over.setAttribute("aria-label", `mask: ${row.answer}`);
  off.add(common);
  const paint = () => {
    const context = over.getContext("2d", { willReadFrequently: true });
    context.imageSmoothingEnabled = false;
    context.clearRect(0, 0, over.width, over.height);
    context.drawImage(mask, 0, 0, over.width, over.height);
    const pixels = context.getImageData(0, 0, over.width, over.height), own = new Map();
    for (const name of names) {
      const code = model.colours[name], colour = colourOf(model, name).slice(1).match(/../g).map((part) => parseInt(part, 16));
      own.set((code[0] << 16) | (code[1] << 8) | code[2], off.has(name) ? [0, 0, 0, 0] : [...colour, 160]);
    }
    for (let i = 0; i < pixels.data.length; i += 4) {
      const colour = own.get((pixels.data[i] << 16) | (pixels.data[i + 1] << 8) | pixels.data[i + 2]);
      if (colour) pixels.data.set(colour, i);
    }
    context.putImageData(pixels, 0, 0);
  };
  mask.addEventListener("load", paint);
  mask.src = `data:image/png;base64,${row.drawn}`;
  const list = element("ul", undefined, "legend");
  for (const name of names) {
    const item = element("li"), label = element("label"), box = element("input");
    box.type = "checkbox";
    box.checked = !off.has(name);
    box.addEventListener("change", () => { if (box.checked) off.delete(name); else off.add(name); paint(); });
    label.append(box, swatch(colourOf(model, name)), `${name}: ${(100 * row.shares[name]).toFixed(1)} %`);
    item.append(label);
    list.append(item);
  }
  const made = stage(picture, row.width, row.height, over);
  hidePlain();
  return [made, list, saved(row, "mask.png", "Save the mask")];
}

function boxView(row, model, picture) {
  const space = "http://www.w3.org/2000/svg", over = document.createElementNS(space, "svg");
  over.setAttribute("viewBox", `0 0 ${row.width} ${row.height}`);
  over.setAttribute("role", "img");
  over.setAttribute("aria-label", `boxes around ${several(row.count, "thing", "things")}`);
  const list = element("ul", undefined, "found");
  for (const one of row.answer) {
    const frame = document.createElementNS(space, "rect"), title = document.createElementNS(space, "title");
    for (const [name, value] of [["x", one.left], ["y", one.top], ["width", one.width], ["height", one.height]]) frame.setAttribute(name, value);
    frame.style.stroke = colourOf(model, one.label);
    const said = `${one.label} at ${one.left}, ${one.top}: ${one.width} × ${one.height} pixels, ${sureOf(one.confidence)}`;
    title.textContent = said;
    frame.append(title);
    over.append(frame);
    if (list.childElementCount < LISTED) list.append(element("li", said));
  }
  const made = stage(picture, row.width, row.height, over), all = element("details");
  all.append(element("summary", "All boxes, the surest first"), list);
  if (row.count > LISTED) all.append(element("p", `and ${row.count - LISTED} more`, "hint"));
  hidePlain();
  return [made, legend(model.labels.map((name) => [colourOf(model, name), `${name}: ${row.counts[name]}`])), alone(over), ...(row.count ? [all] : [])];
}
