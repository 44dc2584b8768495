// The walk: one frame at a time, and the graph beside it.

const story = JSON.parse(document.getElementById("data").textContent);
const frames = story.frames;
const $ = (id) => document.getElementById(id);
const SIDE = 104; // of a picture, at most
const KINDS = { start: "Start", forward: "Forward", back: "Back", meeting: "Sum", end: "Result" };
let at = 0;
let playing = null;

const graph = new GraphView(story.graph, $("pane"), 0.6);

// Which gradients are known at each frame.
const gained = [];
{
  const known = new Set();
  for (const frame of frames) {
    for (const value of frame.gains) known.add(value);
    gained.push(new Set(known));
  }
}

// -- numbers -------------------------------------------------------------------------------------

function tensorView(index) {
  const told = story.tensors[index];
  const view = make("div", { class: "tensor" });
  if (told.scalar !== undefined) {
    view.append(make("div", { class: "scalar" }, told.scalar));
  } else if (told.rows) {
    view.append(matrix(told));
    view.append(make("div", { class: "type" }, told.shape));
  } else {
    const row = make("div", { class: "pictures" });
    if (told.image) row.append(picture(told));
    if (told.bars && told.bars.length > 1) row.append(histogram(told.bars));
    const facts = make("dl", { class: "facts" });
    for (const [name, text] of [["shape", told.shape], ...told.facts]) {
      facts.append(make("div", {}, make("dt", {}, name), make("dd", {}, text)));
    }
    view.append(row, facts);
  }
  return view;
}

function matrix({ rows, most }) {
  const table = make("table", { class: "matrix" });
  for (const row of rows) {
    const line = make("tr");
    for (const text of row) {
      const cell = make("td", {}, text);
      const strength = most > 0 ? Math.abs(Number(text)) / most : 0;
      if (strength > 0) {
        cell.classList.add(Number(text) > 0 ? "plus" : "minus");
        cell.style.setProperty("--strength", `${Math.round(6 + 38 * strength)}%`);
      }
      line.append(cell);
    }
    table.append(line);
  }
  return table;
}

function picture({ image: [index, columns, rows], shape }) {
  const tall = Math.max((rows / columns) * SIDE, rows === 1 ? 16 : 30);
  const size = tall > SIDE ? [Math.max((columns / rows) * SIDE, 16), SIDE] : [SIDE, tall];
  const drawn = make("img", { src: story.images[index], alt: `${shape} numbers as a picture: green is positive, purple negative` });
  drawn.style.width = `${size[0]}px`;
  drawn.style.height = `${size[1]}px`;
  return drawn;
}

function histogram(counts) {
  const most = Math.max(...counts);
  const bars = draw("svg", { class: "histogram", viewBox: `0 0 ${counts.length * 4} 48`, role: "img", "aria-label": "How the numbers are distributed: the area of a bar grows with the root of its count" });
  counts.forEach((count, i) => {
    const height = count ? Math.max(46 * Math.sqrt(count / most), 1) : 0;
    bars.append(draw("rect", { x: i * 4, y: 48 - height, width: 3.2, height }));
  });
  return bars;
}

// -- one frame -----------------------------------------------------------------------------------

function partView(part, frame) {
  const section = make("section", { class: "part" });
  if (part.title || part.rule) {
    const head = make("header");
    if (part.title) head.append(make("h3", {}, part.title));
    if (part.rule) head.append(make("span", { class: "math" }, part.rule));
    section.append(head);
  }
  part.lines.forEach((line) => section.append(make("p", { class: "line" }, line)));
  const scalars = part.exhibits.every((each) => story.tensors[each.of].scalar !== undefined);
  const row = make("div", { class: scalars ? "exhibits scalars" : "exhibits" });
  part.exhibits.forEach((each, i) => {
    const again = each.of === frame.parts[0].exhibits[0].of && part !== frame.parts[0];
    const label = each.role === "local" ? `local: ${each.label}` : each.label;
    const figure = make(
      "figure",
      { class: again ? `${each.role} again` : each.role },
      make("figcaption", {}, label),
      tensorView(each.of),
    );
    const sign = part.signs[i - 1];
    const joined = sign ? make("div", { class: "joined" }, make("span", { class: "sign" }, sign), figure) : figure;
    row.append(joined);
  });
  section.append(row);
  return section;
}

