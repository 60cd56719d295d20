// What the page can do beyond being read: choose, sort, filter, show a point's numbers and a cell's
// samples, hand out the CSV files.  Everything it needs stands in the page; it loads nothing.
"use strict";

const root = document.documentElement;
root.classList.add("js");
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
// What comes from a file becomes text or an attribute's value, never markup.
const fill = (element, attributes, children) => {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};
const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const SVG = "http://www.w3.org/2000/svg";
const shape = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

// ---------------------------------------------------------------- the files in the page

const files = JSON.parse(document.getElementById("files").textContent);

function parseCsv(text) {
  const rows = [];
  let row = [], field = "", quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quoted) {
      if (c !== '"') field += c;
      else if (text[i + 1] === '"') field += text[++i];
      else quoted = false;
    } else if (c === '"') quoted = true;
    else if (c === ",") { row.push(field); field = ""; }
    else if (c === "\n") { row.push(field); rows.push(row); row = []; field = ""; }
    else if (c !== "\r") field += c;
  }
  return { columns: rows[0], rows: rows.slice(1) };
}

const parsed = {};
const table = (name) => (parsed[name] ??= parseCsv(files[name]));

function download(name) {
  const link = make("a", { download: name });
  link.href = URL.createObjectURL(new Blob([files[name]], { type: "text/csv" }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// ---------------------------------------------------------------- choices and the address

const choices = all("[data-choice]").map((element) => ({
  name: element.dataset.choice,
  inputs: all("input", element),
}));
// A workload and a device at a time; modes and runs side by side.
const byDefault = { run: "", mode: "" };
const initial = (choice) => byDefault[choice.name] ?? choice.inputs[0].value;

function readAddress() {
  const asked = new URLSearchParams(location.search);
  for (const choice of choices) {
    const value = asked.get(choice.name);
    const wanted = value === "all" ? "" : value;
    const known = choice.inputs.find((input) => input.value === wanted);
    (known ?? choice.inputs.find((input) => input.value === initial(choice))).checked = true;
  }
}

function writeAddress() {
  const state = new URLSearchParams(location.search);
  for (const choice of choices) {
    const value = choice.inputs.find((input) => input.checked).value;
    if (value === initial(choice)) state.delete(choice.name);
    else state.set(choice.name, value || "all");
  }
  const query = state.toString();
  history.replaceState(null, "", location.pathname + (query ? `?${query}` : "") + location.hash);
}

const filtered = all("main :is([data-run], [data-workload], [data-device], [data-mode])");

function applyChoices() {
  const chosen = {};
  for (const choice of choices) chosen[choice.name] = choice.inputs.find((i) => i.checked).value;
  const fits = (element) => Object.entries(chosen).every(
    ([name, value]) => !value || !(name in element.dataset) || element.dataset[name] === value);
  for (const element of filtered) element.hidden = !fits(element);
  // What has lost all its modes is not worth a heading.
  for (const block of all(".plot, .block")) {
    const parts = all("[data-mode]", block);
    if (parts.length && parts.every((part) => part.hidden)) block.hidden = true;
  }
  for (const section of all("main section")) {
    const blocks = all(":scope > [data-workload]", section);
    const empty = blocks.length > 0 && blocks.every((block) => block.hidden);
    let nothing = section.querySelector(":scope > .nothing");
    if (empty && !nothing) {
      nothing = make("p", { class: "nothing note" }, "Nothing was measured here for what is chosen above.");
      section.append(nothing);
    }
    nothing?.classList.toggle("shown", empty);
  }
}

for (const choice of choices) {
  for (const input of choice.inputs) {
    input.addEventListener("change", () => { writeAddress(); applyChoices(); });
  }
}

// ---------------------------------------------------------------- light and dark

const themes = ["system", "light", "dark"];
const remember = (theme) => { try { localStorage.setItem("theme", theme); } catch { /* a file may have no storage */ } };
const remembered = () => { try { return localStorage.getItem("theme"); } catch { return null; } };

function setTheme(theme) {
  if (theme === "system") delete root.dataset.theme;
  else root.dataset.theme = theme;
  document.getElementById("theme").textContent = `Theme: ${theme}`;
}

document.getElementById("theme").addEventListener("click", () => {
  const next = themes[(themes.indexOf(root.dataset.theme ?? "system") + 1) % themes.length];
  remember(next);
  setTheme(next);
});

// ---------------------------------------------------------------- words beside a point

const tip = document.getElementById("tip");
let pointed = null;

function point(target) {
  pointed?.classList.remove("on");
  pointed = target;
  tip.hidden = !target;
  if (!target) return;
  target.classList.add("on");
  tip.textContent = target.dataset.tip;
  const box = target.getBoundingClientRect();
  const left = Math.min(Math.max(box.left + box.width / 2 - tip.offsetWidth / 2, 8),
    root.clientWidth - tip.offsetWidth - 8);
  const above = box.top - tip.offsetHeight - 10;
  tip.style.left = `${left}px`;
  tip.style.top = `${above > 4 ? above : box.bottom + 10}px`;
}

// The middle, for a point's edges move when it is highlighted.
function middle(element) {
  const box = element.getBoundingClientRect();
  return { x: box.left + box.width / 2, y: box.top + box.height / 2 };
}

function nearest(stage, x, y) {
  let best = null, distance = 26;
  for (const candidate of all(".point", stage)) {
    const place = middle(candidate);
    const away = Math.hypot(place.x - x, place.y - y);
    if (away < distance) [best, distance] = [candidate, away];
  }
  return best;
}

for (const stage of all(".stage")) {
  const inOrder = () => all(".point", stage).sort((a, b) => Math.round(middle(a).x - middle(b).x));
  stage.addEventListener("pointermove", (event) => point(nearest(stage, event.clientX, event.clientY)));
  stage.addEventListener("pointerleave", () => point(null));
  stage.addEventListener("blur", () => point(null));
  stage.addEventListener("click", (event) => {
    const target = nearest(stage, event.clientX, event.clientY);
    if (target?.dataset.row) showSamples(Number(target.dataset.row));
  });
  stage.addEventListener("keydown", (event) => {
    const points = inOrder(), now = points.indexOf(pointed);
    const steps = { ArrowRight: now + 1, ArrowLeft: now < 0 ? points.length - 1 : now - 1, Home: 0, End: points.length - 1 };
    if (event.key in steps) {
      event.preventDefault();
      point(points[Math.min(Math.max(steps[event.key], 0), points.length - 1)]);
    } else if (event.key === "Enter" && pointed?.dataset.row) {
      event.preventDefault(); // or the same key would press the dialog's button
      showSamples(Number(pointed.dataset.row));
    } else if (event.key === "Escape") point(null);
  });
}
for (const target of all("button[data-tip]")) {
  for (const event of ["pointerenter", "focus"]) target.addEventListener(event, () => point(target));
  for (const event of ["pointerleave", "blur"]) target.addEventListener(event, () => point(null));
}
document.addEventListener("scroll", () => { if (pointed) point(pointed); }, { passive: true });

// ---------------------------------------------------------------- a cell's samples

function spoken(value, unit) {
  if (unit === "seconds") {
    const [scale, name] = [[1e9, "ns"], [1e6, "µs"], [1e3, "ms"], [1, "s"]]
      .find(([factor]) => value * factor < 999.5) ?? [1, "s"];
    return `${(value * scale).toPrecision(4)} ${name}`;
  }
  if (unit === "bytes") return `${(value / 2 ** 20).toFixed(1)} MiB`;
  return `${value.toPrecision(4)} ${unit}`;
}

function drawSamples(values, cell) {
  const ends = [...values, Number(cell.low), Number(cell.high)].filter((value) => value > 0);
  const low = Math.min(...ends), high = Math.max(...ends), room = (high - low) * 0.06 || low * 0.01;
  const x = (value) => 20 + 560 * (value - low + room) / (high - low + 2 * room);
  const range = cell.low === "" ? [] : [shape("rect", {
    class: "range", x: x(+cell.low).toFixed(1), y: 12, width: (x(+cell.high) - x(+cell.low)).toFixed(1), height: 64,
  })];
  const mean = shape("path", { class: "mean", d: `M${x(+cell.value).toFixed(1)} 12V76` });
  const dots = values.map((value, i) => shape("circle",
    { class: "dot", cx: x(value).toFixed(1), cy: 34 + 9 * (i % 3), r: 6 },
    shape("title", {}, spoken(value, cell.unit))));
  const ticks = [low, high].map((value, i) => shape("text",
    { x: x(value).toFixed(1), y: 98, "text-anchor": i ? "end" : "start" }, spoken(value, cell.unit)));
  const label = `${values.length} samples from ${spoken(Math.min(...values), cell.unit)} to ${spoken(Math.max(...values), cell.unit)}`;
  return shape("svg", { viewBox: "0 0 600 104", role: "img", "aria-label": label }, ...range, mean, ...dots, ...ticks);
}

function showSamples(number) {
  point(null);
  const { columns, rows } = table("results.csv");
  const cell = Object.fromEntries(columns.map((column, i) => [column, rows[number][i]]));
  const values = cell.samples ? cell.samples.split(" ").map(Number) : [];
  const toTape = cell.quantity === "ratio_to_tape";
  if (cell.unit === "ratio") cell.unit = toTape ? "× the tape's time" : "× the yardstick's time";
  const names = ["quantity", "workload", "peer", "gradient", "mode", "device"].map((name) => cell[name]).filter(Boolean);
  document.getElementById("samples-title").textContent =
    names.join(" · ") + (cell.batch ? ` · batch ${cell.batch}` : "");
  const body = document.getElementById("samples-body");
  const again = () => {
    if (cell.bench) body.append(make("p", { class: "note" }, "Measure it again: ", make("code", {}, `manualbp run --bench '${cell.bench}'`)));
    document.getElementById("samples").showModal();
  };
  body.replaceChildren();
  if (cell.status !== "ok") {
    const what = { failed: "Failed", disturbed: "Disturbed: the machine was busy" }[cell.status] ?? cell.status;
    body.append(make("p", {}, `${what}. No value is shown.`));
    body.append(make("p", {}, cell.reason ? `Reason: ${cell.reason}` : "No reason was recorded."));
    if (Number(cell.discarded)) body.append(make("p", {}, `Values discarded: ${cell.discarded}.`));
    again();
    return;
  }
  const interval = cell.low === "" ? "no interval" : `95 % interval ${spoken(+cell.low, cell.unit)} to ${spoken(+cell.high, cell.unit)}`;
  body.append(make("p", {}, `${spoken(+cell.value, cell.unit)}, ${interval}.`));
  if (toTape) {
    body.append(make("p", {}, `As a speedup, tape ÷ gradient: ${(1 / cell.value).toFixed(2)}×` +
      (cell.low === "" ? "." : ` (${(1 / cell.high).toFixed(2)} to ${(1 / cell.low).toFixed(2)}).`)));
  }
  if (values.length) {
    body.append(make("div", {}, drawSamples(values, cell)), make("p", { class: "note" },
      "A dot is one process; the line is their geometric mean, the grey zone its 95 % interval."));
    body.append(make("ol", {}, ...values.map((value) => make("li", {}, spoken(value, cell.unit)))));
  } else body.append(make("p", {}, "asv kept no samples of this cell."));
  if (Number(cell.discarded)) {
    body.append(make("p", {}, `Further values discarded because the machine was busy: ${cell.discarded}.`));
  }
  again();
}

// ---------------------------------------------------------------- tables

const worth = (cell) => {
  const text = cell.dataset.value ?? cell.textContent.trim();
  const number = Number(text === "inf" ? Infinity : text.replaceAll(",", ""));
  return text === "" || Number.isNaN(number) ? text : number;
};

function sortable(element) {
  all("thead th", element).forEach((head, column) => {
    if ("plain" in head.dataset) return;
    const button = make("button", { type: "button" });
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      all("th[aria-sort]", element).forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const body = element.tBodies[0];
      const key = (row) => (row.cells[column] ? worth(row.cells[column]) : "");
      const order = (a, b) => (typeof a === typeof b
        ? (typeof a === "number" ? a - b : a.localeCompare(b))
        : typeof a === "number" ? -1 : 1); // numbers before words
      body.append(...[...body.rows].sort((a, b) => (up ? 1 : -1) * order(key(a), key(b))));
    });
  });
}

const AT_ONCE = 400; // rows; more make a phone slow, and nobody reads them

function fillNumbers(details) {
  const name = details.dataset.table;
  const { columns, rows } = table(name);
  const constant = columns.map((_, i) => rows.length > 1 && rows.every((row) => row[i] === rows[0][i]));
  const shown = columns.map((_, i) => i).filter((i) => !constant[i]);
  const same = columns.map((column, i) => [column, constant[i] && rows[0][i]]).filter(([, value]) => value);
  const search = make("input", { type: "search", "aria-label": "Filter the rows", placeholder: "filter: fused xla 512" });
  const count = make("span", { role: "status" });
  const save = make("button", { type: "button", class: "download" }, "CSV");
  save.addEventListener("click", () => download(name));
  const body = make("tbody");
  const element = make("table", {}, make("thead", {}, make("tr", {},
    ...shown.map((i) => make("th", { scope: "col" }, columns[i])))), body);
  const samples = columns.indexOf("samples");
  const cellOf = (row, i, number) => {
    const text = row[i];
    if (i === samples && text) {
      const open = make("button", { type: "button", class: "plain" }, `${text.split(" ").length} samples`);
      open.addEventListener("click", () => showSamples(number));
      return make("td", {}, open);
    }
    const isNumber = text !== "" && Number.isFinite(Number(text));
    return make("td", isNumber ? { class: "n", "data-value": text } : {},
      isNumber && !/^-?\d+$/.test(text) ? String(Number(Number(text).toPrecision(6))) : text);
  };
  const refill = () => {
    const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = [];
    rows.forEach((row, number) => {
      const fields = row.map((field) => field.toLowerCase());
      // A number must match whole: 1 is not 512.
      if (wanted.every((word) => (/^\d+$/.test(word) ? fields.includes(word)
        : fields.some((field) => field.includes(word))))) found.push(number);
    });
    body.replaceChildren(...found.slice(0, AT_ONCE).map((number) =>
      make("tr", {}, ...shown.map((i) => cellOf(rows[number], i, number)))));
    all("th[aria-sort]", element).forEach((head) => head.removeAttribute("aria-sort"));
    count.textContent = found.length > AT_ONCE ? `${found.length} rows, the first ${AT_ONCE} shown` : `${found.length} rows`;
  };
  search.addEventListener("input", refill);
  refill();
  sortable(element);
  details.append(make("div", { class: "tools" }, search, count, save));
  if (same.length) details.append(make("p", { class: "note" }, `In every row: ${same.map((pair) => pair.join(" ")).join(", ")}.`));
  details.append(make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Numbers: ${name}` }, element));
}

all("table.sortable").forEach(sortable);
for (const details of all("details[data-table]")) {
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) fillNumbers(details);
  });
}
for (const button of all(".download")) button.addEventListener("click", () => download(button.dataset.file));
for (const button of all("td button[data-row]")) {
  button.addEventListener("click", () => showSamples(Number(button.dataset.row)));
}

setTheme(themes.includes(remembered()) ? remembered() : "system");
readAddress();
applyChoices();
if (location.hash.length > 1) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
