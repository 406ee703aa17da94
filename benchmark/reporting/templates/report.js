"use strict";

const byId = (id) => document.getElementById(id);

/** Make an element; text is text, never markup. */
function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function labeled(text, control) {
  return make("label", {}, `${text} `, control);
}

// Theme: that of the system until the button is pressed.
function followTheme() {
  const button = byId("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
  const show = () => button.setAttribute("aria-pressed", String(isDark()));
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    show();
  });
  system.addEventListener("change", show);
  show();
}

// Tables: every column with a sort key gets a button; what has no key is last.
const keyOf = (row, place) => row.cells[place].dataset.key;

function compareKeys(a, b) {
  const numbers = [Number(a), Number(b)];
  return numbers.some(Number.isNaN) ? a.localeCompare(b) : numbers[0] - numbers[1];
}

function sortRows(rows, place, order) {
  const sign = order === "ascending" ? 1 : -1;
  const known = rows.filter((row) => keyOf(row, place) !== undefined);
  const unknown = rows.filter((row) => keyOf(row, place) === undefined);
  known.sort((a, b) => sign * compareKeys(keyOf(a, place), keyOf(b, place)));
  return [...known, ...unknown];
}

function makeSortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  const bodies = Object.fromEntries([...table.tBodies].map((body) => [body.dataset.kind, body]));
  const mixed = make("input", { type: "checkbox" });
  const sort = () => {
    const place = heads.findIndex((head) => head.hasAttribute("aria-sort"));
    const rows = [...table.querySelectorAll("tbody tr")];
    const ranked = place < 0 ? rows : sortRows(rows, place, heads[place].getAttribute("aria-sort"));
    for (const row of ranked) {
      const kind = row.className;
      bodies[mixed.checked && kind === "baselines" ? "variants" : kind].append(row);
    }
  };
  for (const head of heads.filter((cell) => cell.dataset.sort)) {
    const button = make("button", { type: "button" }, ...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const opposite = { ascending: "descending", descending: "ascending" };
      const order = opposite[head.getAttribute("aria-sort")] ?? head.dataset.sort;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", order);
      sort();
    });
  }
  mixed.addEventListener("change", sort);
  const control = make("label", {}, mixed, " Rank baselines among the variants");
  table.parentElement.before(make("div", { className: "controls" }, control));
}

// Claims: places whose verdict is not the chosen one are hidden, and claims that have no other.
function filterClaims() {
  const chooser = byId("claims-filter");
  const bodies = [...document.querySelectorAll("table.claims tbody")];
  const show = () => {
    let claims = 0;
    for (const body of bodies) {
      const rows = [...body.querySelectorAll("[data-verdict]")];
      rows.forEach((row) => (row.hidden = chooser.value !== "" && row.dataset.verdict !== chooser.value));
      body.hidden = rows.every((row) => row.hidden);
      claims += !body.hidden;
    }
    byId("claims-shown").value = `${claims} of ${bodies.length} claims shown`;
  };
  chooser.addEventListener("change", show);
  show();
}

// Plots of one kind in a place: one is shown, and a selection says which.
function choosePanel(figure) {
  const panels = [...figure.querySelectorAll(".panel")];
  const chooser = make("select", {}, ...panels.map((panel) => new Option(panel.dataset.name)));
  const show = () => panels.forEach((panel, i) => panel.classList.toggle("chosen", i === chooser.selectedIndex));
  chooser.addEventListener("change", show);
  show();
  if (panels.length > 1) {
    panels[0].before(make("div", { className: "controls" }, labeled(figure.dataset.choice, chooser)));
  }
}

// Gallery.
const INPUT = "masked input";
const TRUTH = "truth";
const GRAY = "rgb(128 128 128)";
const FULL = 3; // an error of a third of the range is the brightest

class Suite {
  constructor(data) {
    Object.assign(this, data);
    this.sheets = new Map();
    this.count = this.boxes.length;
  }

  /** Decode the pictures once they are wanted. */
  async load() {
    const sources = [[TRUTH, this.truth], ...this.methods.map((method) => [method.name, method.sheet])];
    const decoded = sources.map(async ([name, source]) => {
      const image = make("img", { src: source });
      await image.decode();
      this.sheets.set(name, image);
    });
    await Promise.all(decoded);
  }

