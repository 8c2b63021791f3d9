// One panel: a model, its sliders, the map and the numbers at that point.

import { chart } from "./chart.js";
import { DensityMap } from "./density.js";
import { ask, lines } from "./requests.js";
import { inLaboratory, number, slider } from "./slider.js";

const PLAY_MS = 700; // one stored point of λ after another
const REST_MS = 250; // the slider rests: sampling begins

export class Panel {
  /**
   * @param template the <template> of a panel
   * @param models as the server describes them
   * @param onChange called when the largest density changes, so that all panels share one colour scale
   */
  constructor(template, models, { order, wanted, onChange, onClose }) {
    this.root = template.content.cloneNode(true).firstElementChild;
    this.models = models;
    this.onChange = onChange;
    this.root.setAttribute("aria-label", `Panel ${order}`);
    const part = (key) => this.root.querySelector(`[data-is="${key}"]`);
    this.parts = Object.fromEntries([...this.root.querySelectorAll("[data-is]")].map((node) => [node.dataset.is, part(node.dataset.is)]));
    this.map = new DensityMap(this.parts.canvas);
    for (const shipped of [false, true]) {
      const group = Object.assign(document.createElement("optgroup"), { label: shipped ? "Shipped with Qernel" : "Own runs" });
      for (const model of models.filter((one) => one.shipped === shipped)) {
        const option = new Option(model.available ? model.title : `${model.name} (no model yet)`, model.name);
        option.disabled = !model.available;
        group.append(option);
      }
      if (group.children.length) this.parts.model.append(group);
    }
    for (const key of ["map", "electrons", "unit"]) {
      if ([...this.parts[key].options].some(({ value }) => value === wanted[key])) this.parts[key].value = wanted[key];
    }
    this.map.electrons = this.parts.electrons.value;
    this.root.querySelectorAll("input[type=radio]").forEach((radio) => (radio.checked = radio.value === (wanted.source ?? "best")));
    if (!this.root.querySelector("input[type=radio]:checked")) this.root.querySelector("input[type=radio]").checked = true;
    this.root.querySelectorAll("input[type=radio]").forEach((radio) => {
      radio.name = `source-${order}`;
      radio.addEventListener("change", () => this.show());
    });
    this.parts.model.addEventListener("change", () => this.choose(this.parts.model.value));
    for (const select of [this.parts.map, this.parts.unit]) select.addEventListener("change", () => this.show());
    this.parts.electrons.addEventListener("change", () => {
      this.map.electrons = this.parts.electrons.value;
      this.map.redraw();
      onChange(this);
    });
    this.parts.play.addEventListener("click", () => this.play(!this.playing));
    this.parts.close.addEventListener("click", () => {
      clearInterval(this.playing);
      this.leave();
      this.map.leave();
      onClose(this);
    });
    this.choose(wanted.model, wanted);
  }

  /** What a link says of this panel: the model first. */
  get link() {
    const { map, electrons, unit } = Object.fromEntries(["map", "electrons", "unit"].map((key) => [key, this.parts[key].value]));
    const source = this.root.querySelector("input[type=radio]:checked").value;
    return Object.entries({ model: this.model.name, ...this.values, map, electrons, unit, source });
  }

  /** Go through the stored points of λ, upwards, and from the first one again when at the end. */
  play(on) {
    clearInterval(this.playing);
    this.playing = 0;
    this.parts.play.setAttribute("aria-pressed", String(on));
    this.parts.play.textContent = on ? "Stop at this λ" : "Play through λ";
    if (!on) return this.move();
    const points = this.model.curves.points, next = () => points.find((lam) => lam > this.values.lam + 1e-9);
    const step = (lam) => {
      const exact = this.parts.sliders.querySelector("input[type=number]");
      exact.value = lam;
      exact.dispatchEvent(new Event("change"));
    };
    this.playing = setInterval(() => (next() === undefined ? this.play(false) : step(next())), PLAY_MS);
    step(next() ?? points[0]);
  }

  leave() {
    this.abort?.abort();
    clearTimeout(this.timer);
  }

  choose(name, wanted = {}) {
    clearInterval(this.playing);
    this.playing = 0;
    this.parts.play.textContent = "Play through λ";
    this.parts.play.setAttribute("aria-pressed", "false");
    this.stored = this.current = null;
    this.model = this.models.find((model) => model.name === name);
    this.parts.model.value = name;
    const systems = this.model.systems.length ? `; trained in ${this.model.systems.join("; ")}` : "";
    rich(this.parts.summary, `${this.model.summary}; ${this.model.material}${systems}`);
    this.parts.play.hidden = this.model.curves?.along !== "lam";
    this.about(this.model.card);
    this.map.geometry(this.model);
    this.values = Object.fromEntries(
      this.model.parameters.map(({ name: key, trained: [low, high], bounds: [least, most] }) => {
        const given = wanted[key] === undefined ? NaN : +wanted[key];
        return [key, given >= least && given <= most ? given : +((low + high) / 2).toFixed(6)];
      }),
    );
    this.parts.sliders.replaceChildren(...this.model.parameters.map((parameter) => slider(parameter, this.values, () => this.move())));
    this.move();
  }

