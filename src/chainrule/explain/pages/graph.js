"use strict";
// A graph that folds and unfolds. Where everything stands in each state was worked out beforehand.

const SVG = "http://www.w3.org/2000/svg";

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

class GraphView {
  // `least`: the smallest scale that fitting may choose.
  constructor(data, pane, least = 0.3) {
    this.least = least;
    this.data = data;
    this.pane = pane;
    this.scale = 0;
    this.nodes = new Map();
    this.edges = [];
    this.onchange = () => {};
    this.show("base");
  }

  // -- folding ---------------------------------------------------------------------------------

  show(key) {
    const state = this.data.states[key];
    this.key = key;
    this.state = state;
    this.opened = new Set(state.open);
    const svg = draw("svg", {
      class: "cr-graph",
      viewBox: `0 0 ${state.width} ${state.height}`,
      role: "graphics-document",
      "aria-roledescription": "computation graph",
      "aria-label": "Computation graph: every value, and its gradient",
    });
    const marker = { viewBox: "0 0 8 8", refX: 6, refY: 4, markerWidth: 10, markerHeight: 10, markerUnits: "userSpaceOnUse", orient: "auto-start-reverse" };
    const defs = draw("defs");
    for (const kind of ["tip", "tip-lit", "tip-back"]) {
      defs.append(draw("marker", { id: `cr-${kind}`, ...marker }, draw("path", { class: `cr-arrow cr-${kind}`, d: "M0 0L8 4L0 8Z" })));
    }
    svg.append(defs);
    for (const hull of state.hulls) svg.append(this.hull(hull));
    this.edges = state.edges.map((edge) => this.edge(edge, svg));
    this.nodes.clear();
    this.framed = new Set(state.hulls.map(([call]) => call));
    for (const [id, [x, y]] of Object.entries(state.at)) svg.append(this.node(id, x, y));
    this.svg = svg;
    this.pane.replaceChildren(svg);
    this.fit(this.scale);
    this.onchange();
  }

  node(id, x, y) {
    const known = this.data.nodes[id];
    const group = draw("g", { transform: `translate(${x} ${y})` });
    group.innerHTML = known.svg;
    const card = group.firstElementChild;
    if (known.call !== null && this.can(known.call)) {
      this.knob(group, known.width - 17, 17, known.call, false);
    }
    const inner = known.within.at(-1);
    const several = Object.keys(this.state.at).filter((other) => this.data.nodes[other].within.includes(inner)).length > 1;
    if (several && !this.framed.has(inner) && id.startsWith("s") && this.can(inner)) {
      this.framed.add(inner); // no frame could be drawn around it: its first op folds it
      this.knob(group, known.width - 17, 17, inner, true);
    }
    this.nodes.set(id, card);
    return group;
  }

  hull([call, x, y, width, height]) {
    const [path, kind] = this.data.calls[call];
    const group = draw("g", { class: "cr-group" });
    group.append(
      draw("rect", { x, y, width, height, rx: 12 }),
      draw("text", { x: x + 12, y: y + 16 }, `${path} (${kind})`),
    );
    if (this.can(call)) this.knob(group, x + width - 15, y + 13, call, true);
    return group;
  }