  score(method, metric, i) {
    return this.methods.find((entry) => entry.name === method)?.scores[metric]?.[i] ?? null;
  }

  /** Draw an image as a method completed it. */
  draw(context, name, i) {
    const { side, cell, across } = this;
    const [x0, y0, x1, y1] = this.boxes[i];
    const [width, height] = [x1 - x0, y1 - y0];
    const [column, row] = [i % across, Math.floor(i / across)];
    context.drawImage(this.sheets.get(TRUTH), column * side, row * side, side, side, 0, 0, side, side);
    if (name === INPUT) {
      context.fillStyle = GRAY;
      context.fillRect(x0, y0, width, height);
    } else if (name !== TRUTH) {
      context.drawImage(this.sheets.get(name), column * cell, row * cell, width, height, x0, y0, width, height);
    }
  }

  /** Draw how far off a method is: dark where it is right, bright where it is wrong. */
  drawDifference(context, name, i) {
    const [truth, ours] = [TRUTH, name].map((what) => {
      this.draw(context, what, i);
      return context.getImageData(0, 0, this.side, this.side);
    });
    for (let p = 0; p < truth.data.length; p += 4) {
      const errors = [0, 1, 2].map((c) => Math.abs(truth.data[p + c] - ours.data[p + c]));
      const share = Math.min(1, (FULL * Math.max(...errors)) / 255);
      ours.data.set([0, 1, 2].map((c) => 255 * Math.min(1, Math.max(0, FULL * share - c))), p);
    }
    context.putImageData(ours, 0, 0);
  }

  canvas(words) {
    const canvas = make("canvas", { width: this.side, height: this.side });
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", words);
    return canvas;
  }

  called(i) {
    return `Image ${i + 1}${this.labels[i] ? `, ${this.labels[i]}` : ""}`;
  }

  /** Return the numbers of images in an order; those without a score are last. */
  ordered(order, method) {
    const every = [...Array(this.count).keys()];
    if (order === "random") return every.map((i) => [Math.random(), i]).sort((a, b) => a[0] - b[0]).map(([, i]) => i);
    const variants = this.methods.filter((entry) => entry.kind === "variant");
    const spread = (i) => {
      const scores = variants.map((entry) => entry.scores.mse_h[i]).filter((score) => score !== null);
      return scores.length ? Math.max(...scores) - Math.min(...scores) : null;
    };
    const mse = (i) => this.score(method, "mse_h", i);
    const ranks = { best: mse, worst: (i) => -mse(i), disagreement: (i) => -spread(i) };
    return order in ranks ? every.sort((a, b) => ranks[order](a) - ranks[order](b) || a - b) : every;
  }
}

