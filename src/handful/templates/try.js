"use strict";
// The page to try a model: what is typed, dropped or recorded is sent to the server that sent this page, nowhere else.
const at = (id) => document.getElementById(id);
const NEAREST = 3, BARS = 8, RECORDED = 10;
let models = [], file = null, address = null, last = null, preview = null, kind = null;

async function begin() {
  if (location.hash) history.replaceState(null, "", location.pathname);  // a token that has done its work
  models = (await (await fetch("/models")).json()).models;
  for (const model of models) at("model").add(new Option(model.name, model.name));
  at("which").hidden = models.length < 2;
  at("model").addEventListener("change", show);
  show();
}

const chosen = () => models.find((model) => model.name === at("model").value);

function show() {
  const model = chosen(), text = model.modality === "text";
  if (model.modality !== kind) forget(model.modality);
  const parts = PARTS[model.task], items = { text: "texts", image: "pictures", sound: "sounds" }[model.modality];
  at("about").textContent = `${model.name}: ${parts ? parts.noun : model.task} ${parts ? "in" : "of"} ${items}`;
  at("warning").hidden = !model.warning;
  at("warning").textContent = model.warning || "";
  at("texts").hidden = !text;
  at("files").hidden = text;
  at("pair").hidden = !model.pairs;
  at("first-label").textContent = model.pairs ? "First text" : "Text";
  at("file").accept = model.modality === "image" ? "image/*" : "audio/*";
  at("drop-label").textContent = `Drop a ${model.modality === "image" ? "picture" : "sound"} here, or choose one`;
  at("record").hidden = model.modality !== "sound" || !navigator.mediaDevices;
  const path = `${location.origin}/models/${encodeURIComponent(model.name)}/predict`;
  const body = model.pairs ? '{"items": [["a text", "another"]]}' : '{"items": ["a text"]}';
  at("command").textContent = text
    ? `curl ${path} -H 'Content-Type: application/json' -d '${body}'`
    : `curl ${path} -F file=@name`;
  at("draw-row").hidden = !model.draws;
  at("draw").textContent = `curl ${path} -H 'Accept: image/png' -F file=@name -o drawn.png`;
  at("explain-row").hidden = !model.explains || Boolean(parts);
  at("result").hidden = true;
  at("correct").hidden = true;
  showNames(model);
  at("hint").textContent = model.task === "multilabel" ? "Several labels are parted by commas."
    : model.task === "regression" ? "A number." : "";
  at("state").textContent = "";
  watch(model);
  showVersions(model);
}

// What was chosen for a model of another kind of items is nothing for this one.
function forget(modality) {
  kind = modality;
  file = preview = null;
  at("file").value = "";
  at("seen").replaceChildren();
}

const showNames = (model) => at("names").replaceChildren(...model.labels.map((name) => new Option(name)));

// Another version answers now, which may know other classes.
async function renew() {
  models = (await (await fetch("/models")).json()).models;
  showNames(chosen());
  await listVersions(chosen());
}

// What is asked may no longer look like what was learned from.
async function watch(model) {
  at("drift").hidden = true;
  if (!model.followed) return;
  const told = await (await fetch(`/models/${encodeURIComponent(model.name)}/drift`)).json();
  if (told.error || model !== chosen()) return;
  at("drift").hidden = !told.warning;
  at("drift").textContent = told.warning ? `Take care: ${told.warning}.` : "";
}

async function ask(event) {
  event.preventDefault();
  const model = chosen(), parts = PARTS[model.task];
  const explain = model.explains && (Boolean(parts) || at("explain").checked);
  const path = `/models/${encodeURIComponent(model.name)}/predict`;
  let request;
  if (model.modality === "text") {
    const item = typed(model);
    if (!at("first").value.trim()) return say("Type a text first.");
    const beside = "draws" in model ? { explain } : { nearest: NEAREST, explain };
    request = { headers: { "Content-Type": "application/json" }, body: JSON.stringify({ items: [item], ...beside }) };
  } else {
    if (!file) return say("Choose a file first.");
    const form = new FormData();
    form.append("file", file);
    if (!("draws" in model)) form.append("nearest", NEAREST);
    if (explain) form.append("explain", explain);
    if (parts && parts.asks && model.draws) form.append("drawn", true);
    request = { body: form };
  }
  say("…");
  at("ask").disabled = true;
  try {
    const response = await fetch(path, { method: "POST", ...request });
    const told = await response.json();
    if (told.error) say(told.error.message);
    else if (told.answers[0].error) say(told.answers[0].error);
    else { say(""); answer(model, told.answers[0], told.version); offer(model, told.answers[0]); }
  } catch (error) {
    say("The server does not answer. Is it still running?");
  } finally {
    at("ask").disabled = false;
  }
}

