"use strict";

// Tables: a click on a heading sorts by it, a second one turns the order. What has no value stays last.
function sortTable(table, column, heading) {
  const body = table.tBodies[0];
  const keyed = Array.from(body.rows, (row, place) => {
    const cell = row.cells[column];
    const text = cell.dataset.sort === undefined ? cell.textContent.trim() : cell.dataset.sort;
    return { row, place, text, number: text === "" ? NaN : Number(text) };
  });
  const numeric = keyed.every((one) => one.text === "" || !Number.isNaN(one.number));
  const was = heading.getAttribute("aria-sort");
  const first = numeric ? "descending" : "ascending";
  const order = was === "none" ? first : was === "ascending" ? "descending" : "ascending";
  const sign = order === "ascending" ? 1 : -1;
  keyed.sort((a, b) => {
    if ((a.text === "") !== (b.text === "")) return a.text === "" ? 1 : -1;
    const difference = numeric && a.text !== "" ? a.number - b.number
      : a.text.localeCompare(b.text, undefined, { numeric: true });
    return sign * difference || a.place - b.place;
  });
  for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
  heading.setAttribute("aria-sort", order);
  body.append(...keyed.map((one) => one.row));
}

for (const table of document.querySelectorAll("table.sortable")) {
  Array.from(table.tHead.rows[0].cells).forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => sortTable(table, column, heading));
  });
}

// Pictures under a slider: the strip holds them, the stage above shows two.
function make(name, className, parent) {
  const made = document.createElement(name);
  made.className = className;
  parent.append(made);
  return made;
}

function buildStage(compare) {
  const figures = Array.from(compare.querySelectorAll("figure"));
  const stage = document.createElement("div");
  stage.className = "stage";
  const under = make("img", "under", stage);
  const over = make("img", "over", stage);
  const names = [make("span", "name left", stage), make("span", "name right", stage)];
  const grip = make("span", "grip", stage);
  grip.textContent = "↔";
  grip.setAttribute("aria-hidden", "true");
  const range = make("input", "", stage);
  Object.assign(range, { type: "range", min: "0", max: "100", step: "1", value: "50" });
  const labelOf = (figure) => figure.querySelector(".label").textContent;
  let left = figures.find((figure) => figure.dataset.left !== undefined) || figures[0];
  let right = figures.find((figure) => figure.dataset.right !== undefined) || figures[1];

  function show() {
    const pairs = [[under, left, names[0]], [over, right, names[1]]];
    for (const [image, figure, name] of pairs) {
      const source = figure.querySelector("img");
      image.src = source.src;
      image.alt = source.alt;
      image.width = source.width;
      image.height = source.height;
      name.textContent = labelOf(figure);
    }
    range.setAttribute("aria-label",
      `Line between ${labelOf(left)} (left) and ${labelOf(right)} (right): ${compare.dataset.alt}`);
    for (const figure of figures) {
      figure.classList.toggle("on-left", figure === left);
      figure.classList.toggle("on-right", figure === right);
      figure.querySelector("button").setAttribute("aria-pressed", String(figure === right));
    }
    move();
  }

  function move() {
    stage.style.setProperty("--split", `${range.value}%`);
    range.setAttribute("aria-valuetext", `${range.value}% ${labelOf(left)}`);
  }

  range.addEventListener("input", move);
  for (const figure of figures) {
    const image = figure.querySelector("img");
    const button = document.createElement("button");
    button.type = "button";
    button.title = "Show right of the line; with Shift: left of it";
    image.replaceWith(button);
    button.append(image);
    button.addEventListener("click", (event) => {
      if (event.shiftKey) [left, right] = [figure, figure === right ? left : right];
      else [left, right] = [figure === left ? right : left, figure];
      show();
    });
  }
  compare.prepend(stage);
  show();
}

// Built when they come near the screen: a report may hold dozens.
const near = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    near.unobserve(entry.target);
    buildStage(entry.target);
  }
}, { rootMargin: "800px" });
for (const compare of document.querySelectorAll(".compare")) near.observe(compare);

// The contents mark the section that is read.
const links = new Map(Array.from(document.querySelectorAll("nav a"), (link) => [link.hash.slice(1), link]));
const seen = new Set();
const reading = new IntersectionObserver((entries) => {
  for (const entry of entries) entry.isIntersecting ? seen.add(entry.target.id) : seen.delete(entry.target.id);
  const current = Array.from(links.keys()).find((id) => seen.has(id));
  for (const [id, link] of links) {
    if (id === current) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
});
for (const section of document.querySelectorAll("main section")) if (links.has(section.id)) reading.observe(section);