function startGallery() {
  const source = byId("gallery-data");
  if (!source) return;
  const suites = JSON.parse(source.textContent).map((data) => new Suite(data));
  const control = Object.fromEntries(
    ["suite", "left", "right", "order", "count", "outline", "difference", "again"].map((key) => [key, byId(`gallery-${key}`)]),
  );
  const dialog = byId("gallery-all");
  let suite = suites[0];

  function fill(select, groups) {
    select.replaceChildren(
      ...groups.map(([label, names]) => make("optgroup", { label }, ...names.map((name) => new Option(name)))),
    );
  }

  async function chooseSuite() {
    const chosen = suites[control.suite.selectedIndex];
    await chosen.load();
    if (suites[control.suite.selectedIndex] !== chosen) return; // another one was chosen meanwhile
    suite = chosen;
    const named = (kind) => suite.methods.filter((entry) => entry.kind === kind).map((entry) => entry.name);
    const groups = [["variants", named("variant")], ["baselines", named("baseline")]];
    fill(control.left, [["image", [INPUT, TRUTH]], ...groups]);
    fill(control.right, [...groups, ["image", [TRUTH]]]);
    show();
  }

  function facts(name, i) {
    const forms = { mse_h: ["mse", 4], ssim_h: ["SSIM", 3] };
    const known = Object.entries(forms).filter(([metric]) => suite.score(name, metric, i) !== null);
    return known.map(([metric, [word, digits]]) => `${word} ${suite.score(name, metric, i).toFixed(digits)}`).join(" · ");
  }

  function hole(i) {
    const outline = make("div", { className: "outline" });
    const [x0, y0, x1, y1] = suite.boxes[i].map((place) => `${(100 * place) / suite.side}%`);
    Object.assign(outline.style, { left: x0, top: y0, right: `calc(100% - ${x1})`, bottom: `calc(100% - ${y1})` });
    return outline;
  }

  function card(i) {
    const [left, right] = [control.left.value, control.right.value];
    const canvas = suite.canvas(`${suite.called(i)}: ${left} left of the divider, ${right} right of it`);
    const range = make("input", { type: "range", min: 0, max: 100, value: 50 });
    range.setAttribute("aria-label", `Divider of ${suite.called(i).toLowerCase()}`);
    const divider = make("div", { className: "divider" });
    const front = suite.canvas("");
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const over = front.getContext("2d", { willReadFrequently: true });
    if (control.difference.checked) suite.drawDifference(over, right, i);
    else suite.draw(over, right, i);
    const move = () => {
      const x = Math.round((range.value / 100) * suite.side);
      suite.draw(context, left, i);
      if (x < suite.side) context.drawImage(front, x, 0, suite.side - x, suite.side, x, 0, suite.side - x, suite.side);
      divider.style.left = `${range.value}%`;
    };
    range.addEventListener("input", move);
    move();
    const stage = make("div", { className: "stage" }, canvas, divider, range);
    if (control.outline.checked) stage.append(hole(i));
    const all = make("button", { type: "button" }, "All methods");
    all.setAttribute("aria-label", `All methods of ${suite.called(i).toLowerCase()}`);
    all.addEventListener("click", () => showAll(i));
    return make("figure", {}, stage, make("figcaption", {}, make("strong", {}, suite.called(i)), facts(right, i)), all);
  }

  function showAll(i) {
    const close = make("button", { type: "button" }, "Close");
    close.addEventListener("click", () => dialog.close());
    const figures = [INPUT, TRUTH, ...suite.methods.map((entry) => entry.name)].map((name) => {
      const canvas = suite.canvas(`${suite.called(i)}: ${name}`);
      const context = canvas.getContext("2d", { willReadFrequently: true });
      if (control.difference.checked && name !== INPUT) suite.drawDifference(context, name, i);
      else suite.draw(context, name, i);
      return make("figure", {}, canvas, make("figcaption", {}, make("strong", {}, name), " ", facts(name, i)));
    });
    const header = make("header", {}, make("h3", {}, suite.called(i)), close);
    dialog.replaceChildren(header, make("div", { className: "all" }, ...figures));
    dialog.showModal();
  }

  function show() {
    const [order, count] = [control.order.value, Number(control.count.value)];
    const chosen = suite.ordered(order, control.right.value).slice(0, count);
    control.again.hidden = order !== "random";
    byId("gallery-cards").replaceChildren(...chosen.map(card));
    const words = control.order.selectedOptions[0].textContent;
    const map = control.difference.checked ? " Right: differences from the truth, dark where there is none." : "";
    byId("gallery-status").textContent =
      `${chosen.length} of ${suite.count} example images of ${suite.title}: ${words}. ` +
      `Scores are those of ${control.right.value}, over the hole.${map}`;
  }

  control.suite.replaceChildren(...suites.map((entry) => new Option(entry.title, entry.name)));
  control.count.selectedIndex = 1;
  control.suite.addEventListener("change", chooseSuite);
  return chooseSuite().then(() => {
    for (const key of ["left", "right", "order", "count", "outline", "difference"]) control[key].addEventListener("change", show);
    control.again.addEventListener("click", show);
  });
}

document.documentElement.classList.add("scripted");
followTheme();
document.querySelectorAll("table.scores").forEach(makeSortable);
document.querySelectorAll(".panels").forEach(choosePanel);
filterClaims();
startGallery();
// What is folded is printed too.
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open])")];
  opened.forEach((part) => (part.open = true));
});
addEventListener("afterprint", () => opened.forEach((part) => (part.open = false)));
