// The colours of maps.

// The colour scale of Qernel's printed figures (YlGnBu), monotone in grey: on paper light where nothing is.
const SCALE = ["#ffffd9", "#edf8b1", "#c7e9b4", "#7fcdbb", "#41b6c4", "#1d91c0", "#225ea8", "#253494", "#081d58"].map((hex) =>
  [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)),
);

/** Whether the page is dark, as the system is. */
export const dark = matchMedia("(prefers-color-scheme: dark)");

/** Red, green and blue of a value from 0 to 1; in the dark the other way round, so that nothing is dark. */
export function colour(value) {
  const part = Math.min(Math.max(value, 0), 1);
  const at = (dark.matches ? 1 - part : part) * (SCALE.length - 1);
  const low = Math.min(Math.floor(at), SCALE.length - 2);
  return SCALE[low].map((from, i) => from + (at - low) * (SCALE[low + 1][i] - from));
}

/** A colour of the style sheet, which is another one in the dark. */
export const themed = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** The scale from 0 to `largest` beside a map of a height, at x; all lengths in screen dots, `ratio` of them a pixel. */
export function colourBar(context, x, height, largest, ratio) {
  const w = 12 * ratio, y0 = height - 16 * ratio, y1 = 22 * ratio;
  for (let y = y1; y < y0; y++) {
    context.fillStyle = `rgb(${colour((y0 - y) / (y0 - y1)).map(Math.round)})`;
    context.fillRect(x, y, w, 1);
  }
  context.fillStyle = themed("--soft");
  context.font = `${11 * ratio}px system-ui, "DejaVu Sans", sans-serif`;
  const unit = 10 ** Math.floor(Math.log10(largest / 3)), step = [1, 2, 5, 10].map((k) => k * unit).find((k) => k >= largest / 5);
  for (let value = 0; value <= largest * 1.001; value += step) {
    const y = y0 - (value / largest) * (y0 - y1);
    context.fillText(String(+value.toPrecision(3)), x + w + 4 * ratio, y + 4 * ratio);
  }
  context.fillText("a", x, 12 * ratio);
  context.font = `${8 * ratio}px system-ui, "DejaVu Sans", sans-serif`;
  context.fillText("M", x + 7 * ratio, 14 * ratio);
  context.fillText("−2", x + 14 * ratio, 8 * ratio);
}