function sourceView(index) {
  if (index === null) return "";
  const { file, line, around } = story.sources[index];
  const code = make("ol", { class: "code", "aria-label": `${file}, line ${line}` });
  const indent = Math.min(...around.filter(([, t]) => t.trim()).map(([, t]) => t.length - t.trimStart().length));
  for (const [number, text] of around) {
    const row = make("li", number === line ? { class: "here", "aria-current": "true" } : {});
    row.append(make("span", { class: "number" }, String(number)), make("code", {}, text.slice(indent) || " "));
    code.append(row);
  }
  return make("figure", { class: "source" }, make("figcaption", {}, file), code);
}

function show(index, { moved = true } = {}) {
  at = Math.min(Math.max(index, 0), frames.length - 1);
  const frame = frames[at];
  const head = make("div", { class: "head" });
  head.append(make("span", { class: `kind ${frame.kind}` }, KINDS[frame.kind]));
  if (frame.calls.length) head.append(make("span", { class: "calls" }, frame.calls.join(" › ")));
  const body = [head, make("h2", { id: "title" }, frame.title)];
  if (frame.formula) body.push(make("p", { class: "math formula" }, frame.formula));
  body.push(make("p", { class: "about" }, frame.about));
  for (const part of frame.parts) body.push(partView(part, frame));
  const source = sourceView(frame.source);
  if (source) body.push(source);
  $("panel").replaceChildren(...body);
  $("panel").dataset.kind = frame.kind;
  $("panel").scrollTop = 0;
  $("slider").value = at;
  $("slider").setAttribute("aria-valuetext", `${at + 1} of ${frames.length}: ${frame.title}`);
  const told = frame.parts.flatMap((part) => part.lines);
  $("status").textContent = [`Step ${at + 1} of ${frames.length}: ${frame.title}`, ...told].join(". ");
  $("place").textContent = `${at + 1} / ${frames.length}`;
  $("first").disabled = $("previous").disabled = at === 0;
  $("last").disabled = $("next").disabled = at === frames.length - 1;
  light();
  // Inside a notebook the page is the text of a frame, and has no address that could be changed.
  if (moved && location.protocol !== "about:") history.replaceState(null, "", `#${at + 1}`);
  if (at === frames.length - 1) stop();
}

function light() {
  const frame = frames[at];
  const lit = graph.bestOf(frame.lit);
  graph.mark({ lit, kind: frame.kind, seen: frame.seen, gained: gained[at] });
  graph.reveal(lit);
}

graph.onchange = light;

// -- going ---------------------------------------------------------------------------------------

function stop() {
  clearInterval(playing);
  playing = null;
  $("play").textContent = "▶ Play";
  $("play").setAttribute("aria-pressed", "false");
}

function play() {
  if (playing !== null) return stop();
  if (at === frames.length - 1) show(0);
  playing = setInterval(() => show(at + 1), 1400);
  $("play").textContent = "❚❚ Pause";
  $("play").setAttribute("aria-pressed", "true");
}

function go(index) {
  stop();
  show(index);
}

$("first").addEventListener("click", () => go(0));
$("previous").addEventListener("click", () => go(at - 1));
$("next").addEventListener("click", () => go(at + 1));
$("last").addEventListener("click", () => go(frames.length - 1));
$("play").addEventListener("click", play);
$("slider").addEventListener("input", (event) => go(Number(event.target.value)));
$("closer").addEventListener("click", () => { graph.zoom(1.25); light(); });
$("further").addEventListener("click", () => { graph.zoom(0.8); light(); });
$("fit").addEventListener("click", () => { graph.zoom(0); light(); });

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const moves = { ArrowRight: at + 1, ArrowDown: null, ArrowLeft: at - 1, Home: 0, End: frames.length - 1 };
  if (event.key === " " && !event.target.closest("button, input, [role=button]")) {
    event.preventDefault();
    play();
  } else if (typeof moves[event.key] === "number") {
    event.preventDefault();
    go(moves[event.key]);
  }
});

let waiting = 0;
window.addEventListener("resize", () => {
  cancelAnimationFrame(waiting);
  waiting = requestAnimationFrame(() => { graph.fit(graph.scale); light(); });
});
window.addEventListener("hashchange", () => show(Number(location.hash.slice(1)) - 1 || 0, { moved: false }));

const forwards = frames.filter((frame) => frame.kind === "start" || frame.kind === "forward").length;
$("slider").max = frames.length - 1;
$("slider").style.setProperty("--turn", `${(100 * (forwards - 0.5)) / Math.max(frames.length - 1, 1)}%`);
if (story.left_out) $("left-out").textContent = `${story.left_out} more operations were not recorded.`;
show(Number(location.hash.slice(1)) - 1 || 0, { moved: false });
