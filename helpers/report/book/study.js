// Small conveniences of the pages; everything can be read without them.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const origin = document.getElementById("origin");
  const open = () => { if (origin && location.hash === "#origin") origin.open = true; };
  window.addEventListener("hashchange", open);
  open();
  const codes = [...document.querySelectorAll("div.cell details.hide")], title = document.querySelector("main article h1");
  if (!codes.length || !title) return;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "study-code";
  const say = () => { button.textContent = codes.every((d) => d.open) ? "Hide all code of this page" : "Show all code of this page"; };
  button.addEventListener("click", () => {
    const show = !codes.every((d) => d.open);
    for (const d of codes) d.open = show;
    say();
  });
  say();
  title.after(button);
});
