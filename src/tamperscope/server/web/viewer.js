// The picture under its findings: a movable line between the two, zoom, pan, and regions to click.

const REGION = "rgb(255 64 160)";
const SOURCE = "rgb(255 255 255)";
const EDGE = "rgb(20 20 20 / 80%)";
const DIM = "rgb(10 14 20 / 38%)"; // Over the picture outside the marked regions.
const MOST_ZOOM = 16;
const GRIP = 18; // Pixels to each side of the line in which a press grabs it.

export class Viewer {
  #canvas;
  #context;
  #content = { picture: null, width: 1, height: 1, regions: [], hints: [] };
  #layer = null;
  #opacity = 1;
  #split = 0; // Share of the width, from the left, without the layer.
  #outlined = true;
  #bare = false;
  #selected = null;
  #detail = null;
  #view = { scale: 1, x: 0, y: 0 };
  #fitted = true;
  #pointers = new Map();
  #gesture = null;
  #pending = false;
  #observer;

  /**
   * `onSelect` receives the number of the clicked region, or null; `onSplit` the line's new position, and
   * without it there is no line;
   * `onPoint` the pixel at which the reader looks; `onView` what another viewer needs to show the same part.
   */
  constructor(canvas, { onSelect, onSplit, onPoint, onView = () => {} }) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    this.onSelect = onSelect;
    this.onSplit = onSplit;
    this.onPoint = onPoint;
    this.onView = onView;
    this.#observer = new ResizeObserver(() => this.#resized());
    this.#observer.observe(canvas);
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#moved(event));
    for (const end of ["pointerup", "pointercancel"])
      canvas.addEventListener(end, (event) => this.#up(event));
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("dblclick", (event) => this.#zoomAt(2, ...this.#place(event)));
  }

  /** Show a picture, or null, and the regions and hints of an analysis, in pixels of width x height. */
  show({ picture, width, height, regions, hints }) {
    this.#content = { picture, width, height };
    this.marks = { regions, hints };
    this.fit();
  }

  /** The regions and hints that are marked. */
  set marks({ regions, hints }) {
    const labels = new Set(regions.map(({ label }) => label));
    this.#content.regions = regions.map((region) => ({
      path: outline(region.polygon),
      label: region.label,
      corner: corner(region.polygon),
      box: region.box,
      ...(region.source && sourceOf(region, labels, this.#context)),
    }));
    this.#content.hints = hints.map(({ polygon }) => outline(polygon));
    this.#draw();
  }

  set layer(layer) {
    this.#layer = layer;
    this.#draw();
  }

  set opacity(share) {
    this.#opacity = share;
    this.#draw();
  }

  set split(share) {
    this.#split = share;
    this.#draw();
  }

  set outlined(yes) {
    this.#outlined = yes;
    this.#draw();
  }

  /** Whether the picture is shown without any finding. */
  set bare(yes) {
    this.#bare = yes;
    this.#draw();
  }

  /** The number of the highlighted region; null shows all regions alike. */
  set selected(number) {
    this.#selected = number;
    this.#draw();
  }

  /** Show the part of the picture that another viewer of the same size shows. */
  set view({ view, fitted }) {
    this.#view = { ...view };
    this.#fitted = fitted;
    this.#settle(false);
  }

  fit() {
    const { width, height } = this.#content;
    const [across, down] = this.#size();
    const scale = Math.min(across / width, down / height);
    this.#view = { scale, x: (across - width * scale) / 2, y: (down - height * scale) / 2 };
    this.#fitted = true;
    this.#settle();
  }

  zoom(factor) {
    const [across, down] = this.#size();
    this.#zoomAt(factor, across / 2, down / 2);
  }

  /** Release the picture, which its owner may then close: a frame that was asked for is painted without it. */
  close() {
    this.#observer.disconnect();
    this.#content.picture = null;
    this.#detail?.bitmap.close();
    this.#detail = null;
  }

  #size() {
    return [this.#canvas.clientWidth || 1, this.#canvas.clientHeight || 1];
  }

  #resized() {
    const density = window.devicePixelRatio || 1;
    const [across, down] = this.#size();
    this.#canvas.width = Math.round(across * density);
    this.#canvas.height = Math.round(down * density);
    if (this.#fitted) this.fit();
    else this.#settle();
  }

