"use strict";
// Marking parts of a text: words are chosen with arrows and Shift, by clicks or by dragging, and get a class by its key.
const spans = { words: [], marks: [], first: 0, last: 0, on: false, drag: false, letters: [] };

// Marks as the server writes them: [[from, to, class], ...] in characters as Python counts them.
const marksIn = (label) => { try { const found = JSON.parse(label); return Array.isArray(found) ? found : []; } catch (error) { return []; } };

// Item → what was saved of it on this page: taken back, it is there to be corrected.
const savedMarks = new Map();

function spansOf(item) {
  spans.letters = [...item.text];
  spans.words = item.words;
  const guessed = item.guess && item.how !== "control" ? item.guess.label : "";
  const before = item.before && item.before.label !== null ? item.before.label : item.label || savedMarks.get(item.item) || guessed;
  spans.marks = marksIn(before).map(([from, to, name]) => ({
    first: spans.words.findIndex((word) => word[0] === from), last: spans.words.findIndex((word) => word[1] === to), name,
  })).filter((mark) => mark.first >= 0 && mark.last >= mark.first);
  spans.first = spans.last = 0;
  spans.on = false;
}

const textOf = (from, to) => spans.letters.slice(from, to).join("");
const markAt = (word) => spans.marks.find((mark) => mark.first <= word && word <= mark.last);
const spansLabel = () => JSON.stringify(spans.marks.slice().sort((a, b) => a.first - b.first)
  .map((mark) => [spans.words[mark.first][0], spans.words[mark.last][1], mark.name]));
const chosenWords = () => [Math.min(spans.first, spans.last), Math.max(spans.first, spans.last)];

function tellSpans(item, label) {
  const letters = [...item.text], marks = marksIn(label);
  return marks.length ? marks.map(([from, to, name]) => `${letters.slice(from, to).join("")}: ${name}`).join("; ") : "nothing marked";
}

function drawSpans() {
  const box = made("p", undefined, { dir: "auto", role: "listbox", "aria-multiselectable": "true", tabindex: "0", id: "words",
    "aria-label": "The words of the text. Arrows go from word to word, with Shift they choose several; the key of a class marks them." });
  const [low, high] = chosenWords();
  let end = 0, into = box;
  spans.words.forEach(([from, to], word) => {
    const mark = markAt(word);
    const between = textOf(end, from);
    if (!mark || mark.first === word) into = box;
    into.append(between);
    if (mark && mark.first === word) {
      into = made("span", undefined, { class: "mark", role: "group", "aria-label": mark.name });
      box.append(into);
    }
    const node = made("span", textOf(from, to), { role: "option", id: `word-${word}`, "data-word": word,
      "aria-selected": String(spans.on && low <= word && word <= high) });
    into.append(node);
    if (mark && mark.last === word) {
      into.append(made("small", mark.name, { "aria-hidden": "true" }));
      into = box;
    }
    end = to;
  });
  into.append(textOf(end, spans.letters.length));
  if (spans.on) box.setAttribute("aria-activedescendant", `word-${spans.last}`);
  return box;
}

function redrawSpans() {
  const old = at("words"), had = old && old.contains(document.activeElement) || document.activeElement === old;
  const fresh = drawSpans();
  if (old) old.replaceWith(fresh); else at("seen").replaceChildren(fresh);
  if (had || spans.on) fresh.focus({ preventScroll: true });
  const seen = spans.on && at(`word-${spans.last}`);
  if (seen) seen.scrollIntoView({ block: "nearest" });
}

function chooseWords(first, last) {
  const within = (word) => Math.max(0, Math.min(spans.words.length - 1, word));
  [spans.first, spans.last, spans.on] = [within(first), within(last), spans.words.length > 0];
  redrawSpans();
}

function markWords(name) {
  const [low, high] = chosenWords();
  if (!spans.on) return say("Choose words first: click them, or go there with the arrow keys; Shift chooses several.", true);
  spans.marks = spans.marks.filter((mark) => mark.last < low || mark.first > high);
  spans.marks.push({ first: low, last: high, name });
  say(`${textOf(spans.words[low][0], spans.words[high][1])}: ${name}`);
  spans.on = false;
  spans.first = spans.last = Math.min(high + 1, spans.words.length - 1);
  redrawSpans();
}

function unmarkWords() {
  const [low, high] = chosenWords(), before = spans.marks.length;
  spans.marks = spans.marks.filter((mark) => !spans.on || mark.last < low || mark.first > high);
  if (spans.marks.length === before) return say("Choose a mark first: click it, or go there with the arrow keys.", true);
  say("The mark is gone.");
  redrawSpans();
}

// Whether a key was one of this page's: arrows, Home, End, Backspace and Delete.
function spansKey(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (event.target.closest("#many, select, summary")) return false;
  if (step !== undefined) {
    const next = spans.on ? spans.last + step : spans.last;
    if (event.shiftKey && spans.on) chooseWords(spans.first, next); else chooseWords(next, next);
  } else if (event.key === "Home" || event.key === "End") {
    const end = event.key === "Home" ? 0 : spans.words.length - 1;
    chooseWords(event.shiftKey && spans.on ? spans.first : end, end);
  } else if (event.key === "Backspace" || event.key === "Delete") unmarkWords();
  else return false;
  return true;
}

// A click begins with a word, a mark with all of it; a second click goes on to another word, dragging does too.
function pointWords(event) {
  const node = event.target.closest("[data-word]");
  if (!node) return;
  const word = Number(node.dataset.word), mark = markAt(word), [low, high] = chosenWords();
  if (event.type === "pointerdown") {
    event.preventDefault();
    spans.drag = event.pointerType === "mouse";
    const apart = Array.from({ length: Math.abs(word - spans.first) + 1 }, (_, i) => Math.min(word, spans.first) + i);
    if (mark) chooseWords(mark.first, mark.last);
    else if (spans.on && low <= word && word <= high) { spans.on = false; redrawSpans(); }
    else if (spans.on && !apart.some(markAt)) chooseWords(spans.first, word);
    else chooseWords(word, word);
  } else if (spans.drag && spans.on && event.buttons === 1 && word !== spans.last) chooseWords(spans.first, word);
}
