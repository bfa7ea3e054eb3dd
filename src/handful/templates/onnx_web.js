"use strict";
// ABOUT: { modality, pairs, labels, digits, decided, inputs, tokenizers }; MODEL, RUNTIME: base64. From the files beside.

const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const address = (text, type) => URL.createObjectURL(new Blob([bytes(text)], { type }));
const byId = (id) => document.getElementById(id);
let session;

// Pillow's BICUBIC over a box: one axis at a time, wider where pixels become fewer. Rows of `count` numbers per place.
function weights(from, begin, end, to) {
  const step = (end - begin) / to, wide = Math.max(step, 1), reach = 2 * wide, rows = [];
  const cubic = (x) => {
    x = Math.abs(x);
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
  };
  for (let place = 0; place < to; place++) {
    const centre = begin + (place + 0.5) * step;
    const low = Math.max(0, Math.trunc(centre - reach + 0.5)), high = Math.min(from, Math.trunc(centre + reach + 0.5));
    const row = [];
    for (let i = low; i < high; i++) row.push(cubic((i - centre + 0.5) / wide));
    const total = row.reduce((a, b) => a + b, 0);
    rows.push([low, row.map((w) => w / total)]);
  }
  return rows;
}

const whole = (x) => Math.max(0, Math.min(255, Math.floor(x + 0.5)));

// { width, height, data: RGB } → the central square, side × side × 3.
function square(picture, side, atLeast) {
  const factor = Math.floor(Math.min(picture.width, picture.height) / (2 * atLeast));
  if (factor > 1) picture = reduced(picture, factor);
  const { width, height, data } = picture;
  const kept = (Math.min(width, height) * side) / atLeast;
  const left = (width - kept) / 2, top = (height - kept) / 2;
  const across = weights(width, left, left + kept, side), down = weights(height, top, top + kept, side);
  const middle = new Uint8Array(side * height * 3), made = new Uint8Array(side * side * 3);
  for (let y = 0; y < height; y++)
    across.forEach(([low, row], x) => {
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (let i = 0; i < row.length; i++) sum += row[i] * data[(y * width + low + i) * 3 + c];
        middle[(y * side + x) * 3 + c] = whole(sum);
      }
    });
  down.forEach(([low, row], y) => {
    for (let x = 0; x < side * 3; x++) {
      let sum = 0;
      for (let i = 0; i < row.length; i++) sum += row[i] * middle[(low + i) * side * 3 + x];
      made[y * side * 3 + x] = whole(sum);
    }
  });
  return made;
}

function reduced({ width, height, data }, factor) {
  const wide = Math.ceil(width / factor), high = Math.ceil(height / factor), made = new Uint8Array(wide * high * 3);
  for (let y = 0; y < high; y++)
    for (let x = 0; x < wide; x++)
      for (let c = 0; c < 3; c++) {
        let sum = 0, count = 0;
        for (let v = y * factor; v < Math.min(height, (y + 1) * factor); v++)
          for (let u = x * factor; u < Math.min(width, (x + 1) * factor); u++, count++) sum += data[(v * width + u) * 3 + c];
        made[(y * wide + x) * 3 + c] = whole(sum / count);
      }
  return { width: wide, height: high, data: made };
}

function pixelsOf(source, width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.fillStyle = "white";
  pen.fillRect(0, 0, width, height);
  pen.drawImage(source, 0, 0);
  const four = pen.getImageData(0, 0, width, height).data, data = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) for (let c = 0; c < 3; c++) data[3 * i + c] = four[4 * i + c];
  return { width, height, data };
}

function imageFeed(source, width, height) {
  const picture = pixelsOf(source, width, height), feed = {};
  for (const e of ABOUT.inputs)
    feed[e.pixels] = new ort.Tensor("uint8", square(picture, e.side, e.at_least), [1, e.side, e.side, 3]);
  return feed;
}

async function soundFeed(file) {
  const rate = ABOUT.inputs[0].rate, longest = Math.max(...ABOUT.inputs.map((e) => e.seconds));
  const heard = await new OfflineAudioContext(1, 1, rate).decodeAudioData(await file.arrayBuffer());
  const count = Math.min(heard.length, Math.round(longest * rate)), mixed = new Float32Array(count);
  for (let c = 0; c < heard.numberOfChannels; c++) {
    const own = heard.getChannelData(c);
    for (let i = 0; i < count; i++) mixed[i] += own[i] / heard.numberOfChannels;
  }
  const feed = {};
  for (const e of ABOUT.inputs) {
    feed[e.waves] = new ort.Tensor("float32", mixed, [1, count]);
    feed[e.lengths] = new ort.Tensor("int64", BigInt64Array.of(BigInt(count)), [1]);
  }
  return feed;
}

