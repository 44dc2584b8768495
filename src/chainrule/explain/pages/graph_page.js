// The graph alone: modules fold and unfold.

const story = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const graph = new GraphView(story.graph, $("pane"), 0.45);
const KEYS = { none: "none", base: "base", all: "all" };

function pressed() {
  for (const [id, key] of Object.entries(KEYS)) {
    $(id).setAttribute("aria-pressed", graph.key === key);
  }
  for (const card of graph.nodes.values()) card.classList.add("cr-pulled");
}

graph.onchange = pressed;
for (const [id, key] of Object.entries(KEYS)) $(id).addEventListener("click", () => graph.show(key));
$("closer").addEventListener("click", () => graph.zoom(1.25));
$("further").addEventListener("click", () => graph.zoom(0.8));
$("fit").addEventListener("click", () => graph.zoom(0));
window.addEventListener("resize", () => graph.fit(graph.scale));
if (!story.graph.calls.length) $("folding").hidden = true;
pressed();
