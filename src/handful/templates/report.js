(() => {
  "use strict";
  const valueOf = (cell) => (cell.dataset.v === undefined ? cell.textContent.trim() : Number(cell.dataset.v));
  const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b));

  for (const heading of document.querySelectorAll("table.sortable th[data-sort]")) {
    const table = heading.closest("table");
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const sign = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      const body = table.tBodies[0];
      const key = (row) => valueOf(row.cells[heading.cellIndex]);
      body.append(...[...body.rows].sort((a, b) => sign * compare(key(a), key(b))));
    });
  }

  document.documentElement.classList.add("js");

  // A link to a part opens whatever it is folded into.
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let part = target; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();

  const folded = () => document.querySelectorAll("details:not([open])");
  addEventListener("beforeprint", () => folded().forEach((part) => { part.open = true; part.dataset.opened = ""; }));
  addEventListener("afterprint", () => document.querySelectorAll("details[data-opened]").forEach((part) => {
    part.open = false;
    delete part.dataset.opened;
  }));

  const button = (text, act) => {
    const made = document.createElement("button");
    made.type = "button";
    made.className = "copy";
    made.textContent = text;
    made.addEventListener("click", act);
    return made;
  };

  for (const block of document.querySelectorAll("pre")) {
    const copy = button("Copy", async () => {
      try {
        await navigator.clipboard.writeText(block.textContent);
      } catch {  // the browser lets no page do that: the text is selected, and its own keys copy it
        getSelection().selectAllChildren(block);
        document.execCommand("copy");
      }
      copy.textContent = "Copied";
    });
    block.after(copy);
  }

  const filter = document.getElementById("filter");
  if (filter) {
    const cases = [...document.querySelectorAll("#wrong .case")];
    const found = document.getElementById("found");
    filter.parentElement.hidden = false;
    filter.addEventListener("input", () => {
      const wanted = filter.value.trim().toLowerCase();
      for (const one of cases) {
        const group = one.closest("div.group");
        const text = `${group?.querySelector("h3")?.textContent ?? ""} ${one.textContent}`.toLowerCase();
        one.hidden = !text.includes(wanted);
        const around = one.parentElement.closest("details");
        if (wanted && !one.hidden && around) around.open = true;
      }
      for (const group of document.querySelectorAll("#wrong .group")) {
        group.hidden = !group.querySelector(".case:not([hidden])");
      }
      const seen = cases.filter((one) => !one.hidden).length;
      found.textContent = wanted ? `${seen} of ${cases.length} rows` : "";
    });
  }

  const dialog = document.getElementById("enlarged");
  const pictures = [...document.querySelectorAll(".enlarge")];
  let at = 0;
  let bare = false;
  const show = (index) => {
    at = (index + pictures.length) % pictures.length;
    const picture = pictures[at].querySelector(".picture").cloneNode(true);
    const told = pictures[at].parentElement.querySelector(".opened").cloneNode(true);
    const bars = document.createElement("div");
    const both = document.createElement("div");
    bars.className = "bars";
    both.className = "both";
    const marks = [...picture.querySelectorAll(".fields g")];
    bars.append(button("Previous", () => show(at - 1)), button("Next", () => show(at + 1)));
    if (marks.length) {
      let now = -1;
      const step = () => {  // one mark after the other, then all of them again
        now = now + 1 < marks.length ? now + 1 : -1;
        picture.classList.toggle("one", now >= 0);
        marks.forEach((mark, i) => mark.classList.toggle("now", i === now));
      };
      const hide = button("", () => { bare = !bare; tell(); });
      const tell = () => {
        picture.classList.toggle("bare", bare);
        hide.textContent = bare ? "Show marks" : "Hide marks";
      };
      tell();
      bars.append(hide, button("Next mark", step));
    }
    bars.append(button("Close", () => dialog.close()));
    both.append(picture, told);
    dialog.setAttribute("aria-label", pictures[at].getAttribute("aria-label").replace("Enlarge ", ""));
    const focused = document.activeElement?.closest?.("#enlarged .bars")
      ? [...dialog.querySelectorAll(".bars button")].indexOf(document.activeElement) : -1;
    dialog.replaceChildren(bars, both);
    if (focused >= 0) bars.children[focused].focus();
  };
  pictures.forEach((one, index) => one.addEventListener("click", () => { show(index); dialog.showModal(); }));
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowRight") show(at + 1);
    if (event.key === "ArrowLeft") show(at - 1);
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => pictures[at].focus());
})();
