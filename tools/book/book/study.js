// Small conveniences of the pages; everything can be read without them.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const origin = document.getElementById("origin");
  const open = () => { if (origin && location.hash === "#origin") origin.open = true; };
  window.addEventListener("hashchange", open);
  open();
  const phone = window.matchMedia("(max-width: 600px)");
  if (phone.matches) {  // a long table is closed at first, a table of definitions is one of cards
    for (const long of document.querySelectorAll("details.study-rows")) long.open = false;
    for (const box of document.querySelectorAll(".pst-scrollable-table-container")) box.classList.add("study-scroll");
  }
  if (phone.matches) {  // of the findings about a paper only the gravest stand open
    const lists = [...document.querySelectorAll("ul")].filter((list) => list.querySelector(":scope > li > .study-finding"));
    for (const list of lists.slice(1)) {
      const fold = document.createElement("details"), said = document.createElement("summary");
      fold.className = "study-rows";
      said.textContent = `${list.children.length} findings`;
      list.before(fold);
      fold.append(said, list);
    }
  }
  const wide = [...document.querySelectorAll(".study-scroll, .study-figure")].map((box) => {
    const hint = document.createElement("p");
    hint.className = "study-hint";
    hint.textContent = box.matches(".study-figure") ? "swipe sideways, or tap to open the figure alone →" : "scroll sideways →";
    box.before(hint);
    return [box, hint];
  });
  const fits = (box) => box.scrollWidth <= box.clientWidth + 2;
  // on a phone a table that does not fit is a card for each row: what names the row, then "head value"
  const name = (table) => {
    const heads = [...table.querySelectorAll("thead th")].map((th) => th.textContent.trim());
    const rows = [...table.querySelectorAll("tbody tr")].map((tr) => [...tr.children]);
    const told = (keys) => new Set(rows.map((cells) => keys.map((k) => cells[k].textContent).join("|"))).size;
    const text = (k) => rows.filter((cells) => /^[\d−<]/.test(cells[k].textContent.trim())).length < rows.length / 2;
    const keys = [0];  // the first column, and further words until no two rows have the same name
    for (let k = 1; k < heads.length && keys.length < 3 && told(keys) < rows.length; k += 1)
      if (text(k) && told([...keys, k]) > told(keys)) keys.push(k);
    for (const cells of rows) cells.forEach((td, k) => {
      td.dataset.head = heads[k] || "";
      td.classList.toggle("study-key", keys.includes(k));
      td.classList.toggle("study-head", !keys.includes(k) || !text(k));  // a number alone names nothing
      td.classList.toggle("study-none", ["", "–"].includes(td.textContent.trim()));
    });
    for (const [role, parts] of [["table", [table]], ["rowgroup", table.tBodies], ["row", table.querySelectorAll("tr")], ["cell", table.querySelectorAll("tbody td")]])
      for (const part of parts) part.setAttribute("role", role);  // which another display would take away
  };
  const measure = () => {
    for (const [box, hint] of wide) {
      const table = box.querySelector("table:not(.study-wrap):not(.study-record)");
      box.classList.remove("study-stacked", "study-tight");
      if (table && !fits(box)) {
        if (phone.matches) name(table);
        box.classList.add(phone.matches ? "study-stacked" : "study-tight");
      }
      hint.hidden = fits(box);
    }
  };
  for (const long of document.querySelectorAll("details.study-rows")) long.addEventListener("toggle", measure);
  // paper opens no fold: tables and explanations are printed, and closed again
  let folded = [];
  window.addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details.study-rows, li > details.study-finding")].filter((fold) => !fold.open);
    for (const fold of folded) fold.open = true;
  });
  window.addEventListener("afterprint", () => { for (const fold of folded) fold.open = false; });
  window.addEventListener("resize", measure);
  window.addEventListener("load", measure);
  measure();
  const codes = [...document.querySelectorAll("div.cell details.hide")];
  if (!codes.length || !origin) return;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "study-code";
  const say = () => { button.textContent = codes.every((d) => d.open) ? "Hide all code of this page" : "Show all code of this page"; };
  button.addEventListener("click", () => {
    const show = !codes.every((d) => d.open);
    document.body.classList.toggle("study-quiet", !show);
    for (const d of codes) d.open = show;
    say();
  });
  say();
  document.body.classList.add("study-quiet");
  origin.before(button);
});
