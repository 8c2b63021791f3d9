// The map in real coordinates: density, moiré cells, supercell, and electrons that move from record to record.

import { colour, colourBar, dark, themed } from "./colour.js";

const FRAME_MS = 550, FADE = 0.62;
const calm = matchMedia("(prefers-reduced-motion: reduce)");

const inverse = ([[a, b], [c, d]]) => [[d, -b], [-c, a]].map((row) => row.map((value) => value / (a * d - b * c)));

export class DensityMap {
  /** @param canvas the element to draw on; its width follows the layout. */
  constructor(canvas) {
    this.canvas = canvas;
    this.frames = [];
    this.electrons = "moving";
    this.started = 0;
    this.frame = 0;
    this.observer = new ResizeObserver(() => (this.redraw(), this.resized?.()));
    this.observer.observe(canvas.parentElement);
    this.repaint = () => this.redraw();
    dark.addEventListener("change", this.repaint);
    const loop = (now) => {
      if (this.gone) return;
      if (this.electrons === "moving" && !calm.matches && this.shown && !this.marked && !document.hidden) this.animate(now);
      requestAnimationFrame(loop);
    };
    requestAnimationFrame(loop);
  }

  /** The panel is removed. */
  leave() {
    this.gone = true;
    dark.removeEventListener("change", this.repaint);
    this.observer.disconnect();
  }

  /** The cell of a model: vectors and primitive [2][2], outline of a moiré cell [k][2], in a_M. */
  geometry({ vectors, primitive, outline }) {
    Object.assign(this, { vectors, primitive, outline, frames: [], shown: null });
    this.inverse = inverse(vectors);
  }

  /** Walkers of the next record, [walker][electron][2]; the last few records are kept and shown again at rest. */
  walkers(positions) {
    this.frames.push(positions);
    if (this.frames.length > 24) this.frames.shift();
    else if (this.frames.length === 1) this.redraw();
  }

  /** Several configurations that are not steps of the same walkers: one is shown. */
  snapshots(positions) {
    this.frames = positions.length ? [positions] : [];
    this.frame = 0;
  }

  /** A map as it comes from the server; `largest` is the top of the colour scale, `marked` a place [2] or null, `folded` if on the moiré cell. */
  show(values, largest, marked, folded) {
    this.folded = folded;
    this.shown = values;
    this.largest = largest;
    this.marked = marked;
    this.redraw();
  }

  fraction([x, y], [[a, b], [c, d]] = this.inverse) {
    return [x * a + y * c, x * b + y * d];
  }

  point(s, t) {
    return [s * this.vectors[0][0] + t * this.vectors[1][0], s * this.vectors[0][1] + t * this.vectors[1][1]];
  }

  redraw() {
    if (!this.shown || !this.canvas.parentElement) return;
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.canvas.parentElement; // what the page leaves for it
    const width = Math.max(Math.round(clientWidth * ratio), 200);
    // Any translate of the supercell will do. Around one electron: that electron in the middle. Else: edges that keep
    // away from the lattice points.
    this.corner = this.marked
      ? this.point(-0.5, -0.5)
      : [-0.5 * (this.primitive[0][0] + this.primitive[1][0]), -0.5 * (this.primitive[0][1] + this.primitive[1][1])];
    const corners = [[0, 0], [1, 0], [1, 1], [0, 1]].map(([s, t]) => this.point(s, t).map((v, i) => v + this.corner[i]));
    const margin = 0.4, xs = corners.map((p) => p[0]), ys = corners.map((p) => p[1]);
    const left = Math.min(...xs) - margin, right = Math.max(...xs) + margin;
    const bottom = Math.min(...ys) - margin, top = Math.max(...ys) + margin;
    const bar = 62 * ratio, tallest = Math.max(clientHeight, 120) * ratio;
    this.unit = Math.min((width - bar) / (right - left), tallest / (top - bottom));
    const across = Math.round((right - left) * this.unit);
    const height = Math.round((top - bottom) * this.unit);
    Object.assign(this, { corners, left, top, ratio, plotWidth: across, plotHeight: height, bar, right, bottom });
    this.canvas.width = across + bar;
    this.canvas.style.width = `${(across + bar) / ratio}px`;
    this.canvas.height = height;
    this.back = document.createElement("canvas");
    this.back.width = across + bar;
    this.back.height = height;
    this.paint(this.back.getContext("2d"));
    this.compose();
  }

  pixel([x, y]) {
    return [(x - this.left) * this.unit, (this.top - y) * this.unit];
  }

