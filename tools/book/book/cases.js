// The case browser: a sorted list of the test images and one case, drawn from runs of class letters. No library.
"use strict";
(() => {
  const data = window.STUDY_CASES, root = document.getElementById("cases");
  const byId = new Map(data.cases.map((c) => [c.id, c])), layers = new Map();
  const reference = data.synthetic ? "True outline" : "Drawn by hand";
  const views = [["image", "Image alone"], ["reference", reference], ...data.models.map((m) => [m.name, m.label])];
  const label = Object.fromEntries(views);
  const WRONG = [["Outlined, but should not be", "#E69F00"], ["Missed", "#56B4E9"], ["Wrong structure", "#CC79A7"]];
  const state = { case: null, net: data.headline, class: data.target, sort: "dice", down: 0, left: "reference",
    right: data.headline, wipe: 50, contour: 1, error: 0, safe: 0, find: "", patient: "", where: "" };
  const WEAK = 0.5, BANDS = { bmi: [18.5, 25, 30], age: [40, 60] };
  const depths = [...new Set(data.cases.map((c) => c.depth).filter((d) => d !== undefined))].sort((a, b) => a - b);
  if (depths.length > 3) BANDS.depth = [depths[Math.floor(depths.length / 3)], depths[Math.floor(2 * depths.length / 3)]];
  const NAMES = { sex: "Sex", age: "Age", bmi: "BMI", device: "Device", depth: "Depth (cm)", failed: "Outline" };
  // what a case is in a filter: a band of a number, a word, or whether the chosen outline failed (Dice below WEAK)
  function group(c, key) {
    if (key === "failed") return score(c, "dice") === null ? "no score" : score(c, "dice") < WEAK ? "failed" : "not failed";
    const v = c[key], cuts = BANDS[key];
    if (v === undefined || v === null) return "unknown";
    if (!cuts) return String(v);
    const at = cuts.filter((cut) => v >= cut).length;
    return at === 0 ? `below ${cuts[0]}` : at === cuts.length ? `${cuts[at - 1]} or more` : `${cuts[at - 1]} to below ${cuts[at]}`;
  }
  // "age,40,60": from 40 to below 60, a group of a table that links here; unknown values are in none
  const WHERE = /^(age|bmi),([\d.]*),([\d.]*)$/;
  function within(c) {
    const [, key, least, below] = WHERE.exec(state.where) ?? [];
    return !key || (c[key] >= Number(least) && c[key] < (below ? Number(below) : Infinity));
  }
  const filters = Object.keys(NAMES).filter((key) => key === "failed" || new Set(data.cases.map((c) => group(c, key))).size > 1);
  for (const key of filters) state[key] = "";
  const NUMBERS = ["down", "wipe", "contour", "error", "safe"];
  const columns = [["id", "Image"], ["dice", "Dice"], ["hd95", `HD95 (${data.unit})`], ["patient", "Patient"],
    ["sex", "Sex"], ["age", "Age"], ["bmi", "BMI"], ["device", "Device"]]
    .filter(([key]) => ["id", "dice", "hd95"].includes(key) || new Set(data.cases.map((c) => c[key])).size > 1);

  function make(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else node.setAttribute(key, value);
    }
    node.append(...children);
    return node;
  }
  const choice = (name, text, options, key) => make("label", {}, `${text} `,
    make("select", { name, onchange: (e) => set({ [key]: e.target.value }) },
      ...options.map(([value, shown]) => make("option", { value }, shown))));
  const toggle = (name, text, key) => make("button", { type: "button", name, "aria-pressed": "false",
    onclick: () => set({ [key]: 1 - state[key] }) }, text);

  const score = (c, key) => (c.scores[state.net]?.[state.class] ?? [null, null])[key === "dice" ? 0 : 1];
  const value = (c, key) => (key === "dice" || key === "hd95" ? score(c, key) : c[key] ?? null);
  const words = (v, key) => (v === null ? "–" : key === "dice" ? v.toFixed(3) : key === "hd95" || key === "bmi" ? v.toFixed(1) : String(v));

  // ---- the list
  const body = make("tbody"), head = make("tr");
  const heads = columns.map(([key, text]) => {
    const th = make("th", { scope: "col" }, make("button", { type: "button", onclick: () =>
      set(state.sort === key ? { down: 1 - state.down } : { sort: key, down: key === "hd95" ? 1 : 0 }) }, text));
    head.append(th);
    return [key, th];
  });
  const rows = new Map(data.cases.map((c) => {
    const cells = columns.slice(1).map(([key]) => make("td", { "data-key": key }, words(value(c, key), key)));
    const open = make("button", { type: "button", onclick: () => {
      set({ case: c.id });
      if (view.getBoundingClientRect().bottom < 100) view.scrollIntoView();  // on a phone the list lies below the picture
    } },
      make("img", { src: `cases/${c.id}.webp`, alt: "", loading: "lazy", width: 34, height: 34 }), c.id);
    return [c.id, make("tr", {}, make("td", {}, open), ...cells)];
  }));
  const find = make("input", { type: "search", name: "find", placeholder: "image, patient, device …",
    oninput: (e) => set({ find: e.target.value }) });
  const count = make("span", { role: "status" }), chosen = make("strong"), strip = make("div", { class: "cases-strip", role: "group", "aria-label": "Patients" });
  const order = (text) => (text.startsWith("below") ? -1 : Number.parseFloat(text) || 1e9);
  const list = make("div", { class: "cases-list", tabindex: 0, role: "region", "aria-label": "List of cases" },
    make("table", {}, make("thead", {}, head), body));

  function shownCases() {
    const wanted = state.find.toLowerCase();
    const kept = data.cases.filter((c) => filters.every((key) => !state[key] || group(c, key) === state[key])
      && within(c) && (!state.patient || c.patient === state.patient)).filter((c) => !wanted || [c.id, c.patient, c.sex, c.device].some((v) => String(v ?? "").toLowerCase().includes(wanted)));
    const side = state.down ? -1 : 1;
    return kept.sort((a, b) => {
      const [x, y] = [value(a, state.sort), value(b, state.sort)];
      if (x === null || y === null) return (x === null) - (y === null);
      return (x < y ? -side : x > y ? side : 0) || (a.id < b.id ? -1 : 1);
    });
  }

  // ---- one case
  const title = make("h2", { "aria-live": "polite" }), facts = make("p", { class: "cases-row" });
  const image = make("img", { alt: "" }), under = make("canvas"), over = make("canvas"), line = make("div", { class: "line" });
  const leftTag = make("span", { class: "tag" }), rightTag = make("span", { class: "tag right" });
  const stage = make("div", { class: "cases-stage", role: "img" }, image, under, over, line, leftTag, rightTag);
  const bar = make("div", { class: "bar" });
  stage.append(bar);
  const wipe = make("input", { type: "range", min: 0, max: 100, class: "cases-wipe", name: "wipe",
    "aria-label": "Where the left picture ends and the right one begins", oninput: (e) => set({ wipe: Number(e.target.value) }) });
  const legend = make("p", { class: "cases-row cases-legend" }), scores = make("table", { class: "cases-scores" });
  const link = make("a", { href: "#" }, "Link to this case");
  const view = make("section", { class: "cases-view", "aria-label": "The chosen case" },
    make("div", { class: "cases-row" },
      make("button", { type: "button", name: "previous", onclick: () => step(-1) }, "← Previous"),
      make("button", { type: "button", name: "next", onclick: () => step(1) }, "Next →"), link),
    title, facts, stage, wipe,
    make("div", { class: "cases-row" }, choice("left", "Left", views, "left"), choice("right", "Right", views, "right")),
    make("div", { class: "cases-row" }, toggle("contour", "Outline only", "contour"), toggle("error", "Show errors", "error"),
      toggle("safe", "Colours for colour-blind readers", "safe")),
    legend, scores,
    make("details", { class: "study-log" }, make("summary", {}, "Keys"), make("p", {}, ...[
      ["→ ←", "next, previous case"], ["1 2 …", "network on the right"], ["0", "image alone on the right"],
      ["[ ]", "move the slider"], ["f", "fill or outline"], ["e", "errors"], ["c", "colours"]]
      .flatMap(([key, text]) => [make("kbd", {}, key), ` ${text}  `]))));
  root.append(make("div", {},
    make("div", { class: "cases-row" }, choice("net", "Scores of", data.models.map((m) => [m.name, m.label]), "net"),
      choice("class", "for", data.classes.map((c) => [c.name, c.name.replaceAll("_", " ")]), "class"),
      make("label", {}, "Find ", find), count),
    make("div", { class: "cases-row" }, ...filters.map((key) => choice(key, NAMES[key], [["", "all"],
      ...(key === "failed" ? ["failed", "not failed", "no score"] : [...new Set(data.cases.map((c) => group(c, key)))]).sort((a, b) => order(a) - order(b) || (a < b ? -1 : 1)).map((v) => [v, v])], key)),
      make("button", { type: "button", name: "all", onclick: () => set({ ...Object.fromEntries(filters.map((k) => [k, ""])), patient: "", find: "", where: "" }) }, "Show all"), chosen),
    strip, list), view);

  window.caseLoaded = (id, found) => {
    layers.set(id, Object.fromEntries(Object.entries(found).map(([name, text]) => [name, Outline.decode(text, data.size)])));
    if (id === state.case) drawCase();
  };

  function paint(canvas, which) {
    const [high, wide] = byId.get(state.case).shape, scale = Math.max(1, 720 / Math.max(high, wide));
    canvas.width = Math.round(wide * scale);
    canvas.height = Math.round(high * scale);
    const found = layers.get(state.case);
    if (which === "image" || !found) return;
    let mask = found[which], colours = ["", ...data.classes.map((c) => (state.safe ? c.safe : c.colour))];
    if (state.error && which !== "reference") {
      const truth = found.reference;
      mask = mask.map((v, i) => (v === truth[i] ? 0 : truth[i] === 0 ? 1 : v === 0 ? 2 : 3));
      colours = ["", ...WRONG.map(([, colour]) => colour)];
    }
    const pen = canvas.getContext("2d");
    pen.globalAlpha = state.contour ? 1 : 0.5;
    colours.forEach((colour, value) => {
      if (!value) return;
      if (state.contour) Outline.stroke(canvas, mask, data.size, value, colour, Math.max(2, canvas.width / 280));
      else Outline.fill(canvas, mask, data.size, value, colour);
    });
  }

  // a bar of a round number of centimetres, at most a third of the picture
  function drawBar(c) {
    const cm = [10, 5, 2, 1, 0.5].find((n) => c.mm && 10 * n <= c.mm / 3);
    bar.hidden = !cm;
    if (!cm) return;
    bar.style.width = `${(1000 * cm) / c.mm}%`;
    bar.textContent = `${cm} cm`;
  }

  function drawStrip() {
    const of = new Map();
    for (const c of data.cases) if (c.patient) of.set(c.patient, [...(of.get(c.patient) ?? []), score(c, "dice")]);
    strip.hidden = of.size < 2;
    const mean = (values) => {
      const known = values.filter((v) => v !== null);
      return known.length ? known.reduce((a, b) => a + b) / known.length : null;
    };
    const open = [...of].map(([name, values]) => [name, mean(values)]).sort((a, b) => (a[1] ?? 2) - (b[1] ?? 2));
    strip.replaceChildren(make("span", {}, "Patients, lowest mean Dice first:"), ...open.map(([name, value]) => make("button", {
      type: "button", "aria-pressed": String(state.patient === name), class: value !== null && value < WEAK ? "weak" : "",
      onclick: () => set({ patient: state.patient === name ? "" : name }) }, `${name} ${words(value, "dice")}`)));
  }

  function drawCase() {
    const c = byId.get(state.case);
    title.textContent = `Image ${c.id}`;
    facts.textContent = [c.patient && `patient ${c.patient}`, c.sex, c.age !== undefined && `${c.age} years`,
      c.bmi !== undefined && `BMI ${c.bmi.toFixed(1)}`, c.depth !== undefined && `depth ${c.depth} cm`, c.device].filter(Boolean).join(" · ") || "Nothing is known about the patient.";
    if (image.dataset.id !== c.id) {
      image.dataset.id = c.id;
      image.src = `cases/${c.id}.webp`;
      if (!layers.has(c.id)) document.head.append(make("script", { src: `cases/${c.id}.js` }));
    }
    stage.style.aspectRatio = `${c.shape[1]} / ${c.shape[0]}`;
    drawBar(c);
    paint(under, state.left);
    paint(over, state.right);
    under.style.clipPath = `inset(0 ${100 - state.wipe}% 0 0)`;
    over.style.clipPath = `inset(0 0 0 ${state.wipe}%)`;
    line.style.left = `${state.wipe}%`;
    leftTag.textContent = label[state.left];
    rightTag.textContent = label[state.right];
    stage.setAttribute("aria-label", `Ultrasound image ${c.id}; left ${label[state.left]}, right ${label[state.right]}`);
    const keys = state.error ? WRONG : data.classes.map((k) => [k.title, state.safe ? k.safe : k.colour]);
    legend.replaceChildren(...keys.map(([text, colour]) => {
      const box = make("i");
      box.style.background = colour;
      return make("span", {}, box, text);
    }));
    const cells = (m) => data.classes.map((k) => {
      const [dice, hd95] = c.scores[m.name]?.[k.name] ?? [null, null];
      return make("td", {}, `${words(dice, "dice")} / ${words(hd95, "hd95")}`);
    });
    scores.replaceChildren(
      make("caption", {}, `Dice / HD95 in ${data.unit}; – for a distance where an outline is missing`),
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Network"), ...data.classes.map((k) => make("th", { scope: "col" }, k.name.replaceAll("_", " "))))),
      make("tbody", {}, ...data.models.map((m) => make("tr", {}, make("th", { scope: "row" }, m.label), ...cells(m)))));
  }

  // ---- state, address, keys
  function address() {
    const kept = ["case", "net", "class", "left", "right", "contour", "error", "safe", "patient", "where", ...filters].map((k) => [k, state[k]]);
    return `#${new URLSearchParams(kept)}`;
  }
  function step(by) {
    const ids = shownCases().map((c) => c.id), at = ids.indexOf(state.case);
    if (ids.length) set({ case: ids[Math.min(ids.length - 1, Math.max(0, at + by))] });
    rows.get(state.case).scrollIntoView({ block: "nearest" });
  }
  function set(change) {
    Object.assign(state, change);
    if (change.net) state.right = change.net;
    const cases = shownCases();
    if (!state.case) state.case = cases[0].id;
    if (cases.length && !cases.some((c) => c.id === state.case) && !change.case) state.case = cases[0].id;
    if (Object.keys(change).some((k) => ["net", "class", "sort", "down", "find", "case", "patient", "where", ...filters].includes(k)) || !body.children.length) {
      for (const [id, row] of rows) {
        row.classList.toggle("chosen", id === state.case);
        for (const cell of row.querySelectorAll("[data-key]")) cell.textContent = words(value(byId.get(id), cell.dataset.key), cell.dataset.key);
      }
      drawStrip();
      body.replaceChildren(...cases.map((c) => rows.get(c.id)));
      const [, key, least, below] = WHERE.exec(state.where) ?? [];
      chosen.textContent = key ? `Only ${NAMES[key]} ${[least && `${least} or more`, below && `below ${below}`].filter(Boolean).join(", ")}` : "";
      count.textContent = cases.length === data.cases.length ? `${cases.length} cases` : `${cases.length} of ${data.cases.length} cases`;
      for (const [key, th] of heads) th.setAttribute("aria-sort", key !== state.sort ? "none" : state.down ? "descending" : "ascending");
    }
    for (const box of root.querySelectorAll("select, input")) box.value = state[box.name];
    for (const name of ["contour", "error", "safe"]) root.querySelector(`[name=${name}]`).setAttribute("aria-pressed", String(Boolean(state[name])));
    drawCase();
    link.href = address();
    if (location.hash !== link.hash) location.replace(link.href);
  }
  function fromAddress() {
    const given = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
    const known = { case: byId, net: new Set(data.models.map((m) => m.name)), class: new Set(data.classes.map((c) => c.name)),
      left: new Set(Object.keys(label)), right: new Set(Object.keys(label)) };
    const change = {};
    for (const [key, text] of Object.entries(given)) {
      if (NUMBERS.includes(key)) change[key] = Number(text) || 0;
      else if (known[key]?.has(text) || (key === "where" && (!text || WHERE.test(text)))) change[key] = text;
      else if (key === "patient" || filters.includes(key)) change[key] = data.cases.some((c) => (key === "patient" ? c.patient : group(c, key)) === text) || key === "failed" ? text : "";
    }
    const right = change.right ?? change.net ?? state.right;
    set(change);
    if (right !== state.right) set({ right });
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
    const actions = { ArrowRight: () => step(1), ArrowLeft: () => step(-1), "[": () => set({ wipe: Math.max(0, state.wipe - 5) }),
      "]": () => set({ wipe: Math.min(100, state.wipe + 5) }), f: () => set({ contour: 1 - state.contour }),
      e: () => set({ error: 1 - state.error }), c: () => set({ safe: 1 - state.safe }), 0: () => set({ right: "image" }) };
    data.models.forEach((m, i) => { actions[i + 1] = () => set({ right: m.name }); });
    if (actions[event.key]) { event.preventDefault(); actions[event.key](); }
  });
  window.addEventListener("hashchange", () => { if (location.hash !== link.hash) fromAddress(); });
  fromAddress();
})();
