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

  const folded = () => document.querySelectorAll("details:not([open], .whole)");
  addEventListener("beforeprint", () => folded().forEach((part) => { part.open = true; part.dataset.opened = ""; }));
  addEventListener("afterprint", () => document.querySelectorAll("details[data-opened]").forEach((part) => { part.open = false; }));
})();
