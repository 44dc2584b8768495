// The drawing: strokes by mouse, finger, pen or keys; on the screen, and as bytes of ink.
//
// A point is (x, y) in 0..1 of the pad, so that the picture is the same at any size of it.

const WIDTH = 0.075; // of a stroke: MNIST's are two to four of twenty pixels wide
const STEP = 1 / 28; // the arrow keys', a pixel of the network's
const FAR = 4; // so many of these with Shift

export class Drawing {
  // `changed` is called after each change, `said` with what happened to the pen.
  constructor(canvas, side, changed, said) {
    this.canvas = canvas;
    this.side = side;
    this.changed = changed;
    this.said = said;
    this.strokes = [];
    this.pen = { x: 0.5, y: 0.5, down: false, shown: false };
    this.pointer = null; // the one that draws; a second finger doesn't
    this.ink = new OffscreenCanvas(side, side).getContext("2d", { willReadFrequently: true });
    this.listen();
    new ResizeObserver(() => this.paint()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.paint());
  }

  get empty() {
    return this.strokes.length === 0;
  }

  clear() {
    this.strokes = [];
    this.lift();
    this.update();
  }

  undo() {
    this.strokes.pop();
    this.lift();
    this.update();
  }

  // One byte a pixel, row by row: 0 is paper, 255 ink.
  bytes() {
    const { ink, side } = this;
    ink.fillStyle = "#000";
    ink.fillRect(0, 0, side, side);
    this.draw(ink, side, "#fff");
    const rgba = ink.getImageData(0, 0, side, side).data;
    return Uint8Array.from({ length: side * side }, (_, index) => rgba[4 * index]);
  }

  draw(context, size, colour) {
    context.lineWidth = WIDTH * size;
    context.lineCap = context.lineJoin = "round";
    context.strokeStyle = context.fillStyle = colour;
    for (const stroke of this.strokes) {
      context.beginPath(); // a line without length is not drawn, and a dot is one
      context.arc(stroke[0].x * size, stroke[0].y * size, (WIDTH / 2) * size, 0, 2 * Math.PI);
      context.fill();
      context.beginPath();
      context.moveTo(stroke[0].x * size, stroke[0].y * size);
      for (const { x, y } of stroke) context.lineTo(x * size, y * size);
      context.stroke();
    }
  }

  paint() {
    const { canvas, pen } = this;
    const size = Math.round(canvas.clientWidth * devicePixelRatio);
    if (canvas.width !== size || canvas.height !== size) canvas.width = canvas.height = size;
    const context = canvas.getContext("2d");
    const style = getComputedStyle(canvas);
    context.clearRect(0, 0, size, size);
    this.draw(context, size, style.getPropertyValue("--ink"));
    if (!pen.shown) return;
    context.beginPath();
    context.arc(pen.x * size, pen.y * size, (WIDTH / 2) * size, 0, 2 * Math.PI);
    context.lineWidth = 3 * devicePixelRatio;
    context.strokeStyle = style.getPropertyValue(pen.down ? "--grad" : "--value");
    context.stroke();
  }

  update() {
    this.paint();
    this.changed();
  }

  // -- mouse, finger, pen ------------------------------------------------------------------------

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.go(event));
    for (const kind of ["pointerup", "pointercancel", "lostpointercapture"]) {
      canvas.addEventListener(kind, (event) => {
        if (event.pointerId === this.pointer) this.pointer = null;
      });
    }
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("focus", () => {
      this.pen.shown = canvas.matches(":focus-visible");
      this.paint();
    });
    canvas.addEventListener("blur", () => {
      this.pen.shown = false;
      this.lift();
      this.paint();
    });
  }

  begin(event) {
    if (event.button !== 0 || this.pointer !== null) return;
    this.pointer = event.pointerId;
    this.canvas.setPointerCapture(event.pointerId);
    this.lift();
    this.pen.shown = false;
    this.strokes.push([this.place(event)]);
    this.update();
  }

  go(event) {
    if (event.pointerId !== this.pointer) return;
    const all = event.getCoalescedEvents?.() ?? [];
    const stroke = this.strokes.at(-1);
    if (!stroke) return; // it was cleared meanwhile
    for (const each of all.length ? all : [event]) stroke.push(this.place(each));
    this.update();
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    const inside = (value) => Math.min(1, Math.max(0, value));
    return {
      x: inside((event.clientX - box.left) / box.width),
      y: inside((event.clientY - box.top) / box.height),
    };
  }

  // -- keys --------------------------------------------------------------------------------------

  key(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const undoes = event.key === "Backspace" || (event.key === "z" && (event.ctrlKey || event.metaKey));
    if (event.key in moves) this.move(...moves[event.key], event.shiftKey ? FAR : 1);
    else if (event.key === " ") this.toggle();
    else if (undoes) this.undo();
    else if (event.key === "Escape" || event.key === "Delete") this.clear();
    else return;
    event.preventDefault();
  }

  move(right, down, times) {
    const { pen } = this;
    const inside = (value) => Math.min(1, Math.max(0, value));
    pen.x = inside(pen.x + right * times * STEP);
    pen.y = inside(pen.y + down * times * STEP);
    pen.shown = true;
    if (!pen.down) return this.paint();
    this.strokes.at(-1).push({ x: pen.x, y: pen.y });
    this.update();
  }

  toggle() {
    const { pen } = this;
    pen.shown = true;
    if (pen.down) return this.lift();
    pen.down = true;
    this.strokes.push([{ x: pen.x, y: pen.y }]);
    this.said("The pen is down: it draws.");
    this.update();
  }

  lift() {
    if (!this.pen.down) return;
    this.pen.down = false;
    this.said("The pen is lifted.");
    this.paint();
  }
}