  #zoomAt(factor, x, y) {
    const { width, height } = this.#content;
    const [across, down] = this.#size();
    const smallest = Math.min(across / width, down / height);
    const scale = Math.min(Math.max(this.#view.scale * factor, smallest), smallest * MOST_ZOOM);
    const change = scale / this.#view.scale;
    this.#view = { scale, x: x - (x - this.#view.x) * change, y: y - (y - this.#view.y) * change };
    this.#fitted = scale <= smallest * 1.001;
    this.#settle();
  }

  /** Zoom to one region; null shows the whole picture. */
  reveal(number) {
    if (number === null) {
      this.fit();
      return;
    }
    const { x, y, width, height } = this.#content.regions[number].box;
    const [across, down] = this.#size();
    const fitting = Math.min(across / this.#content.width, down / this.#content.height);
    const scale = Math.min(Math.max(fitting, 0.5 * Math.min(across / width, down / height)), 4 * fitting);
    this.#view = { scale, x: across / 2 - (x + width / 2) * scale, y: down / 2 - (y + height / 2) * scale };
    this.#fitted = scale <= fitting * 1.001;
    this.#settle();
  }

  /** A part of the picture at a higher resolution: `{bitmap, box}`, or null. */
  set detail(detail) {
    this.#detail?.bitmap.close();
    this.#detail = detail;
    this.#draw();
  }

  /** How many pixels of the screen show one pixel of the picture. */
  get scale() {
    return this.#view.scale * (window.devicePixelRatio || 1);
  }

  /** The part of the picture that is in view, in whole pixels. */
  get visible() {
    const { width, height } = this.#content;
    const [across, down] = this.#size();
    const within = ([x, y]) => [Math.min(width, Math.max(0, x)), Math.min(height, Math.max(0, y))];
    const [left, top] = within(this.#pixel(0, 0)).map(Math.floor);
    const [right, bottom] = within(this.#pixel(across, down)).map(Math.ceil);
    return { x: left, y: top, width: Math.max(1, right - left), height: Math.max(1, bottom - top) };
  }

  /** Keep the picture in view, then draw. `own` is false where another viewer moved. */
  #settle(own = true) {
    const { width, height } = this.#content;
    const [across, down] = this.#size();
    const within = (start, size, room) =>
      size <= room ? (room - size) / 2 : Math.min(0, Math.max(room - size, start));
    const { scale } = this.#view;
    this.#view.x = within(this.#view.x, width * scale, across);
    this.#view.y = within(this.#view.y, height * scale, down);
    // A finger scrolls the page while the whole picture is shown, and moves the picture once it is zoomed in.
    const middle = [across / 2, down / 2];
    this.onPoint(this.#pixel(...middle));
    this.#canvas.style.touchAction = this.#fitted ? "pan-y" : "none";
    if (own) this.onView({ view: this.#view, fitted: this.#fitted });
    this.#draw();
  }

  #draw() {
    if (this.#pending) return;
    this.#pending = true;
    requestAnimationFrame(() => {
      this.#pending = false;
      this.#paint();
    });
  }

  #paint() {
    const context = this.#context;
    const density = window.devicePixelRatio || 1;
    const { picture, width, height, regions } = this.#content;
    const { scale, x, y } = this.#view;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    context.setTransform(density * scale, 0, 0, density * scale, density * x, density * y);
    context.imageSmoothingEnabled = scale < 3;
    if (picture) this.#ground(scale);
    if (this.#bare) return;
    context.save();
    if (this.#split > 0) {
      context.beginPath();
      context.rect((this.#line() - x) / scale, 0, width, height);
      context.clip();
    }
    this.#findings(scale);
    context.restore();
    context.setTransform(density, 0, 0, density, 0, 0);
    if (this.#outlined) {
      for (const region of regions) {
        if (region.sourcePath) this.#label(region.sourceLabel, region.sourceCorner, "#fff", "#1c2430");
      }
      regions.forEach(({ label, corner }, number) => {
        const chosen = this.#selected === number;
        this.#label(label, corner, chosen ? "#1c2430" : REGION, chosen ? "#fff" : "#1c2430");
      });
    }
    if (this.#divided()) this.#grip();
  }

  /** Draw the picture, and over it the part of which there is more detail. */
  #ground(scale) {
    const context = this.#context;
    const { picture, width, height } = this.#content;
    // Transparent pictures are analysed on white. The ground ends within the picture's edges, which the canvas
    // smooths: white below them would shine through as a line.
    const edge = 1 / scale;
    context.fillStyle = "#fff";
    context.fillRect(edge, edge, width - 2 * edge, height - 2 * edge);
    context.drawImage(picture, 0, 0, width, height);
    if (!this.#detail) return;
    const { bitmap, box } = this.#detail;
    context.fillRect(box.x, box.y, box.width, box.height);
    context.drawImage(bitmap, box.x, box.y, box.width, box.height);
  }

  /** Draw what is shown of the findings in another context; a pixel of the picture is drawn `scale` large. */
  drawOn(context, scale) {
    const own = this.#context;
    this.#context = context;
    try {
      this.#findings(scale);
    } finally {
      this.#context = own;
    }
  }

  /** Draw the layer, or else what dims the rest of the picture, and the outlines. */
  #findings(scale) {
    const context = this.#context;
    const { picture, width, height, regions } = this.#content;
    if (this.#layer) {
      context.save();
      context.globalAlpha = picture ? this.#opacity : 1;
      context.imageSmoothingEnabled = true;
      context.drawImage(this.#layer, 0, 0, width, height);
      context.restore();
    } else if (picture && this.#outlined && regions.length) this.#dim(scale);
    if (this.#outlined) this.#outlines(scale);
  }

  /** Darken the picture outside the regions, so that they stand out without being covered. */
  #dim(scale) {
    const context = this.#context;
    const { width, height, regions } = this.#content;
    const inside = new Path2D();
    for (const { path, sourcePath } of regions) {
      inside.addPath(path);
      if (sourcePath) inside.addPath(sourcePath);
    }
    const edge = 1 / scale;
    context.save();
    context.fillStyle = DIM;
    // Over all of the picture's smoothed edges, and over nothing else: what is left out shows as a bright line.
    context.globalCompositeOperation = "source-atop";
    context.fillRect(-edge, -edge, width + 2 * edge, height + 2 * edge);
    context.globalCompositeOperation = "source-over";
    context.clip(inside);
    this.#ground(scale);
    context.restore();
  }

  /** Draw sources first, so that the marked regions stay on top. Shape tells them apart, not hue. */
  #outlines(scale) {
    const context = this.#context;
    const { regions, hints } = this.#content;
    const strength = (number) => (this.#selected === null || this.#selected === number ? 1 : 0.45);
    const stroke = (path, colour, { dashed = false, wide = false } = {}) => {
      for (const [width, style] of [
        [wide ? 7 : 5.5, EDGE],
        [wide ? 4 : 2.5, colour],
      ]) {
        context.lineWidth = width / scale;
        context.strokeStyle = style;
        context.setLineDash(dashed ? [9 / scale, 7 / scale] : []);
        context.stroke(path);
      }
    };
    context.lineJoin = "round";
    // Faint, because the picture as a whole does not support them.
    context.globalAlpha = 0.7;
    for (const path of hints) {
      for (const [style, offset] of [[EDGE, 0], [SOURCE, 4]]) {
        context.lineWidth = 1.5 / scale;
        context.strokeStyle = style;
        context.setLineDash([4 / scale, 4 / scale]);
        context.lineDashOffset = offset / scale;
        context.stroke(path);
      }
    }
    context.lineDashOffset = 0;
    regions.forEach(({ sourcePath, decided }, number) => {
      context.globalAlpha = strength(number);
      if (sourcePath) stroke(sourcePath, SOURCE, { dashed: decided });
    });
    regions.forEach(({ path }, number) => {
      context.globalAlpha = strength(number);
      stroke(path, REGION, { wide: this.#selected === number });
    });
    regions.forEach(({ ends, decided }, number) => {
      context.globalAlpha = strength(number);
      if (ends) stroke(decided ? arrow(...ends, 13 / scale) : line(...ends), SOURCE);
    });
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  /** Write a label above the upper left corner of a region, where it does not cover the region. */
  #label(text, [left, top], ground, ink) {
    const context = this.#context;
    const [across, down] = this.#size();
    const { scale, x, y } = this.#view;
    context.font = "500 13px Roboto, sans-serif";
    const width = Math.max(20, context.measureText(text).width + 12);
    const inside = (at, size, room) => Math.min(Math.max(at, 1), room - size - 1);
    const at = [inside(left * scale + x, width, across), inside(top * scale + y - 26, 20, down)];
    context.beginPath();
    context.roundRect(...at, width, 20, 5);
    context.fillStyle = ground;
    context.strokeStyle = EDGE;
    context.lineWidth = 2;
    context.stroke();
    context.fill();
    context.fillStyle = ink;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(text, at[0] + width / 2, at[1] + 10.5);
  }

  #grip() {
    const context = this.#context;
    const [across, down] = this.#size();
    context.fillStyle = "#fff";
    context.shadowColor = "rgb(0 0 0 / 60%)";
    context.shadowBlur = 6;
    // At the left edge nothing is divided yet: the handle alone says that the line can be moved.
    if (this.#split > 0) context.fillRect(this.#line() - 1, 0, 2, down);
    // The whole handle stays visible when the line is at the edge.
    const at = Math.min(Math.max(this.#line(), 16), across - 16);
    context.beginPath();
    context.arc(at, down / 2, 15, 0, 2 * Math.PI);
    context.fill();
    context.shadowBlur = 0;
    context.strokeStyle = "#1c2430";
    context.lineWidth = 2;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    for (const side of [-1, 1]) {
      context.moveTo(at + side * 4, down / 2 - 4.5);
      context.lineTo(at + side * 8.5, down / 2);
      context.lineTo(at + side * 4, down / 2 + 4.5);
    }
    context.stroke();
  }

  /** Return whether there is a line between the picture and its findings. */
  #divided() {
    const { picture, regions } = this.#content;
    return Boolean(picture && this.onSplit && !this.#bare && (this.#layer || (this.#outlined && regions.length)));
  }

  /** Return the line's position on the visible part of the picture, in pixels of the canvas. */
  #line() {
    const [left, right] = this.#edges();
    return left + this.#split * (right - left);
  }

  #edges() {
    const [across] = this.#size();
    const { scale, x } = this.#view;
    return [Math.max(0, x), Math.min(across, x + this.#content.width * scale)];
  }

  /** Return the pixel of the picture at a point of the canvas. */
  #pixel(x, y) {
    return [(x - this.#view.x) / this.#view.scale, (y - this.#view.y) / this.#view.scale];
  }

  #place(event) {
    const box = this.#canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  #down(event) {
    if (event.button !== 0) return;
    this.#canvas.setPointerCapture(event.pointerId);
    const [x, y] = this.#place(event);
    this.#pointers.set(event.pointerId, [x, y]);
    const onLine = this.#divided() && Math.abs(x - this.#line()) < GRIP;
    this.#gesture = this.#pointers.size > 1 ? "pinch" : onLine ? "split" : "press";
  }

  #moved(event) {
    const [x, y] = this.#place(event);
    this.onPoint(this.#pixel(x, y));
    if (!this.#pointers.has(event.pointerId)) {
      const onLine = this.#divided() && Math.abs(x - this.#line()) < GRIP;
      this.#canvas.style.cursor = onLine
        ? "ew-resize"
        : this.#at(x, y) !== null
          ? "pointer"
          : this.#fitted
            ? ""
            : "grab";
      return;
    }
    const before = [...this.#pointers.values()];
    const [fromX, fromY] = this.#pointers.get(event.pointerId);
    if (this.#gesture === "press" && Math.hypot(x - fromX, y - fromY) < 4) return;
    this.#pointers.set(event.pointerId, [x, y]);
    if (this.#gesture === "split") {
      const [left, right] = this.#edges();
      this.#split = Math.min(1, Math.max(0, (x - left) / (right - left)));
      this.onSplit(this.#split);
      this.#draw();
    } else if (this.#gesture === "pinch") {
      const after = [...this.#pointers.values()];
      const apart = ([[x1, y1], [x2, y2]]) => Math.hypot(x2 - x1, y2 - y1) || 1;
      const [[x1, y1], [x2, y2]] = after;
      this.#zoomAt(apart(after) / apart(before), (x1 + x2) / 2, (y1 + y2) / 2);
    } else {
      this.#gesture = "pan";
      this.#pan(x - fromX, y - fromY);
    }
  }

  #up(event) {
    if (!this.#pointers.delete(event.pointerId)) return;
    if (this.#gesture === "press" && event.type === "pointerup")
      this.onSelect(this.#at(...this.#place(event)));
    this.#gesture = this.#pointers.size ? "pan" : null;
  }

  #pan(x, y) {
    this.#view.x += x;
    this.#view.y += y;
    this.#settle();
  }

  /** Return the number of the smallest region at a point of the canvas, or null. */
  #at(x, y) {
    if (!this.#outlined) return null;
    const point = this.#pixel(x, y);
    this.#context.setTransform(1, 0, 0, 1, 0, 0);
    const hits = this.#content.regions
      .map((region, number) => ({ number, size: region.box.width * region.box.height, path: region.path }))
      .filter(({ path }) => this.#context.isPointInPath(path, ...point))
      .sort((one, other) => one.size - other.size);
    return hits.length ? hits[0].number : null;
  }

  #wheel(event) {
    // Unless the canvas has the focus, the wheel alone scrolls the page. Trackpads report a pinch with Ctrl.
    if (!event.ctrlKey && !event.metaKey && document.activeElement !== this.#canvas) return;
    event.preventDefault();
    this.#zoomAt(Math.exp(-event.deltaY / (event.ctrlKey ? 120 : 320)), ...this.#place(event));
  }

  #key(event) {
    const step = event.shiftKey ? 160 : 40;
    const actions = {
      ArrowLeft: () => this.#pan(step, 0),
      ArrowRight: () => this.#pan(-step, 0),
      ArrowUp: () => this.#pan(0, step),
      ArrowDown: () => this.#pan(0, -step),
      "+": () => this.zoom(1.5),
      "=": () => this.zoom(1.5),
      "-": () => this.zoom(1 / 1.5),
      0: () => this.fit(),
      Escape: () => this.onSelect(null),
    };
    if (event.ctrlKey || event.metaKey || event.altKey || !actions[event.key]) return;
    // Arrow keys scroll the page while there is nothing to move.
    if (event.key.startsWith("Arrow") && this.#fitted) return;
    event.preventDefault();
    actions[event.key]();
  }
}

function outline(points) {
  const path = new Path2D();
  points.forEach(([x, y], i) => path[i ? "lineTo" : "moveTo"](x + 0.5, y + 0.5));
  path.closePath();
  return path;
}

function middle(points) {
  return [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
}

/** Return the upper left corner of the box around an outline. */
function corner(points) {
  return [0, 1].map((axis) => Math.min(...points.map((point) => point[axis])));
}

/** Return how to draw the other one of two regions, unless it is a region with an outline of its own. */
function sourceOf({ polygon, source, label }, labels, context) {
  const own = labels.has(source.label);
  const path = outline(source.polygon);
  return {
    decided: source.decided,
    sourceLabel: source.label,
    sourcePath: own ? null : path,
    sourceCorner: corner(source.polygon),
    // One line for each pair: the second region of an undecided pair repeats it.
    ends:
      own && label > source.label
        ? null
        : between(context, middle(source.polygon), middle(polygon), path, outline(polygon)),
  };
}

/** Return the part of a line that lies between two outlines, so that it covers neither; null if they touch. */
function between(context, from, to, fromPath, toPath) {
  const at = (share) => [0, 1].map((axis) => from[axis] + share * (to[axis] - from[axis]));
  const shares = Array.from({ length: 101 }, (_, i) => i / 100);
  context.setTransform(1, 0, 0, 1, 0, 0);
  const start = shares.find((share) => !context.isPointInPath(fromPath, ...at(share)));
  const end = shares.findLast((share) => !context.isPointInPath(toPath, ...at(share)));
  return start < end ? [at(start), at(end)] : null;
}

function line([fromX, fromY], [toX, toY]) {
  const path = new Path2D();
  path.moveTo(fromX, fromY);
  path.lineTo(toX, toY);
  return path;
}

function arrow([fromX, fromY], [toX, toY], head) {
  const angle = Math.atan2(toY - fromY, toX - fromX);
  const path = new Path2D();
  path.moveTo(fromX, fromY);
  path.lineTo(toX, toY);
  for (const turn of [-2.6, 2.6]) {
    path.moveTo(toX, toY);
    path.lineTo(toX + head * Math.cos(angle + turn), toY + head * Math.sin(angle + turn));
  }
  return path;
}
