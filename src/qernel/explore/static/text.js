// Numbers and words as people read them.

/** A number as text. */
export const number = (value, digits = 6) => String(+value.toPrecision(digits)).replace("-", "−");

/** A value as the laboratory has it: "ε = 5.31", "depth 15.8 meV"; nothing where it would be infinite. */
export function inLaboratory({ symbol, unit, factor, inverse }, value) {
  const there = inverse ? factor / value : factor * value;
  if (!Number.isFinite(there)) return "";
  return unit ? `${symbol} ${+there.toPrecision(3)} ${unit}`.trim() : `${symbol} = ${+there.toPrecision(3)}`;
}

/** Put text into a node; `_X` in it is an index, and so is the nought of E0 and V0. */
export function rich(node, text) {
  const parts = text.replace(/\b([EV])0\b/g, "$1_0").split(/_(\w)(?!\w)/);
  node.replaceChildren(...parts.map((part, i) => (i % 2 ? Object.assign(document.createElement("sub"), { textContent: part }) : part)));
}

/** A row of a table: what it is, and its number. */
export function row(label, text, total) {
  const made = document.createElement("tr");
  made.className = total ? "total" : "";
  made.innerHTML = `<th scope="row"></th><td></td>`;
  [label, text].forEach((content, i) => rich(made.children[i], content.replace("-", "−")));
  return made;
}
