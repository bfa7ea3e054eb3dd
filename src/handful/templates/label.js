"use strict";
// The page to label: one key per answer; what is pressed is sent at once, again where the server was away, and kept once.
const AHEAD = 4, ALIKE = 12, RETRY = 1500, LOOK = 1500;
const KEYS = [..."123456789abcefghijklopqrtvwxy"];  // d, m, n, s, u and z do something else
let state = null, queue = [], current = null, chosen = new Set(), many = null, sending = Promise.resolve(), waiting = 0, answered = new Set();

const id = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const person = () => at("person").value.trim();
const query = (more) => new URLSearchParams({ person: person(), ...more }).toString();

function say(text, wrong = false) {
  at("said").textContent = text;
  at("said").classList.toggle("wrong", wrong);
}

async function ask(path, body) {
  const request = body === undefined ? {} : body instanceof FormData ? { method: "POST", body }
    : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(path, request), told = await response.json();
  if (!response.ok) throw Object.assign(new Error(told.error ? told.error.message : response.statusText), { status: response.status });
  return told;
}

// What is sent waits for what was sent before; while the server is away it is sent again, under the same id.
function send(path, body) {
  waiting += 1;
  sending = sending.catch(() => null).then(async () => {
    for (;;) {
      try {
        return await ask(path, body);
      } catch (error) {
        if (error.status !== undefined && error.status !== 503) throw error;
        say("The server does not answer. Your answer is sent again until it does; leave this page open.", true);
        await new Promise((done) => setTimeout(done, RETRY));
      }
    }
  }).finally(() => { waiting -= 1; });
  return sending;
}

async function refresh() {
  try {
    const fresh = await ask(`/state?${query({})}`);
    const before = state;
    state = fresh;
    showState(before);
    await model();
  } catch (error) {
    if (error.status !== undefined) problem(error.message);
    else problem("The server does not answer. Is it still running? Start it again with the same command.");
  }
}

function problem(text) {
  at("problem").hidden = !text;
  put("problem", text);
}

function showState(before) {
  problem(state.problem);
  document.title = `${state.counts.labelled} labelled – handful`;
  at("about").textContent = `label ${state.source}`;
  at("source").textContent = state.notes.join(" ");
  const fewest = state.asks === "spans" ? 1 : 2;
  at("first-class").hidden = state.asks === "number" || state.classes.length >= fewest;
  at("first-class").querySelector("h1").textContent = state.asks === "spans" ? "What do you want to mark?" : "What do you want to tell apart?";
  at("first-class").querySelector("p").textContent = state.asks === "spans" ? "Name what is to be marked, such as person or place. More can be added at any time."
    : "Name at least two classes, one after the other. More can be added at any time.";
  at("typed").hidden = state.asks !== "number";
  at("acts").querySelector('[data-act="save"]').hidden = !["several", "spans"].includes(state.asks);
  at("acts").querySelector('[data-act="unmark"]').hidden = state.asks !== "spans";
  at("acts").querySelector('[data-act="new"]').hidden = state.asks === "number";
  at("file").accept = { image: "image/*", sound: "audio/*", text: ".txt,.csv,.tsv,.jsonl" }[state.kind];
  if (!before && state.asks !== "number" && state.classes.length < fewest) openNew();
  showClasses();
  showProgress(state);
}

function showClasses() {
  if (!state) return;
  const guess = current && current.guess && current.how !== "control" && !current.words ? current.guess.label.split("|") : [];
  const several = state.asks === "several", had = document.activeElement && document.activeElement.dataset.name;
  at("classes").replaceChildren(...(state.asks === "number" ? [] : state.classes).map((one, index) => {
    const button = made("button", undefined, { type: "button", "data-name": one.name });
    if (KEYS[index]) button.append(made("kbd", KEYS[index]));
    button.append(made("span", one.name), made("span", String(one.count), { class: "count", "aria-label": `${one.count} labelled` }));
    if (several) button.setAttribute("aria-pressed", chosen.has(one.name));
    button.classList.toggle("guessed", guess.includes(one.name));
    button.addEventListener("click", () => choose(one.name));
    return button;
  }));
  if (had !== undefined) [...at("classes").children].find((button) => button.dataset.name === had)?.focus();
}

async function fill() {
  const told = await ask(`/next?${query({ count: AHEAD })}`);
  const there = new Set([current && current.item, ...queue.map((item) => item.item)]);
  for (const item of told.items) if (!there.has(item.item) && !answered.has(item.item)) queue.push(item);
  for (const item of queue) if (item.kind === "image") new Image().src = contentOf(item);
}

async function next() {
  current = null;
  chosen = new Set();
  for (let tried = 0; !queue.length && tried < 2; tried += 1) {
    if (tried) await sending.catch(() => null);  // what was just answered may have been offered again
    await fill().catch((error) => say(error.message, true));
  }
  current = queue.shift() || null;
  if (current) showItem(current, state ? state.counts.labelled : 0, state ? state.counts.items : 0);
  else {
    at("what").textContent = "Nothing is left to label.";
    at("seen").replaceChildren(made("p", "All items have an answer. Make the model, or take a second look."));
    at("why").textContent = "";
    at("guess").replaceChildren();
  }
  showClasses();
}

