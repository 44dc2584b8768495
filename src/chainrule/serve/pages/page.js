// The page: sends the drawing whenever it has changed, and shows what comes back.

import { Drawing } from "/static/drawing.js";

const at = (id) => document.getElementById(id);
const percent = (part) => `${(100 * part).toFixed(part > 0.9995 || part < 0.0005 ? 2 : 1)} %`;

const network = await fetch("/api/network").then((answer) => answer.json());
const drawing = new Drawing(at("pad"), network.side, drawn, (words) => (at("pen").textContent = words));
const short = network.classes.map((name) => name.split(" - ")[0]);
let pupil = null; // the token of the copy that was taught
let asking = false; // one question at a time: the next one is about the newest drawing
let again = false;
let version = 0; // of the drawing: an answer about an older one is not shown over a cleared pad

introduce();

function introduce() {
  const count = network.parameters.toLocaleString("en");
  at("run").textContent = network.run;
  at("about").textContent =
    `A ${network.model} of ${count} parameters, trained on ${network.dataset} for ` +
    `${network.step.toLocaleString("en")} steps. Draw something for it.`;
  document.title = `${network.run}: draw for a network`;
  at("chances").classList.toggle("many", network.classes.length > 12);
  at("chances").tBodies[0].replaceChildren(...network.classes.map(chanceRow));
  at("labels").replaceChildren(...network.classes.map(labelButton));
  at("undo").addEventListener("click", () => drawing.undo());
  at("clear").addEventListener("click", () => drawing.clear());
  at("forget").addEventListener("click", forget);
  at("rate").addEventListener("input", () => (at("rate-said").textContent = rate()));
}

function chanceRow(name) {
  const row = element("tr");
  const head = element("th", name);
  head.scope = "row";
  const bar = element("td"); // the number beside it says the same
  bar.setAttribute("aria-hidden", "true");
  bar.append(element("div", "", "bar"));
  bar.firstChild.append(element("div"));
  row.append(head, bar, element("td", "", "number"));
  return row;
}

function labelButton(name, label) {
  const button = element("button", short[label]);
  button.type = "button";
  button.disabled = true;
  button.title = `It is ${name}`;
  button.addEventListener("click", () => teach(label, button));
  return button;
}

// -- asking --------------------------------------------------------------------------------------

function drawn() {
  version += 1;
  at("undo").disabled = at("clear").disabled = drawing.empty;
  at("hint").hidden = !drawing.empty;
  for (const button of at("labels").children) {
    button.disabled = drawing.empty;
    button.removeAttribute("aria-pressed");
  }
  if (drawing.empty) return blank();
  again = true;
  if (!asking) ask();
}

async function ask() {
  asking = true;
  document.body.dataset.asking = "yes";
  while (again) {
    again = false;
    const about = version;
    const answer = await post("/api/look", pupil ? { pupil } : {});
    if (answer && !drawing.empty && (about === version || again)) show(answer);
  }
  asking = false;
  document.body.dataset.asking = "no"; // the newest drawing is answered
}

// Sends the drawing; shows what is wrong, and returns nothing then.
async function post(path, query) {
  let response;
  try {
    const address = `${path}?${new URLSearchParams(query)}`;
    const headers = { "content-type": "application/octet-stream" };
    response = await fetch(address, { method: "POST", headers, body: drawing.bytes() });
  } catch {
    return trouble("The server does not answer. Is it still running?");
  }
  if (response.ok) {
    trouble("");
    return response.json();
  }
  const { error, cure } = await response.json().catch(() => ({ error: response.statusText }));
  if (response.status === 410) forgotten();
  return trouble(cure ? `${error}: ${cure}.` : `${error}.`);
}

function trouble(words) {
  at("trouble").hidden = !words;
  at("trouble").textContent = words.charAt(0).toUpperCase() + words.slice(1);
}

// -- showing -------------------------------------------------------------------------------------

function show(found) {
  chances(found.probabilities, found.answer);
  const said = at("said");
  said.replaceChildren("It is ", element("b", network.classes[found.answer]), `, ${percent(found.probabilities[found.answer])} sure.`);
  at("time").textContent = `The server took ${found.milliseconds.toFixed(1)} ms${pupil ? "; this is the copy that you taught" : ""}.`;
  picture("seen", found.seen, "What the network gets");
  picture("under", found.seen, "");
  picture("push", found.push, `How each pixel's ink changes the probability of ${network.classes[found.answer]}`);
  at("layers").replaceChildren(...found.layers.map(layerItem));
}