  paint(context) {
    const n = this.shown.length, m = this.shown[0].length, values = this.shown;
    const width = Math.round(this.plotWidth / 2), height = Math.round(this.plotHeight / 2); // two screen dots a sample
    const image = new ImageData(width, height);
    const [cs, ct] = this.fraction(this.corner), frame = inverse(this.folded ? this.primitive : this.vectors);
    const paper = themed("--paper").match(/[0-9a-f]{2}/gi).map((hex) => parseInt(hex, 16));
    for (let j = 0, at = 0; j < height; j++) {
      for (let i = 0; i < width; i++, at += 4) {
        const place = [this.left + (2 * i + 1) / this.unit, this.top - (2 * j + 1) / this.unit];
        const [s, t] = this.fraction(place), [f, g] = this.fraction(place, frame);
        const u = (f - Math.floor(f)) * n - 0.5 + n, v = (g - Math.floor(g)) * m - 0.5 + m; // middles of parts
        const k = Math.floor(u), l = Math.floor(v), a = u - k, b = v - l;
        const k0 = k % n, k1 = (k + 1) % n, l0 = l % m, l1 = (l + 1) % m;
        const value = (1 - a) * ((1 - b) * values[k0][l0] + b * values[k0][l1]) + a * ((1 - b) * values[k1][l0] + b * values[k1][l1]);
        const inside = s >= cs && s < cs + 1 && t >= ct && t < ct + 1;
        const rgb = colour(value / this.largest);
        for (let c = 0; c < 3; c++) image.data[at + c] = inside ? rgb[c] : rgb[c] + FADE * (paper[c] - rgb[c]);
        image.data[at + 3] = 255;
      }
    }
    const small = document.createElement("canvas");
    small.width = width;
    small.height = height;
    small.getContext("2d").putImageData(image, 0, 0);
    context.imageSmoothingEnabled = true;
    context.drawImage(small, 0, 0, this.plotWidth, this.plotHeight);
    this.cells(context);
    colourBar(context, this.plotWidth + 10 * this.ratio, this.plotHeight, this.largest, this.ratio);
  }

  cells(context) {
    context.save();
    context.beginPath();
    context.rect(0, 0, this.plotWidth, this.plotHeight);
    context.clip();
    const path = (points, close = true) => {
      context.beginPath();
      points.map((point) => this.pixel(point)).forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
      if (close) context.closePath();
      context.stroke();
    };
    context.strokeStyle = themed("--ink");
    context.lineWidth = 0.7 * this.ratio;
    context.globalAlpha = 0.3;
    const reach = Math.ceil((this.right - this.left + this.top - this.bottom) / 0.8);
    for (let i = -reach; i <= reach; i++) {
      for (let j = -reach; j <= reach; j++) {
        const R = [0, 1].map((c) => i * this.primitive[0][c] + j * this.primitive[1][c]);
        if (R[0] < this.left - 1 || R[0] > this.right + 1 || R[1] < this.bottom - 1 || R[1] > this.top + 1) continue;
        path(this.outline.map((p) => [p[0] + R[0], p[1] + R[1]]));
      }
    }
    context.globalAlpha = 1;
    context.lineWidth = 1.8 * this.ratio;
    path(this.corners);
    if (this.marked) {
      const [x, y] = this.pixel(this.marked);
      this.dot(context, x, y, 5.5, 1);
    }
    context.restore();
  }

  dot(context, x, y, radius, alpha) {
    context.globalAlpha = alpha;
    context.beginPath();
    context.arc(x, y, radius * this.ratio, 0, 2 * Math.PI);
    context.fillStyle = "#d55e00";
    context.fill();
    context.lineWidth = 1.4 * this.ratio;
    context.strokeStyle = "#fff";
    context.stroke();
    context.globalAlpha = 1;
  }

  animate(now) {
    if (this.frames.length < 2) return;
    const past = (now - this.started) / FRAME_MS;
    if (past >= 1) {
      this.started = now;
      this.frame = (this.frame + 1) % this.frames.length;
      // Back at the oldest record kept: no electron flies across the cell.
      if (this.frame === this.frames.length - 1) this.frame = 0;
    }
    this.compose(Math.min(past >= 1 ? 0 : past, 1));
  }

  /** The map with the electrons between two records. */
  compose(part = 0) {
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.drawImage(this.back, 0, 0);
    if (this.electrons === "hidden" || this.marked || !this.frames.length) return;
    const from = this.frames[Math.min(this.frame, this.frames.length - 1)];
    const to = this.frames[Math.min(this.frame + 1, this.frames.length - 1)];
    const ease = part * part * (3 - 2 * part);
    context.save();
    context.beginPath();
    context.rect(0, 0, this.plotWidth, this.plotHeight);
    context.clip();
    from[0].forEach((start, i) => {
      const [s, t] = this.fraction(start), [s1, t1] = this.fraction(to[0][i]);
      const ds = s1 - s - Math.round(s1 - s), dt = t1 - t - Math.round(t1 - t);
      const [cs, ct] = this.fraction(this.corner);
      const u = s + ease * ds - cs, v = t + ease * dt - ct;
      const home = [u - Math.floor(u) + cs, v - Math.floor(v) + ct];
      for (let k = -1; k <= 1; k++) {
        for (let l = -1; l <= 1; l++) {
          const [x, y] = this.pixel(this.point(home[0] + k, home[1] + l));
          if (x > -9 && x < this.plotWidth + 9 && y > -9 && y < this.plotHeight + 9) this.dot(context, x, y, 5, k || l ? 0.3 : 1);
        }
      }
    });
    context.restore();
  }
}