// Several items at once where some are ticked, else the one that is shown.
async function give(act, label = null) {
  const ticked = many ? [...at("tiles").querySelectorAll("input:checked")].map((box) => box.value) : [];
  const items = many ? many.items.filter((item) => ticked.includes(item.item)) : current ? [current] : [];
  if (!items.length) return say(many ? (state.asks === "spans" ? "Choose a text first." : "Tick the items first.") : "There is nothing to answer.", true);
  const answers = items.map((item) => ({ id: id(), item: item.item, act, label, asked: item.how }));
  const whole = many;
  if (items[0].words && label !== null) savedMarks.set(items[0].item, label);
  for (const item of items) answered.add(item.item);
  if (whole) await closeMany(false); else next();
  try {
    await send("/answers", { person: person(), answers });
    const single = items[0].words && label !== null ? tellSpans(items[0], label) : label;
    say(answers.length > 1 ? `${answers.length} items: ${label ?? act}.` : `${single ?? { skip: "Skipped", unsure: "Not sure" }[act]} – saved.`);
  } catch (error) {
    for (const item of items) answered.delete(item.item);
    say(`Not saved: ${error.message}`, true);
    if (!whole) { if (current) queue.unshift(current); current = items[0]; showItem(current, state.counts.labelled, state.counts.items); }
    return;
  }
  if (whole && current && answered.has(current.item)) next();
  if (!waiting) { fill().catch(() => null); refresh(); }
}

function choose(name) {
  if (state.asks === "spans") return many ? say("Marks are made one text at a time: choose one.", true) : current && markWords(name);
  if (state.asks !== "several") return give("label", name);
  if (!chosen.delete(name)) chosen.add(name);
  showClasses();
}

const save = () => state.asks === "spans" ? give("label", spansLabel()) : give("label", state.classes.map((one) => one.name).filter((name) => chosen.has(name)).join("|") || "(none)");

async function undo() {
  try {
    const told = await send("/undo", { id: id(), person: person() });
    if (!told.item) return say("There is nothing to take back.");
    answered.delete(told.item.item);
    if (current) queue.unshift(current);
    queue = queue.filter((item) => item.item !== told.item.item);
    current = told.item;
    chosen = new Set();
    showItem(current, state.counts.labelled, state.counts.items);
    say("Taken back. Answer again.");
    refresh();
  } catch (error) { say(error.message, true); }
}

function openNew() {
  at("new-class").hidden = false;
  at("name").focus();
}

async function addClass(event) {
  event.preventDefault();
  try {
    const told = await send("/classes", { name: at("name").value });
    say(`New class: ${told.name}`);
    at("name").value = "";
    await refresh();
    if (state.classes.length >= (state.asks === "spans" ? 1 : 2)) closeNew(); else at("name").focus();
  } catch (error) { say(error.message, true); }
}

function closeNew() {
  at("new-class").hidden = true;
  at("seen").focus({ preventScroll: true });
}

async function openMany(path, title, said) {
  try {
    const told = await ask(path);
    if (!told.items.length) return say("Nothing was found.");
    many = { items: told.items };
    showTiles(title, told.sentence || said, told.items);
    at("many").hidden = false;
    at("many").scrollIntoView({ block: "nearest" });
    at("tiles").querySelector("input, button").focus({ preventScroll: true });
  } catch (error) { say(error.message, true); }
}

async function closeMany(focus = true) {
  many = null;
  at("many").hidden = true;
  at("tiles").replaceChildren();
  if (focus) at("seen").focus({ preventScroll: true });
}

const TICK = () => state.asks === "spans" ? "Choose one to mark." : "Untick what does not belong, then press the key of its class.";

async function more() {
  if (!current) return;
  const like = current;
  await openMany(`/alike?${query({ item: like.item, count: ALIKE })}`, "More like this", TICK());
  if (many) {
    many.items = [{ ...like, how: like.how }, ...many.items.map((item) => ({ ...item, how: "alike" }))];
    showTiles("More like this", TICK(), many.items.map((item) => ({ ...item, how: "alike" })));
    at("tiles").querySelector("input, button").focus({ preventScroll: true });
  }
}

function openOne(item) {
  if (current) queue.unshift(current);
  queue = queue.filter((other) => other.item !== item.item);
  current = item;
  closeMany(false);
  showItem(current, state.counts.labelled, state.counts.items);
  at("words").focus({ preventScroll: true });
}

const doubt = () => openMany(`/doubtful?${query({})}`, "A second look", "");
const act = { save, unmark: () => unmarkWords(), skip: () => give("skip"), unsure: () => give("unsure"), undo, new: openNew, more, doubt };

function play() {
  const sound = at("seen").querySelector("audio");
  if (!sound) return false;
  if (sound.paused) { sound.currentTime = 0; sound.play(); } else sound.pause();
  return true;
}