// The words of BERT: lower case without accents, punctuation apart, then the longest known pieces.
const isPunctuation = (c) => /[!-/:-@[-`{-~\p{P}]/u.test(c);
const isChinese = (c) => /[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff\u{20000}-\u{2ceaf}]/u.test(c);

function idsOf(text, e) {
  const t = ABOUT.tokenizers[e.tokenizer], pieces = [];
  let clean = "";
  for (const c of e.prefix + [...text].slice(0, e.most_characters).join("")) {
    if (c === "\0" || c === "\ufffd" || (/\p{C}/u.test(c) && !/\s/.test(c))) continue;
    clean += isChinese(c) ? ` ${c} ` : /\s/.test(c) ? " " : c;
  }
  if (t.lower) clean = clean.normalize("NFD").replace(/\p{Mn}/gu, "").toLowerCase();
  const words = [...clean].map((c) => (isPunctuation(c) ? ` ${c} ` : c)).join("").split(" ").filter(Boolean);
  for (const word of words) {
    const letters = [...word], own = [];
    let at = 0;
    while (at < letters.length && letters.length <= t.longest) {
      let end = letters.length, id;
      for (; end > at && id === undefined; end--) id = t.vocab[(at ? t.inside : "") + letters.slice(at, end).join("")];
      if (id === undefined) break;
      own.push(id);
      at = end + 1;
    }
    pieces.push(...(at === letters.length && letters.length ? own : [t.unknown]));
  }
  return [t.begin, ...pieces.slice(0, e.most_tokens - 2), t.end];
}

function textFeed(texts) {
  const feed = {};
  for (const e of ABOUT.inputs) {
    const ids = idsOf(texts[e.side], e);
    feed[e.ids] = new ort.Tensor("int64", BigInt64Array.from(ids, BigInt), [1, ids.length]);
    feed[e.mask] = new ort.Tensor("float32", new Float32Array(ids.length).fill(1), [1, ids.length]);
  }
  return feed;
}

async function answer(feed) {
  const began = performance.now(), { outputs, answer } = await session.run(feed), { labels, digits } = ABOUT;
  const taken = performance.now() - began, said = Array.from(answer.data, Number);
  const names = answer.type === "bool" ? labels.filter((_, i) => said[i]).join(", ") : labels[said[0]];
  byId("answer").textContent = labels.length ? names || "none" : said[0].toFixed(digits);
  byId("answer").title = `${taken.toFixed(0)} ms`;
  const rows = labels.map((name, i) => [name, outputs.data[i]]).sort((a, b) => b[1] - a[1]).slice(0, 10);
  byId("numbers").replaceChildren(...rows.map((row) => {
    const line = document.createElement("tr");
    for (const cell of [row[0], `${(100 * row[1]).toFixed(1)} %`])
      line.append(Object.assign(document.createElement("td"), { textContent: cell }));
    return line;
  }));
  return { answer: said, outputs: Array.from(outputs.data) };
}

async function answerFile(file) {
  try {
    if (ABOUT.modality === "sound") return await answer(await soundFeed(file));
    const picture = await createImageBitmap(file);
    const image = Object.assign(document.createElement("img"), { src: URL.createObjectURL(file), alt: "" });
    byId("shown").replaceChildren(image);
    return await answer(imageFeed(picture, picture.width, picture.height));
  } catch (error) {
    byId("answer").textContent = `${file.name} cannot be read (${error.message}). Choose another file.`;
  }
}

function button(text, press) {
  const made = Object.assign(document.createElement("button"), { textContent: text });
  made.addEventListener("click", press);
  byId("ask").append(" ", made);
  return made;
}

function askFiles(kind) {
  const drop = Object.assign(document.createElement("label"), { id: "drop", textContent: "Drop a file here, or choose one " });
  drop.style.display = "block";
  const file = Object.assign(document.createElement("input"), { type: "file", accept: `${kind}/*`, id: "file" });
  drop.append(file);
  file.addEventListener("change", () => file.files[0] && answerFile(file.files[0]));
  for (const [name, over] of [["dragover", true], ["dragleave", false], ["drop", false]])
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", over);
      if (name === "drop" && event.dataTransfer.files[0]) answerFile(event.dataTransfer.files[0]);
    });
  byId("ask").append(drop);
}

async function useCamera() {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  const video = Object.assign(document.createElement("video"), { srcObject: stream, muted: true, playsInline: true });
  byId("shown").replaceChildren(video);
  await video.play();
  while (video.isConnected) {
    await answer(imageFeed(video, video.videoWidth, video.videoHeight));
    await new Promise(requestAnimationFrame);
  }
  stream.getTracks().forEach((track) => track.stop());
}

async function useMicrophone() {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true }), parts = [];
  const recorder = new MediaRecorder(stream), seconds = Math.min(3, Math.max(...ABOUT.inputs.map((e) => e.seconds)));
  recorder.addEventListener("dataavailable", (event) => parts.push(event.data));
  recorder.addEventListener("stop", () => {
    stream.getTracks().forEach((track) => track.stop());
    answerFile(new File(parts, "recording", { type: recorder.mimeType }));
  });
  byId("answer").textContent = `listening for ${seconds} seconds`;
  recorder.start();
  setTimeout(() => recorder.stop(), 1000 * seconds);
}

const failed = (error) => (byId("answer").textContent = `This cannot be used here (${error.message}).`);

function ask() {
  if (ABOUT.modality === "text") {
    const fields = (ABOUT.pairs ? [0, 1] : [0]).map(() => document.createElement("textarea"));
    byId("ask").append(...fields);
    button("Answer", () => answer(textFeed(fields.map((field) => field.value))));
    return;
  }
  askFiles(ABOUT.modality === "sound" ? "audio" : "image");
  if (!navigator.mediaDevices) return;
  if (ABOUT.modality === "image") button("Use the camera", () => useCamera().catch(failed));
  else button("Use the microphone", () => useMicrophone().catch(failed));
}

async function start() {
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = { mjs: address(RUNTIME.glue, "text/javascript"), wasm: address(RUNTIME.wasm, "application/wasm") };
  ort.env.wasm.wasmBinary = bytes(RUNTIME.wasm).buffer;
  session = await ort.InferenceSession.create(bytes(MODEL), { executionProviders: ["wasm"] });
  ask();
  byId("decided").textContent = ABOUT.decided;
  byId("answer").textContent = "ready";
}

start().catch(failed);