const say = (text) => { at("state").textContent = text; };
const percent = (share) => `${Math.round(100 * share)} %`;

function answer(model, row, version) {
  const parts = PARTS[model.task];
  at("result").hidden = false;
  at("answer").textContent = parts ? parts.headline(row) : shown(row.answer);
  at("sure").textContent = parts ? parts.sure(row, model)
    : row.low !== undefined ? `between ${row.low} and ${row.high} for nine of ten` : `${percent(row.confidence)} sure`;
  at("sure").textContent += ` (version ${version})`;
  at("strange").hidden = !row.unlike_training;
  at("strange").textContent = row.unlike_training
    ? `This is unlike the training rows: only ${percent(row.rarity)} of such rows look as strange. Take the answer as a guess.` : "";
  const shares = Object.entries(row.probabilities || {}).sort((a, b) => b[1] - a[1]);
  at("bars").replaceChildren(...shares.slice(0, BARS).map(bar));
  const heavy = (row.parts || []).filter((part) => Math.abs(part.weight) >= 0.01).slice(0, BARS);
  at("why").hidden = !row.parts || Boolean(parts);
  at("parts").replaceChildren(...(heavy.length ? heavy.map((part) => line(`${part.part}: without it ${points(part.weight)}`)) : [line("No part of it alone.")]));
  at("seen").replaceChildren(...(preview ? [preview] : []));
  at("view").replaceChildren(...(parts ? parts.view(row, model, preview) : []));
  at("alike").hidden = !(row.nearest || []).length;
  at("rows").replaceChildren(...(row.nearest || []).map((near) => line(`${parts && parts.called ? parts.called(near.label) : near.label}: ${near.input || `row ${near.row}`} (${near.similarity.toFixed(2)} alike)`)));
}

// What was asked can be corrected once its answer is there.
function offer(model, row) {
  last = { model, id: row.id, item: model.modality === "text" ? typed(model) : file };
  at("correct").hidden = !model.feedback;
  at("right").value = "";
  at("new").checked = false;
  at("fresh").hidden = true;
  tell("");
}

const typed = (model) => model.pairs ? [at("first").value, at("second").value] : at("first").value;
const tell = (text, refused = false) => { at("told").textContent = text; at("told").classList.toggle("refused", refused); };

function labelOf(model, text) {
  if (model.task === "multilabel") return text.split(/[,|]/).map((name) => name.trim()).filter((name) => name);
  const number = Number(text.replace(",", "."));
  return model.task === "regression" && text.trim() && !Number.isNaN(number) ? number : text.trim();
}

async function correct(event) {
  event.preventDefault();
  const { model, id, item } = last, label = labelOf(model, at("right").value), fresh = at("new").checked;
  const path = `/models/${encodeURIComponent(model.name)}/feedback`;
  let request;
  if (model.modality === "text") {
    request = { headers: { "Content-Type": "application/json" }, body: JSON.stringify({ item, label, answer_id: id, new_class: fresh }) };
  } else {
    const form = new FormData();
    form.append("file", item);
    form.append("label", Array.isArray(label) ? label.join("|") : label);
    form.append("answer_id", id);
    form.append("new_class", fresh);
    request = { body: form };
  }
  at("send").disabled = true;
  try {
    const response = await fetch(path, { method: "POST", ...request }), told = await response.json();
    if (told.error) {
      at("fresh").hidden = told.error.code !== "unknown_class" || model.task === "ordinal";
      tell(told.error.message, true);
    } else if (told.learned) {
      tell(`Thank you. Learned at once: the answer is now ${shown(told.answers_now.answer)}, ${percent(told.answers_now.confidence)} sure (version ${told.version}).`);
      await renew();
    } else tell(told.why ? `Stored, and not learned: ${told.why}.` : "Thank you. It is stored, for when the model is tuned again.");
  } catch (error) {
    tell("The server does not answer. Is it still running?", true);
  } finally {
    at("send").disabled = false;
  }
}