const COMMANDS = { s: "skip", u: "unsure", z: "undo", n: "new", m: "more", d: "doubt" };
function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || !state) return;
  const field = event.target.closest("input:not([type=checkbox]), textarea, select, summary");
  if (event.key === "Escape") { if (many) closeMany(); else if (!at("new-class").hidden) closeNew(); else at("seen").focus(); return; }
  if (field) return;
  const pressed = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (state.asks === "spans" && current && !many && spansKey(event)) { event.preventDefault(); return; }
  if (pressed === "/") { event.preventDefault(); at("text").focus(); return; }
  if (pressed === "Enter" && ["several", "spans"].includes(state.asks) && !event.target.closest("button, a")) { event.preventDefault(); save(); return; }
  if (pressed === " " && !event.target.closest("button, a, input") && play()) { event.preventDefault(); return; }
  if (COMMANDS[pressed]) { event.preventDefault(); act[COMMANDS[pressed]](); return; }
  const one = state.classes[KEYS.indexOf(pressed)];
  if (one && KEYS.includes(pressed) && state.asks !== "number") { event.preventDefault(); choose(one.name); return; }
  if (state.asks === "number" && /^[-0-9.]$/.test(pressed)) at("number").focus();
}

// The model, and files that are dropped -------------------------------------------------------------------------------

async function model() {
  const told = await ask("/model");
  at("make").disabled = told.state === "making";
  put("made", { none: "", making: "It is being made. You can go on.", made: `It lies in ${told.run}.`, failed: told.said }[told.state]);
  at("verdict").hidden = told.state !== "made";
  at("verdict").textContent = told.said;
  at("links").hidden = told.state !== "made";
  if (told.address) at("try").href = told.address;
}

async function make() {
  try { await send("/model", { budget: at("budget").value }); await model(); } catch (error) { at("made").textContent = error.message; }
}

async function filesOf(entry) {
  if (entry.isFile) return [await new Promise((done, failed) => entry.file(done, failed))];
  const reader = entry.createReader(), found = [];
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) return (await Promise.all(found.map(filesOf))).flat();
    found.push(...some);
  }
}

async function take(files) {
  const known = /\.(jpe?g|png|gif|bmp|tiff?|webp|avif|heic|heif|jp2|wav|flac|mp3|ogg|opus|aiff?|txt|csv|tsv|jsonl)$/i;
  const wanted = [...files].filter((file) => known.test(file.name));
  let fresh = 0, failed = [];
  for (let i = 0; i < wanted.length;) {
    const form = new FormData();
    for (let size = 0, count = 0; i < wanted.length && count < 50 && (!count || size + wanted[i].size < 48e6); i += 1, count += 1) {
      form.append("file", wanted[i], wanted[i].name);
      size += wanted[i].size;
    }
    at("dropped").textContent = `${i} of ${wanted.length} files sent …`;
    try {
      const told = await ask("/items", form);
      fresh += told.new;
      failed.push(...told.failed);
    } catch (error) { failed.push({ name: "", why: error.message }); }
  }
  at("dropped").textContent = `${fresh} new items.` + (failed.length ? ` ${failed.length} could not be taken, the first: ${failed[0].name} ${failed[0].why}` : "");
  await refresh();
  if (!current) next();
}

async function dropped(event) {
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry && item.webkitGetAsEntry()).filter(Boolean);
  const files = entries.length ? (await Promise.all(entries.map(filesOf))).flat() : event.dataTransfer.files;
  take(files);
}

document.addEventListener("keydown", key);
for (const kind of ["pointerdown", "pointerover"]) at("seen").addEventListener(kind, pointWords);
for (const button of at("acts").children) button.addEventListener("click", () => act[button.dataset.act]());
at("new-class").addEventListener("submit", addClass);
at("no-class").addEventListener("click", closeNew);
at("many-close").addEventListener("click", () => closeMany());
at("make").addEventListener("click", make);
at("file").addEventListener("change", () => take(at("file").files));
at("typed").addEventListener("submit", (event) => {
  event.preventDefault();
  const value = at("number").value.trim().replace(",", ".");
  if (!value || Number.isNaN(Number(value))) return say("Type a number.", true);
  at("number").value = "";
  give("label", value);
});
at("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = at("text").value.trim();
  if (text) openMany(`/search?${query({ text })}`, `Found for “${text}”`, state.asks === "spans" ? "Choose one to mark." : "Tick items, then press the key of their class.");
});
at("person").addEventListener("change", async () => {
  try { localStorage.setItem("handful-person", person()); } catch (error) { say("This browser does not remember your name."); }
  queue = [];
  await refresh();
  next();
});
for (const kind of ["dragover", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    at("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop") dropped(event).catch((error) => { at("dropped").textContent = error.message; });
  });
}
document.addEventListener("dragleave", () => at("drop").classList.remove("over"));
window.addEventListener("beforeunload", (event) => { if (waiting) event.preventDefault(); });

(async function begin() {
  try { at("person").value = localStorage.getItem("handful-person") || ""; } catch (error) { at("person").value = ""; }
  await refresh();
  await next();
  setInterval(() => { if (!document.hidden && !waiting) refresh(); }, 2 * LOOK);
}());
