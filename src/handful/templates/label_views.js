"use strict";
// How items, progress and the curve look on the page to label: every text is put in as text, never as markup.
const at = (id) => document.getElementById(id);
const percent = (share) => `${Math.round(100 * share)}%`;
// A text that did not change is not put in again: a screen reader would say it again.
const put = (name, text) => { if (at(name).textContent !== text) at(name).textContent = text; };
const NOUN = { text: "text", image: "picture", sound: "sound" };

function made(tag, text, attributes = {}) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

const contentOf = (item) => `/items/${item.item}/content`;

// Pictures of a few pixels are enlarged as they are: smoothed, nobody could tell what they show.
const TINY = 64;

function imageOf(item, small) {
  const image = made("img", undefined, { alt: item.name || "the picture", ...(small ? { loading: "lazy" } : {}) });
  image.addEventListener("load", () => image.classList.toggle("tiny", image.naturalWidth < TINY));
  image.src = contentOf(item);
  return image;
}

function mediaOf(item, small) {
  if (item.kind === "image") return [imageOf(item, small)];
  if (item.kind === "sound") return [made("audio", undefined, { src: contentOf(item), controls: "", preload: small ? "none" : "auto", "aria-label": item.name || "the sound" })];
  const parts = [item.text, item.second].filter((part) => part !== null && part !== undefined);
  return parts.map((part) => made(small ? "span" : "p", part, small ? { class: "words" } : { dir: "auto" }));
}

function showItem(item, done, total) {
  at("what").textContent = item.name ? `${item.name}` : `${NOUN[item.kind][0].toUpperCase()}${NOUN[item.kind].slice(1)} ${done + 1} of ${total}`;
  if (item.words) { spansOf(item); at("seen").replaceChildren(drawSpans()); } else at("seen").replaceChildren(...mediaOf(item, false));
  at("seen").classList.remove("fresh");
  void at("seen").offsetWidth;
  at("seen").classList.add("fresh");
  const toldOf = (label) => item.words ? tellSpans(item, label) : label;
  const before = item.before ? ` You said: ${item.before.label === null ? item.before.act : toldOf(item.before.label)}.` : "";
  at("why").textContent = `${item.why || ""}${before}`;
  at("guess").replaceChildren();
  // Before an item of the control nothing is said that could sway; a doubt between two names says the guess already.
  if (item.words) {
    if (spans.marks.length && !item.before && !item.label && !savedMarks.has(item.item)) at("guess").textContent = "The marks are the model's: correct them, then save.";
  } else if (item.guess && !["control", "informative"].includes(item.how)) {
    at("guess").append("The model would say ", made("b", item.guess.label), ` (${percent(item.guess.confidence)} sure).`);
  }
}

function showTiles(title, said, items) {
  at("many-title").textContent = title;
  at("many-said").textContent = said;
  at("tiles").classList.toggle("texts", items.some((item) => item.words));
  at("tiles").replaceChildren(...items.map((item) => {
    const row = made("li"), label = made(item.words ? "div" : "label"), box = made("input", undefined, { type: "checkbox", value: item.item });
    box.checked = item.how === "alike";
    const toldOf = (said) => item.words ? tellSpans(item, said) : said;
    const tell = [item.label ? `labelled ${toldOf(item.label)}` : "", item.wrong !== undefined ? `${percent(item.wrong)} likely wrong` : "",
      item.guess && item.how !== "alike" ? `the model: ${toldOf(item.guess.label)}` : "", item.kind === "text" ? "" : item.name].filter(Boolean).join(", ");
    label.append(...(item.words ? [] : [box]), ...mediaOf(item, true), made("span", tell, { class: "tell" }));
    row.append(label);
    if (item.words) {
      const open = made("button", "Mark it", { type: "button", class: "plain" });
      open.addEventListener("click", () => openOne(item));
      label.append(open);
    }
    return row;
  }));
}

function figure(name, value, small) {
  const box = made("div"), told = made("dd", value);
  if (small) told.append(made("small", small));
  box.append(made("dt", name), told);
  return box;
}

function showProgress(state) {
  const counts = state.counts, progress = state.progress;
  put("advice", progress ? progress.advice : "The model begins when it has seen some items and labels.");
  const passed = [counts.skipped ? `${counts.skipped} skipped` : "", counts.unsure ? `${counts.unsure} not sure` : "",
    counts.repeated ? `${counts.repeated} repeated` : "", counts.unreadable ? `${counts.unreadable} unreadable` : ""].filter(Boolean).join(", ");
  const figures = [figure("Labelled", String(counts.labelled), `of ${counts.items}${passed ? `; ${passed}` : ""}`)];
  if (progress && progress.estimate) {
    figures.push(figure(progress.estimate.scale, progress.estimate.told, `${progress.estimate.between}, on ${progress.checked} items drawn by chance`));
  }
  if (progress && progress.over_random) figures.push(figure("More than by chance", progress.over_random, "by as many labels"));
  if (state.looked < counts.items) figures.push(figure("Looked at", String(state.looked), `of ${counts.items}; items can be labelled meanwhile`));
  at("figures").replaceChildren(...figures);
  showCurve(progress ? progress.curve : [], progress && progress.estimate);
  put("agreement", state.agreement.map((one) =>
    `${one.people.map((name) => name || "nobody named").join(" and ")} agree on ${percent(one.share.value)} of ${one.n} items (${percent(one.share.low)} to ${percent(one.share.high)})`
    + (one.kappa === null ? "." : `; Cohen's kappa ${one.kappa.toFixed(2)}.`)).join(" "));
}

function drawn(tag, attributes, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

function showCurve(points, estimate) {
  if (!points || points.length < 2 || !estimate) return at("curve").replaceChildren();
  const W = 340, H = 150, L = 40, B = 24, most = points[points.length - 1].labels;
  const ends = points.flatMap((point) => [point.low, point.high]), low = estimate.percent ? 0 : Math.min(...ends), high = estimate.percent ? 1 : Math.max(...ends);
  const x = (labels) => L + (W - L - 8) * labels / most, y = (score) => 8 + (H - B - 8) * (1 - (score - low) / (high - low || 1));
  const line = points.map((point) => `${x(point.labels)},${y(point.value)}`).join(" ");
  const band = [...points.map((point) => `${x(point.labels)},${y(point.high)}`), ...points.slice().reverse().map((point) => `${x(point.labels)},${y(point.low)}`)].join(" ");
  const told = (value) => estimate.percent ? percent(value) : value.toPrecision(2);
  const last = points[points.length - 1];
  const svg = drawn("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `Learning curve: ${points.map((p) => `${p.labels} labels ${told(p.value)}`).join(", ")}` });
  svg.append(drawn("line", { class: "axis", x1: L, y1: H - B, x2: W - 8, y2: H - B }), drawn("polygon", { class: "band", points: band }), drawn("polyline", { class: "line", points: line }),
    drawn("text", { x: L - 6, y: y(high) + 9, "text-anchor": "end" }, told(high)), drawn("text", { x: L - 6, y: H - B, "text-anchor": "end" }, told(low)),
    drawn("text", { x: W - 8, y: H - 7, "text-anchor": "end" }, `${last.labels} labels`));
  at("curve").replaceChildren(svg);
}
