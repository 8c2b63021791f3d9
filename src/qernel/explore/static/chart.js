// Small line charts as SVG: curves along a parameter with a marker, training curves.

const NS = "http://www.w3.org/2000/svg";

function element(name, attributes, text) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/** Round numbers between two values, about `count` of them. */
export function ticks(low, high, count) {
  const rough = (high - low) / count;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * unit).find((n) => n >= rough);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => +((first + i) * step).toPrecision(10));
}

/**
 * A chart.
 * @param series list of {x, y, error?, color, dots?, name?, label?}; a label stands at the right end
 * @param options {title, xLabel, xRange?, yRange?, marker?, shade?: [low, high] of the trained range, width?, height?}
 */
export function chart(series, options) {
  const { width = 360, height = 190 } = options;
  const box = { left: 50, right: width - (series.some((one) => one.label) ? 44 : 10), top: 8, bottom: height - 34 };
  const all = (key) => series.flatMap((one) => one[key]).filter((value) => value !== null);
  const [x0, x1] = options.xRange ?? extent(all("x"), 0);
  const [y0, y1] = options.yRange ?? extent(all("y"), 0.07);
  const X = (x) => box.left + ((x - x0) / (x1 - x0)) * (box.right - box.left);
  const Y = (y) => box.bottom - ((y - y0) / (y1 - y0)) * (box.bottom - box.top);
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, class: "lines", role: "img", "aria-label": options.title });
  if (options.shade) {
    for (const [from, to] of [[x0, options.shade[0]], [options.shade[1], x1]]) {
      if (to > from) svg.append(element("rect", { x: X(from), y: box.top, width: X(to) - X(from), height: box.bottom - box.top, fill: "var(--shade)" }));
    }
  }
  for (const x of ticks(x0, x1, 5)) {
    svg.append(element("line", { x1: X(x), x2: X(x), y1: box.bottom, y2: box.bottom + 4, stroke: "var(--soft)" }));
    svg.append(element("text", { x: X(x), y: box.bottom + 16, "text-anchor": "middle" }, String(x)));
  }
  for (const y of ticks(y0, y1, 4)) {
    svg.append(element("line", { x1: box.left, x2: box.right, y1: Y(y), y2: Y(y), stroke: "var(--faint)" }));
    svg.append(element("text", { x: box.left - 5, y: Y(y) + 4, "text-anchor": "end" }, String(y).replace("-", "−")));
  }
  svg.append(element("path", { d: `M${box.left} ${box.top}V${box.bottom}H${box.right}`, fill: "none", stroke: "var(--soft)" }));
  svg.append(element("text", { x: (box.left + box.right) / 2, y: height - 3, "text-anchor": "middle" }, options.xLabel));
  if (options.marker !== undefined) {
    const at = X(Math.min(Math.max(options.marker, x0), x1));
    svg.append(element("line", { x1: at, x2: at, y1: box.top, y2: box.bottom, stroke: "var(--red)", "stroke-width": 1.5, "stroke-dasharray": "4 3" }));
  }
  for (const one of series) svg.append(curve(one, X, Y, box));
  let free = -Infinity; // labels from top to bottom, none on another
  const ends = series.filter((one) => one.label && one.y.length).map(({ label, y }) => [Math.min(Math.max(Y(y.at(-1)), box.top), box.bottom), label]);
  for (const [y, label] of ends.sort((one, other) => one[0] - other[0])) {
    free = Math.max(y + 4, free + 11);
    svg.append(element("text", { x: box.right + 5, y: free }, label));
  }
  return svg;
}

function curve(one, X, Y, box) {
  const group = element("g", { stroke: one.color, fill: one.color });
  if (one.name) group.append(element("title", {}, one.name));
  const clip = (y) => Math.min(Math.max(y, box.top), box.bottom);
  const points = one.x.map((x, i) => [x, one.y[i], one.error?.[i] ?? 0]).filter((point) => point[1] !== null);
  if (points.length > 1) {
    const line = points.map(([x, y]) => `${X(x).toFixed(1)},${clip(Y(y)).toFixed(1)}`).join(" ");
    group.append(element("polyline", { points: line, fill: "none", "stroke-width": 1.2, "stroke-opacity": one.dots ? 0.5 : 0.9 }));
  }
  if (!one.dots) return group;
  for (const [x, y, error] of points) {
    if (Y(y) < box.top || Y(y) > box.bottom) continue;
    group.append(element("line", { x1: X(x), x2: X(x), y1: clip(Y(y - error)), y2: clip(Y(y + error)), "stroke-width": 1.2 }));
    group.append(element("circle", { cx: X(x), cy: Y(y), r: one.dots, stroke: one.dots > 3 ? "var(--paper)" : "none" }));
  }
  return group;
}

/** Smallest and largest value, kept apart, with a margin on both sides. */
export function extent(values, margin) {
  let [low, high] = [Math.min(...values), Math.max(...values)];
  if (!(high > low)) [low, high] = [low - 0.5, high + 0.5];
  return [low - margin * (high - low), high + margin * (high - low)];
}
