// The slider of one parameter, with a field for its exact value and a strip that shows where the model was trained.

/** A number as text. */
export const number = (value) => String(+value.toPrecision(6)).replace("-", "−");

/** A value as the laboratory has it: "ε = 5.31", "depth 15.8 meV"; nothing where it would be infinite. */
export function inLaboratory({ symbol, unit, factor, inverse }, value) {
  const there = inverse ? factor / value : factor * value;
  if (!Number.isFinite(there)) return "";
  return unit ? `${symbol} ${+there.toPrecision(3)} ${unit}`.trim() : `${symbol} = ${+there.toPrecision(3)}`;
}

/**
 * A row with the slider.
 * @param parameter as the server describes it
 * @param values of all parameters by name; the slider keeps its own up to date there
 * @param moved called after every change
 */
export function slider({ name, symbol, label, unit, trained: [low, high], gaps, bounds: [least, most], step, laboratory }, values, moved) {
  const row = document.createElement("div");
  row.className = "slider";
  const id = `slider-${name}-${Math.random().toString(36).slice(2)}`;
  row.innerHTML = `<label></label><input type="number"><input type="range"><span class="badge"></span><div class="range" aria-hidden="true"><i></i></div>`;
  const [text, exact, range, badge, strip] = row.children;
  text.htmlFor = id;
  text.innerHTML = "<span></span> <small></small>";
  text.children[0].textContent = symbol;
  const meaning = `${label}${unit ? ` (${unit})` : ""}`;
  range.id = id;
  exact.setAttribute("aria-label", `${symbol}, exact value`);
  for (const input of [exact, range]) Object.assign(input, { min: least, max: most, step: input === exact ? "any" : step, value: values[name] });
  const place = (value) => `${(100 * (value - least)) / (most - least)}%`;
  Object.assign(strip.firstElementChild.style, { left: place(low), width: `${(100 * (high - low)) / (most - least)}%` });
  const marks = [[low, number(low)], [high, number(high)], [(low + high) / 2, "trained"]];
  // The ends of the slider, where there is room for them.
  for (const [end, next] of [[least, low], [most, high]]) if (Math.abs(end - next) > 0.06 * (most - least)) marks.push([end, number(end)]);
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
    text.children[1].textContent = there ? `${meaning} (${there})` : meaning;
    badge.textContent = outside || "as trained";
    badge.classList.toggle("out", outside !== "");
    range.setAttribute("aria-valuetext", [`${symbol} = ${value}`, there, outside].filter(Boolean).join(", "));
  };
  range.addEventListener("input", () => (set(+range.value, exact), moved()));
  exact.addEventListener("change", () => (set(+exact.value, range), (exact.value = values[name]), moved()));
  set(values[name], range);
  return row;
}