const shown = (value) => Array.isArray(value) ? value.join(", ") || "(none)" : String(value);
const points = (weight) => `${Math.abs(100 * weight).toFixed(0)} points ${weight >= 0 ? "less" : "more"} sure`;

function line(text) {
  const item = document.createElement("li");
  item.textContent = text;
  return item;
}

function bar([name, share]) {
  const item = document.createElement("li"), label = document.createElement("span"), value = document.createElement("span");
  const meter = document.createElement("meter");
  label.textContent = name;
  meter.value = share;
  meter.setAttribute("aria-label", name);
  value.textContent = percent(share);
  item.append(label, meter, value);
  return item;
}

function take(taken) {
  file = taken;
  if (address) URL.revokeObjectURL(address);
  address = URL.createObjectURL(taken);
  const seen = document.createElement(chosen().modality === "image" ? "img" : "audio");
  seen.src = address;
  if (seen.tagName === "IMG") seen.alt = taken.name || "the picture"; else seen.controls = true;
  preview = seen;
  at("seen").replaceChildren(seen);
  at("view").replaceChildren();
  at("form").requestSubmit();
}

// Browsers record in formats that few programs read: the samples are written as a WAV file here.
async function record() {
  at("record").disabled = true;
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    const context = new AudioContext(), source = context.createMediaStreamSource(stream);
    const tap = context.createScriptProcessor(4096, 1, 1), blocks = [];
    tap.onaudioprocess = (event) => blocks.push(new Float32Array(event.inputBuffer.getChannelData(0)));
    source.connect(tap);
    tap.connect(context.destination);
    at("record").disabled = false;
    at("record").textContent = "Stop";
    await new Promise((done) => { at("record").onclick = done; setTimeout(done, 1000 * RECORDED); });
    tap.disconnect();
    stream.getTracks().forEach((track) => track.stop());
    take(wave(blocks, context.sampleRate));
    await context.close();
  } catch (error) {
    say("The microphone cannot be used. Choose a file instead.");
  } finally {
    at("record").disabled = false;
    at("record").textContent = "Record";
    at("record").onclick = record;
  }
}

function wave(blocks, rate) {
  const count = blocks.reduce((sum, block) => sum + block.length, 0), bytes = new DataView(new ArrayBuffer(44 + 2 * count));
  const word = (place, text) => [...text].forEach((letter, i) => bytes.setUint8(place + i, letter.charCodeAt(0)));
  word(0, "RIFF"); bytes.setUint32(4, 36 + 2 * count, true); word(8, "WAVEfmt ");
  bytes.setUint32(16, 16, true); bytes.setUint16(20, 1, true); bytes.setUint16(22, 1, true);
  bytes.setUint32(24, rate, true); bytes.setUint32(28, 2 * rate, true); bytes.setUint16(32, 2, true); bytes.setUint16(34, 16, true);
  word(36, "data"); bytes.setUint32(40, 2 * count, true);
  let place = 44;
  for (const block of blocks) for (const sample of block) {
    bytes.setInt16(place, Math.max(-1, Math.min(1, sample)) * 32767, true);
    place += 2;
  }
  return new File([bytes.buffer], "recording.wav", { type: "audio/wav" });
}

at("form").addEventListener("submit", ask);
at("correct").addEventListener("submit", correct);
at("file").addEventListener("change", () => at("file").files.length && take(at("file").files[0]));
at("record").onclick = record;
for (const kind of ["dragover", "dragleave", "drop"]) {
  at("drop").addEventListener(kind, (event) => {
    event.preventDefault();
    at("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files.length) take(event.dataTransfer.files[0]);
  });
}
begin();