  // A button that folds or unfolds one module.
  knob(group, x, y, call, open) {
    const [path, kind] = this.data.calls[call];
    const knob = draw("g", {
      class: "cr-knob",
      role: "button",
      tabindex: 0,
      "aria-expanded": open,
      "aria-label": `${open ? "Fold" : "Unfold"} ${path} (${kind})`,
      "data-call": call,
      transform: `translate(${x} ${y})`,
    });
    knob.append(
      draw("circle", { r: 9 }),
      draw("path", { d: open ? "M-4 0H4" : "M-4 0H4M0 -4V4" }),
    );
    const turn = () => this.turn(call);
    knob.addEventListener("click", turn);
    knob.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      event.stopPropagation();
      turn();
    });
    group.append(knob);
  }

  edge([from, to, curve, label, x, y, value], svg) {
    const path = draw("path", { class: "cr-edge", d: curve, "marker-end": "url(#cr-tip)" });
    svg.append(path);
    let part = null;
    if (label) {
      part = draw("text", { class: "cr-part cr-mono cr-grad", x, y: y - 4 }, label);
      svg.append(part);
    }
    return { from, to, value, path, part };
  }

  can(call) {
    return this.goal(call) !== null;
  }

  // The state a click on a module leads to; null where there is none, or nothing would change.
  goal(call) {
    const { states } = this.data;
    if (this.opened.has(call)) {
      if (states[`-${call}`]) return `-${call}`;
      return this.key !== "base" ? "base" : null;
    }
    if (states[`+${call}`]) return this.differs(`+${call}`) ? `+${call}` : null;
    return this.key.startsWith("-") || this.key === "none" ? "base" : null;
  }

  // Whether there is more to see than one node in the place of another.
  differs(key) {
    const count = (state) => Object.keys(this.data.states[state].at).length;
    return count(key) !== count("base");
  }

  turn(call) {
    const goal = this.goal(call);
    if (goal === null) return;
    this.show(goal);
    const again = this.svg.querySelector(`[data-call="${call}"]`);
    if (again) again.focus({ preventScroll: true });
    this.reveal(this.bestOf([`m${call}`, ...Object.keys(this.state.at).filter((id) => this.data.nodes[id].within.includes(call))]));
  }

  // -- size and place --------------------------------------------------------------------------

  // Scale 0: as large as fits, but not so small that nothing can be read.
  fit(scale = 0) {
    const { width, height, right } = this.state;
    const wide = this.pane.clientWidth || 800;
    const high = this.pane.clientHeight || 600;
    let best = Math.min(wide / width, high / height, 1.4);
    const least = right ? Math.min(high / height, 0.8) : Math.min(wide / width, 0.9);
    best = Math.max(best, least, this.least);
    this.scale = scale;
    const used = scale || best;
    this.used = used;
    this.svg.setAttribute("width", Math.floor(width * used));
    this.svg.setAttribute("height", Math.floor(height * used));
  }

  zoom(factor) {
    this.fit(factor ? Math.min(Math.max(this.used * factor, 0.15), 3) : 0);
  }

  reveal(id, smooth = false) {
    if (id === null || !(id in this.state.at)) return;
    const [x, y] = this.state.at[id];
    const { width, height } = this.data.nodes[id];
    this.pane.scrollTo({
      left: (x + width / 2) * this.used - this.pane.clientWidth / 2,
      top: (y + height / 2) * this.used - this.pane.clientHeight / 2,
      behavior: smooth ? "smooth" : "auto",
    });
  }

  // Of several ids, the first that is shown.
  bestOf(ids) {
    for (const id of ids) if (id in this.state.at) return id;
    return null;
  }

  // -- what is known by now --------------------------------------------------------------------

  mark({ lit, kind, seen, gained }) {
    for (const [id, card] of this.nodes) {
      const { value } = this.data.nodes[id];
      card.classList.toggle("cr-lit", id === lit);
      card.classList.toggle("cr-later", value >= seen && !id.startsWith("v"));
      card.classList.toggle("cr-pulled", gained.has(value));
    }
    const back = kind === "back" || kind === "meeting";
    this.svg.classList.toggle("cr-backwards", back);
    for (const edge of this.edges) {
      const touches = kind === "meeting" ? edge.from === lit : edge.to === lit;
      const on = touches && (!back || gained.has(edge.value)); // what wants none gets no gradient
      edge.path.classList.toggle("cr-lit", on);
      edge.path.classList.toggle("cr-flow-back", on && back);
      edge.path.classList.toggle("cr-flow", on && !back);
      edge.path.setAttribute("marker-end", !on ? "url(#cr-tip)" : back ? "none" : "url(#cr-tip-lit)");
      edge.path.setAttribute("marker-start", on && back ? "url(#cr-tip-back)" : "none");
      edge.path.classList.toggle("cr-later", edge.value >= seen && !edge.from.startsWith("v"));
      if (edge.part) edge.part.classList.toggle("cr-hidden", !gained.has(edge.value));
    }
  }
}
