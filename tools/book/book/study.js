// Small conveniences of the pages; everything can be read without them.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const origin = document.getElementById("origin");
  const open = () => { if (origin && location.hash === "#origin") origin.open = true; };
  window.addEventListener("hashchange", open);
  open();
  const wide = [...document.querySelectorAll(".study-scroll, .study-figure")].map((box) => {
    const hint = document.createElement("p");
    hint.className = "study-hint";
    hint.textContent = box.matches(".study-figure") ? "swipe sideways, or tap to open the figure alone →" : "scroll sideways →";
    box.before(hint);
    return [box, hint];
  });
  const measure = () => { for (const [box, hint] of wide) hint.hidden = box.scrollWidth <= box.clientWidth + 2; };
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
