// The blinded reading: one image after another, every outline under a letter, answers kept in this browser. No library.
"use strict";
(() => {
  const data = window.READING, root = document.getElementById("reading"), store = `reading ${data.set}`;
  const GRADES = [["4", "as it is"], ["3", "after small changes"], ["2", "after large changes"], ["1", "not at all"]];
  const YES = [["1", "yes"], ["0", "no"]], loaded = new Map();
  let kept = { reader: "", cases: {} }, at = 0;
  try { kept = JSON.parse(localStorage.getItem(store)) || kept; } catch { warn(); }

  function make(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else if (value !== false) node.setAttribute(key, value);
    }
    node.append(...children);
    return node;
  }
  function warn() {
    document.getElementById("kept").textContent = "This browser keeps nothing: save the file before you close the page.";
  }
  function keep() {
    try { localStorage.setItem(store, JSON.stringify(kept)); } catch { warn(); }
    count();
  }

  const status = make("p", { role: "status" }), title = make("h2", { tabindex: -1 }), cards = make("div", { class: "cards" });
  const plain = make("img", { alt: "The ultrasound image without an outline" });
  const back = make("button", { type: "button", name: "previous", onclick: () => show(at - 1) }, "← Previous image");
  const next = make("button", { type: "button", name: "next", onclick: () => show(at + 1) }, "Next image →");
  const reader = make("input", { name: "reader", value: kept.reader, autocomplete: "off", oninput: () => { kept.reader = reader.value.trim(); keep(); } });
  root.append(title, status, make("figure", { class: "plain" }, plain),
    make("p", { class: "legend" }, ...data.classes.map((c) => {
      const box = make("i");
      box.style.background = c.colour;
      return make("span", {}, box, c.title);
    })), cards, make("p", { class: "row" }, back, next),
    make("p", { class: "row" }, make("label", {}, "Your name or code ", reader),
      make("button", { type: "button", name: "save", onclick: save }, "Save my answers as a file")));

  function answer(letter, question, value) {
    const mine = (kept.cases[data.cases[at].name] ??= {});
    (mine[letter] ??= {})[question] = Number(value);
    keep();
  }
  const given = (letter, question) => kept.cases[data.cases[at].name]?.[letter]?.[question];

  function buttons(letter, question, text, options) {
    return make("fieldset", {}, make("legend", {}, text), ...options.map(([value, shown]) => make("label", {},
      make("input", { type: "radio", name: `${letter} ${question}`, value, checked: String(given(letter, question)) === value && "",
        onchange: () => answer(letter, question, value) }), ` ${shown}`)));
  }
  function place(letter) {
    const options = [["", "–"], ...data.letters.map((_, i) => [String(i + 1), String(i + 1)])];
    return make("label", { class: "place" }, `Place of ${letter} (1 is the best; two may share one) `,
      make("select", { name: `${letter} rank`, onchange: (e) => (e.target.value ? answer(letter, "rank", e.target.value) : forget(letter)) },
        ...options.map(([value, shown]) => make("option", { value, selected: String(given(letter, "rank") ?? "") === value && "" }, shown))));
  }
  function forget(letter) {
    delete kept.cases[data.cases[at].name]?.[letter]?.rank;
    keep();
  }

  function show(number) {
    at = Math.min(data.cases.length - 1, Math.max(0, number));
    const c = data.cases[at];
    title.textContent = `Image ${at + 1} of ${data.cases.length}`;
    plain.src = `readers/${c.name}.webp`;
    back.disabled = at === 0;
    next.disabled = at === data.cases.length - 1;
    cards.replaceChildren(...data.letters.map((letter) => make("section", { class: "card", "aria-label": `Outline ${letter}` },
      make("h3", {}, letter),
      make("div", { class: "stage" }, make("img", { src: `readers/${c.name}.webp`, alt: "" }),
        make("canvas", { "data-letter": letter, width: c.width, height: c.height, role: "img", "aria-label": `Image with outline ${letter}` })),
      buttons(letter, "found", `Found? The ${data.target} is outlined where it is.`, YES),
      buttons(letter, "safe", "Safe? Nothing that could lead a needle astray.", YES),
      buttons(letter, "acceptable", "Acceptable for your work?", GRADES), place(letter))));
    if (loaded.has(c.name)) draw();
    else document.head.append(make("script", { src: `readers/${c.name}.js` }));
    count();
    scrollTo(0, 0);
  }
  window.readingLoaded = (name, layers) => {
    loaded.set(name, Object.fromEntries(Object.entries(layers).map(([letter, text]) => [letter, Outline.decode(text, data.size)])));
    if (name === data.cases[at].name) draw();
  };
  function draw() {
    const layers = loaded.get(data.cases[at].name);
    for (const canvas of cards.querySelectorAll("canvas")) {
      for (const c of data.classes) Outline.stroke(canvas, layers[canvas.dataset.letter], data.size, c.index, c.colour, Math.max(2, canvas.width / 250));
      canvas.dataset.drawn = "yes";
    }
  }
  function count() {
    const done = Object.values(kept.cases).flatMap((c) => Object.values(c)).filter((a) => Object.keys(a).length === 4).length;
    status.textContent = `${done} of ${data.cases.length * data.letters.length} outlines judged in full. You may stop after any image.`;
  }
  function save() {
    if (!kept.reader) { reader.focus(); status.textContent = "Please give your name or code first."; return; }
    const text = JSON.stringify({ set: data.set, saved: new Date().toISOString(), ...kept }, null, 1);
    const link = make("a", { href: URL.createObjectURL(new Blob([text], { type: "application/json" })),
      download: `answers_${kept.reader.replace(/[^\w-]+/g, "_")}.json` });
    document.body.append(link);
    link.click();
    link.remove();
  }
  show(data.cases.findIndex((c) => !kept.cases[c.name]));
})();
