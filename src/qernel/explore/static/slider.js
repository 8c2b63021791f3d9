// The slider of one parameter, with a field for its exact value and a strip that shows where the model was trained.

import { inLaboratory, number, rich } from "./text.js";

/**
 * A row with the slider.
 * @param parameter as the server describes it
 * @param values of all parameters by name; the slider keeps its own up to date there
 * @param stored where results are stored, if at one value only: the slider stops there, and not beside it
 * @param moved called after every change
 */
export function slider({ name, symbol, label, unit, trained: [low, high], gaps, bounds: [least, most], step, laboratory }, values, stored, moved) {
  const row = document.createElement("div");
  row.className = "slider";
  const id = `slider-${name}-${Math.random().toString(36).slice(2)}`;
  row.innerHTML = `<label></label><input type="range"><input type="number"><div class="range" aria-hidden="true"><i></i></div><span class="badge"></span>`;
  const [text, range, exact, strip, badge] = row.children;
  text.htmlFor = id;
  text.innerHTML = "<span></span> <em></em> <small></small>";
  text.children[0].textContent = symbol;
  rich(text.children[2], `${label}${unit ? ` (${unit})` : ""}`);
  range.id = id;
  exact.setAttribute("aria-label", `${symbol}, exact value`);
  for (const input of [exact, range]) Object.assign(input, { min: least, max: most, step: input === exact ? "any" : step, value: values[name] });
  const place = (value) => `${(100 * (value - least)) / (most - least)}%`;
  Object.assign(strip.firstElementChild.style, { left: place(low), width: `${(100 * (high - low)) / (most - least)}%` });
  const marks = [[low, number(low, 3)], [high, number(high, 3)], [(low + high) / 2, "trained"]];
  // The ends of the slider, where there is room for them.
  for (const [end, next] of [[least, low], [most, high]]) if (Math.abs(end - next) > 0.06 * (most - least)) marks.push([end, number(end, 3)]);
  for (const [value, words] of high > low ? marks : marks.slice(1)) {
    const mark = document.createElement("span");
    mark.textContent = words;
    mark.style.left = place(value);
    strip.append(mark);
  }
  const set = (value, other) => {
    if (!(value >= least && value <= most)) return;
    values[name] = value;
    other.value = value;
    const beyond = value < low - 1e-9 || value > high + 1e-9;
    const between = gaps.some(([start, end]) => value > start + 1e-9 && value < end - 1e-9);
    const outside = beyond ? "extrapolating" : between ? "in a gap of the training" : "";
    const there = laboratory ? inLaboratory(laboratory, value) : "";
    text.children[1].textContent = there;
    badge.textContent = outside || "as trained";
    badge.classList.toggle("out", outside !== "");
    range.setAttribute("aria-valuetext", [`${symbol} = ${value}`, there, outside].filter(Boolean).join(", "));
  };
  const reached = (value) => (Math.abs(value - stored) <= 0.5 * step ? stored : value);
  range.addEventListener("input", () => (set(reached(+range.value), exact), moved()));
  exact.addEventListener("change", () => (set(+exact.value, range), (exact.value = values[name]), moved()));
  set(values[name], range);
  return row;
}