  /** What is known about a shipped model; runs have no card. */
  about(card) {
    this.parts.card.hidden = !card;
    if (!card) return;
    const worst = card.accuracy.reduce((one, other) => (other.excess.value > one.excess.value ? other : one));
    const least = Math.min(...card.accuracy.map(({ excess }) => excess.value)).toFixed(3);
    this.parts.accuracy.textContent = `${least} to ${worst.excess.value.toFixed(3)} E₀ per electron above the reference (${card.reference}), most at λ = ${worst.lam}.`;
    const items = card.not_good_for.map((text) => Object.assign(document.createElement("li"), { textContent: text }));
    this.parts.limits.replaceChildren(...items);
  }

  /** The point has changed: what is stored at once, live sampling when the slider rests. */
  move() {
    this.leave();
    this.abort = new AbortController();
    this.live = null;
    this.map.frames = [];
    const query = new URLSearchParams({ model: this.model.name, ...this.values }), { signal } = this.abort;
    const quiet = (error) => signal.aborted || this.tell(error.message, true);
    ask(`/api/stored?${query}`, signal)
      .then((answer) => {
        this.stored = answer.result && answer;
        if (this.stored && !this.live) this.map.snapshots(this.stored.result.walkers);
        this.show();
      })
      .catch(quiet);
    this.tell("");
    this.parts.progress.value = 0;
    this.words();
    this.onChange(this);
    if (!this.playing) this.timer = setTimeout(() => this.sample(query, signal).catch(quiet), REST_MS);
  }

  async sample(query, signal) {
    let fresh = true;
    for await (const line of lines(`/api/live?${query}`, signal)) {
      if (line.kind === "progress" || line.kind === "walkers") {
        if (line.fraction !== undefined) this.parts.progress.value = line.fraction;
        if (line.kind === "walkers") {
          if (fresh) this.map.frames = [];
          fresh = false;
          this.map.walkers(line.walkers);
        }
        if (!this.live) this.tell(line.fraction === 0 ? "waiting for the sampler (the first time it compiles)" : "letting the chains settle");
      } else if (line.kind === "result") {
        this.live = line;
        this.show();
        this.parts.progress.value = line.finished ? 1 : this.parts.progress.value;
        const { source, rhat, doubts, effective_samples: effective } = line.result;
        const largest = rhat === null ? "" : ` R̂ = ${rhat.toFixed(2)}.`;
        const doubt = doubts.length ? ` Errors may be too small: ${doubts.join(", ").replaceAll("rhat", "R̂")}.${largest}` : "";
        this.tell(`${line.finished ? "Done" : "Sampling"}: ${source}, ${Math.round(effective)} independent samples.${doubt}`, line.finished && !!doubt);
      } else if (line.kind === "error") this.tell(line.error, true);
    }
  }

  tell(text, warning = false) {
    this.parts.state.textContent = text;
    this.parts.state.classList.toggle("warning", warning);
  }

  /** The answer to show: as chosen, or the one with the smaller error if both are of this very point. */
  best() {
    const chosen = this.root.querySelector("input[type=radio]:checked").value;
    const exact = this.stored && Object.entries(this.stored.result.point).every(([name, value]) => !(Math.abs(value - (this.values[name] ?? value)) > 1e-9));
    if (chosen === "stored" && this.stored) return this.stored;
    if (chosen === "live" || !this.stored) return this.live;
    if (!this.live) return this.stored;
    if (!this.live.result.agree) return this.stored;
    const error = (answer) => answer.result.energies[0].error;
    return exact && !(error(this.live) < error(this.stored)) ? this.stored : this.live;
  }