function chances(probabilities, best) {
  [...at("chances").tBodies[0].rows].forEach((row, index) => {
    row.classList.toggle("best", index === best);
    row.querySelector(".bar > div").style.width = `${100 * probabilities[index]}%`;
    row.lastChild.textContent = best < 0 ? "" : percent(probabilities[index]);
  });
}

function blank() {
  chances(network.classes.map(() => 0), -1);
  at("said").textContent = "Nothing yet: there is no drawing.";
  at("time").textContent = "";
  at("lesson").replaceChildren();
  for (const id of ["seen", "under", "push"]) at(id).hidden = true;
  at("layers").replaceChildren();
  trouble("");
}

function picture(id, source, alt) {
  Object.assign(at(id), { src: source, alt, hidden: false });
}

function layerItem(layer) {
  const item = element("li");
  const title = element("h3", `${layer.name} `);
  const more = layer.shape.length === 3 && layer.shown < layer.shape[0] ? `, ${layer.shown} shown` : "";
  title.append(element("span", `${layer.kind} → ${layer.shape.join(" × ")}${more}`));
  const image = element("img");
  image.src = layer.picture;
  image.width = layer.columns;
  image.height = layer.rows;
  image.alt = `${layer.name}: numbers from ${(-layer.scale).toPrecision(3)} to ${layer.scale.toPrecision(3)} at most`;
  item.append(title, image);
  return item;
}

// -- teaching ------------------------------------------------------------------------------------

function rate() {
  return Number((10 ** Number(at("rate").value)).toPrecision(2));
}

async function teach(label, button) {
  const query = { label, rate: rate() };
  if (pupil) query.pupil = pupil;
  const lesson = await post("/api/teach", query);
  if (!lesson) return;
  pupil = lesson.pupil;
  for (const each of at("labels").children) each.setAttribute("aria-pressed", String(each === button));
  at("lesson").replaceChildren(...told(lesson, label));
  at("forget").hidden = false;
  again = true;
  if (!asking) ask();
}

function told(lesson, label) {
  const best = lesson.before.indexOf(Math.max(...lesson.before));
  const rows = [[`p of ${short[label]}, taught`, percent(lesson.before[label]), percent(lesson.after[label])]];
  if (best !== label)
    rows.push([`p of ${short[best]}, said before`, percent(lesson.before[best]), percent(lesson.after[best])]);
  rows.push(["loss, −ln p", lesson.loss[0].toPrecision(3), lesson.loss[1].toPrecision(3)]);
  const moved = Object.entries(lesson.moved).map(([name, ratio]) => `${name} ${(100 * ratio).toPrecision(2)} %`);
  const times = lesson.lessons === 1 ? "One step" : `Step ${lesson.lessons}`;
  return [
    element("p", `${times} of SGD at rate ${rate()}: w ← w − rate · ∂loss/∂w.`),
    table(["", "before", "after"], rows),
    element("p", `The weights moved by, of their norm: ${moved.join(", ")}.`, "about"),
  ];
}

function table(heads, rows) {
  const made = element("table");
  const head = made.createTHead().insertRow();
  head.append(...heads.map((text) => Object.assign(element("th", text), { scope: "col" })));
  const body = made.createTBody();
  for (const [name, before, after] of rows) {
    const title = Object.assign(element("th", name), { scope: "row" });
    body.insertRow().append(title, element("td", before), element("td", after, "after"));
  }
  return made;
}

async function forget() {
  const token = pupil;
  forgotten();
  if (!drawing.empty) drawn();
  await fetch(`/api/forget?${new URLSearchParams({ pupil: token })}`, { method: "POST" }).catch(() => {});
}

function forgotten() {
  pupil = null;
  at("forget").hidden = true;
  at("lesson").replaceChildren();
}

function element(kind, text = "", name = "") {
  const made = document.createElement(kind);
  if (text) made.textContent = text;
  if (name) made.className = name;
  return made;
}
