// The picture under its findings: a movable line between the two, zoom, pan, and regions to click.

const REGION = "rgb(255 64 160)";
const SOURCE = "rgb(0 200 255)";
const EDGE = "rgb(20 20 20 / 80%)";
const MOST_ZOOM = 16;
const GRIP = 18; // Pixels to each side of the line in which a press grabs it.

export class Viewer {
  #canvas;
  #context;
  #content = { picture: null, width: 1, height: 1, regions: [] };
  #layer = null;
  #opacity = 1;
  #split = 0; // Share of the width, from the left, without the layer.
  #outlined = true;
  #selected = null;
  #view = { scale: 1, x: 0, y: 0 };
  #fitted = true;
  #pointers = new Map();
  #gesture = null;
  #pending = false;
  #observer;

  /** `onSelect` receives the number of the clicked region, or null; `onSplit` the line's new position. */
  constructor(canvas, { onSelect, onSplit }) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    this.onSelect = onSelect;
    this.onSplit = onSplit;
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

  /** Show a picture, or null, and the regions of an analysis, in pixels of width x height. */
  show({ picture, width, height, regions }) {
    this.#content = {
      picture,
      width,
      height,
      regions: regions.map((region) => ({
        path: outline(region.polygon),
        source: region.source && outline(region.source.polygon),
        ends: region.source && [middle(region.source.polygon), middle(region.polygon)],
        corner: corner(region.polygon),
        box: region.box,
      })),
    };
    this.fit();
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

  /** The number of the highlighted region; null shows all regions alike. */
  set selected(number) {
    this.#selected = number;
    this.#draw();
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

  close() {
    this.#observer.disconnect();
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

  /** Keep the picture in view, then draw. */
  #settle() {
    const { width, height } = this.#content;
    const [across, down] = this.#size();
    const within = (start, size, room) =>
      size <= room ? (room - size) / 2 : Math.min(0, Math.max(room - size, start));
    const { scale } = this.#view;
    this.#view.x = within(this.#view.x, width * scale, across);
    this.#view.y = within(this.#view.y, height * scale, down);
    // A finger scrolls the page while the whole picture is shown, and moves the picture once it is zoomed in.
    this.#canvas.style.touchAction = this.#fitted ? "pan-y" : "none";
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
    if (picture) context.drawImage(picture, 0, 0, width, height);
    if (this.#layer) {
      const line = this.#line();
      context.save();
      context.beginPath();
      context.rect((line - x) / scale, 0, width, height);
      context.clip();
      context.globalAlpha = picture ? this.#opacity : 1;
      context.imageSmoothingEnabled = true;
      context.drawImage(this.#layer, 0, 0, width, height);
      context.restore();
    }
    if (this.#outlined) regions.forEach((region, number) => this.#outline(region, number, scale));
    context.setTransform(density, 0, 0, density, 0, 0);
    if (this.#outlined) regions.forEach((region, number) => this.#badge(region, number));
    if (picture && this.#layer) this.#grip();
  }

  #outline(region, number, scale) {
    const context = this.#context;
    context.globalAlpha = this.#selected === null || this.#selected === number ? 1 : 0.35;
    context.lineJoin = context.lineCap = "round";
    const stroke = (path, colour) => {
      for (const [width, style] of [
        [4.5, EDGE],
        [this.#selected === number ? 3 : 2, colour],
      ]) {
        context.lineWidth = width / scale;
        context.strokeStyle = style;
        context.stroke(path);
      }
    };
    if (region.source) stroke(region.source, SOURCE);
    stroke(region.path, REGION);
    if (region.ends) stroke(arrow(...region.ends, 13 / scale), SOURCE);
    context.globalAlpha = 1;
  }

  #badge(region, number) {
    const context = this.#context;
    const [across, down] = this.#size();
    const inside = (at, room) => Math.min(Math.max(at, 13), room - 13);
    const { scale, x, y } = this.#view;
    const [left, top] = [
      inside(region.corner[0] * scale + x, across),
      inside(region.corner[1] * scale + y, down),
    ];
    context.beginPath();
    context.arc(left, top, 11, 0, 2 * Math.PI);
    context.fillStyle = this.#selected === number ? "#fff" : REGION;
    context.strokeStyle = EDGE;
    context.lineWidth = 2;
    context.fill();
    context.stroke();
    context.fillStyle = this.#selected === number ? "#1c2430" : "#fff";
    context.font = "500 13px Roboto, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(String(number + 1), left, top + 0.5);
  }

  #grip() {
    const context = this.#context;
    const [across, down] = this.#size();
    context.fillStyle = "#fff";
    context.shadowColor = "rgb(0 0 0 / 60%)";
    context.shadowBlur = 6;
    context.fillRect(this.#line() - 1, 0, 2, down);
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

  #place(event) {
    const box = this.#canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  #down(event) {
    if (event.button !== 0) return;
    this.#canvas.setPointerCapture(event.pointerId);
    const [x, y] = this.#place(event);
    this.#pointers.set(event.pointerId, [x, y]);
    const onLine = this.#content.picture && this.#layer && Math.abs(x - this.#line()) < GRIP;
    this.#gesture = this.#pointers.size > 1 ? "pinch" : onLine ? "split" : "press";
  }

  #moved(event) {
    const [x, y] = this.#place(event);
    if (!this.#pointers.has(event.pointerId)) {
      const onLine = this.#content.picture && this.#layer && Math.abs(x - this.#line()) < GRIP;
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
    const { scale } = this.#view;
    const point = [(x - this.#view.x) / scale, (y - this.#view.y) / scale];
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

/** Return the upper left point of an outline. */
function corner(points) {
  return points.reduce((best, point) => (point[0] + point[1] < best[0] + best[1] ? point : best));
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