  show() {
    const answer = this.best();
    this.root.querySelector("input[value=stored]").disabled = !this.stored;
    this.parts.downloads.hidden = !answer;
    this.drawCharts();
    if (!answer) return;
    const { result, token } = answer, live = answer === this.live;
    const kind = result.maps[this.parts.map.value] ? this.parts.map.value : "density";
    const map = result.maps[kind];
    this.current = { map, kind };
    this.onChange(this);
    this.words(result);
    rich(this.parts.note, map.note);
    const at = this.at(result.point), where = live ? "live" : `stored, ${at}`;
    rich(this.parts.caption, `${map.label[0].toUpperCase()}${map.label.slice(1)} (${where}; typical error ±${map.error.toPrecision(2)} a_M⁻²).`);
    this.parts.canvas.setAttribute("aria-label", `Map: ${map.label}, ${at}, largest value ${map.largest.toPrecision(3)} per squared moiré period`);
    this.parts["table-caption"].textContent = `${at}, ${live ? "live" : "stored"}`;
    this.parts.source.textContent = result.source;
    this.parts.unit.disabled = result.energies[0].meV === null; // no material, no meV
    const unit = this.parts.unit.disabled ? "text" : this.parts.unit.value;
    this.parts.unit.value = unit;
    this.parts.energies.replaceChildren(
      ...result.energies.map((energy) => row(energy.label.replace(" energy per electron", ""), energy[unit], energy.name === "energy")),
      ...(result.order_parameter ? [row("order ⟨|ρ_K|²⟩", result.order_parameter.text, false)] : []),
    );
    for (const link of this.parts.downloads.querySelectorAll("a")) {
      const file = link.dataset.figure ? `${kind === "density_moire" ? "density" : kind}.${link.dataset.figure}` : link.dataset.kind;
      link.href = `/api/result/${token}/${file}`;
    }
  }

  /** The phase of what is shown, and where that is: depth, filling, electrons, model. */
  words(result) {
    const { phase, point } = result ?? {}, { name, electrons, filling, parameters } = this.model;
    this.parts.phase.hidden = !phase;
    if (phase) Object.assign(this.parts.phase, { className: `phase ${phase.word}`, textContent: phase.word, title: phase.why });
    const there = Object.entries(point ?? this.values).map(([key, value]) => {
      const laboratory = parameters.find((one) => one.name === key)?.laboratory;
      return laboratory ? inLaboratory(laboratory, value) : "";
    });
    const words = [this.at(point ?? this.values), ...there, `N = ${electrons}`, `filling ${filling}`, `model ${name}`];
    this.parts.words.textContent = words.filter(Boolean).join(" · ");
  }

  /** Values of parameters in words: "λ = 1.05, U = 9". */
  at(point) {
    const symbols = Object.fromEntries(this.model.parameters.map(({ name, symbol }) => [name, symbol]));
    return Object.entries(point).filter(([name]) => name in symbols).map(([name, value]) => `${symbols[name]} = ${number(value)}`).join(", ");
  }

  /** Draw the map on a colour scale that ends at `largest`. */
  paint(largest) {
    if (!this.current) return;
    const { map, kind } = this.current;
    this.map.show(map.values, largest[kind], map.place, map.folded);
  }

  drawCharts() {
    const curves = this.model.curves, target = this.parts.charts;
    target.replaceChildren();
    const parameter = curves && this.model.parameters.find(({ name }) => name === curves.along);
    if (!parameter || curves.points.length < 2) return;
    const { trained, bounds, symbol } = parameter, live = this.live?.result.agree && this.live.result; // shown once its chains agree
    // The curves are of one value of every other parameter, wherever its slider is.
    const fixed = this.at(Object.fromEntries(Object.entries(curves.at).filter(([name]) => name in this.values)));
    const there = Object.entries(curves.at).every(([name, value]) => !(Math.abs(value - (this.values[name] ?? value)) > 1e-9));
    const of = fixed ? ` at ${fixed}` : "";
    const titles = { interaction: `interaction energy per electron (E_0)${of}`, order_parameter: `order parameter ⟨|ρ_K|²⟩ of the crystal${of}` };
    for (const [name, title] of Object.entries(titles).filter(([key]) => key in curves)) {
      const colour = name === "interaction" ? "var(--orange)" : "var(--curve)";
      const series = [{ x: curves.points, y: curves[name], error: curves[`${name}_error`], color: colour, dots: 2.4, name: "stored" }];
      const now = live && there && (name === "interaction" ? live.energies.find((row) => row.name === name) : live.order_parameter);
      if (now) series.push({ x: [live.point[curves.along]], y: [now.value], error: [now.error], color: "var(--ink)", dots: 4.5, name: "live" });
      const figure = document.createElement("figure"), caption = document.createElement("figcaption");
      rich(caption, title);
      figure.append(caption, chart(series, { title, xLabel: symbol, marker: this.values[curves.along], shade: trained, xRange: bounds }));
      target.append(figure);
    }
  }
}

function row(label, text, total) {
  const made = document.createElement("tr");
  made.className = total ? "total" : "";
  made.innerHTML = `<th scope="row"></th><td></td>`;
  [label, text].forEach((content, i) => rich(made.children[i], content.replace("-", "−")));
  return made;
}

/** Text in which `_X` is an index. */
function rich(node, text) {
  const parts = text.split(/_(\w)/).map((part, i) => (i % 2 ? Object.assign(document.createElement("sub"), { textContent: part }) : part));
  node.replaceChildren(...parts);
}
