// One panel: a model, its sliders, the map and the numbers at that point.

import { chart } from "./chart.js";
import { DensityMap } from "./density.js";
import { ask, lines } from "./requests.js";
import { slider } from "./slider.js";
import { inLaboratory, number, rich, row } from "./text.js";

const PLAY_MS = 700; // one stored point of λ after another
const REST_MS = 250; // the slider rests: sampling begins
const WAITING = "Waiting for the sampler; the first time it compiles.";

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
    this.map.resized = () => this.model && this.drawCharts();
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
    this.parts.play.addEventListener("click", () => (this.playing ? this.stop() : this.play()));
    this.parts.close.addEventListener("click", () => {
      this.playing = null;
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

  /** Go through the stored points of λ, upwards, and from the first one again when at the end; each is shown before the next. */
  async play() {
    const { points, at } = this.model.curves, playing = (this.playing = Symbol("playing"));
    this.playable();
    const after = (lam) => points.find((point) => point > lam + 1e-9);
    for (let lam = after(this.values.lam) ?? points[0]; lam !== undefined; lam = after(lam)) {
      this.go({ ...at, lam }); // what is stored is at one value of every other parameter
      await Promise.all([this.answered, new Promise((done) => setTimeout(done, PLAY_MS))]);
      if (this.playing !== playing) return;
    }
    this.stop();
  }

  /** Stop playing, and sample where that is. */
  stop() {
    this.playing = null;
    this.playable();
    this.move();
  }

  /** What the button says. */
  playable() {
    this.parts.play.setAttribute("aria-pressed", String(!!this.playing));
    this.parts.play.textContent = this.playing ? "Stop at this λ" : "Play through λ";
  }

  /** Move sliders to values. */
  go(values) {
    const fields = [...this.parts.sliders.querySelectorAll("input[type=number]")];
    this.model.parameters.forEach(({ name }, i) => {
      if (values[name] === undefined || values[name] === this.values[name]) return;
      fields[i].value = values[name];
      fields[i].dispatchEvent(new Event("change"));
    });
  }

  leave() {
    this.abort?.abort();
    clearTimeout(this.timer);
  }

  choose(name, wanted = {}) {
    this.playing = null;
    this.playable();
    this.stored = this.current = null;
    this.model = this.models.find((model) => model.name === name);
    this.parts.model.value = name;
    this.parts.play.hidden = this.model.curves?.along !== "lam";
    this.about(this.model);
    this.map.geometry(this.model);
    this.values = Object.fromEntries(
      this.model.parameters.map(({ name: key, trained: [low, high], bounds: [least, most] }) => {
        const given = wanted[key] === undefined ? NaN : +wanted[key];
        return [key, given >= least && given <= most ? given : +((low + high) / 2).toFixed(6)];
      }),
    );
    this.parts.sliders.replaceChildren(...this.model.parameters.map((parameter) => slider(parameter, this.values, this.model.curves?.at[parameter.name], () => this.move())));
    this.move();
  }

  /** What is known about a model; runs have no card. */
  about({ summary, material, systems, card }) {
    rich(this.parts.summary, [summary, material, systems.length && `trained in ${systems.join("; ")}`].filter(Boolean).join("; ") + ".");
    for (const key of ["accuracy", "limits"]) this.parts[key].hidden = !card;
    if (!card) return;
    const worst = card.accuracy.reduce((one, other) => (other.excess.value > one.excess.value ? other : one));
    const least = number(Math.min(...card.accuracy.map(({ excess }) => +excess.value.toFixed(3))));
    rich(this.parts.accuracy, `${least} to ${number(+worst.excess.value.toFixed(3))} E0 per electron above the reference (${card.reference}), most at λ = ${worst.lam}. It is not good for:`);
    const items = card.not_good_for.map((text) => {
      const item = document.createElement("li");
      rich(item, text);
      return item;
    });
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
    this.answered = ask(`/api/stored?${query}`, signal)
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
    this.tell(WAITING);
    for await (const line of lines(`/api/live?${query}`, signal)) {
      if (line.kind === "progress" || line.kind === "walkers") {
        if (line.fraction !== undefined) this.parts.progress.value = line.fraction;
        if (line.kind === "walkers") {
          if (fresh) this.map.frames = [];
          fresh = false;
          this.map.walkers(line.walkers);
        }
        if (!this.live) this.tell(line.fraction === 0 ? WAITING : "Letting the chains settle.");
      } else if (line.kind === "result") {
        this.live = line;
        this.show();
        this.parts.progress.value = line.finished ? 1 : this.parts.progress.value;
        const { source, rhat, doubts, effective_samples: effective } = line.result;
        const words = doubts.join(", ").replace("rhat", rhat === null ? "R̂" : `R̂ = ${rhat.toFixed(2)}`);
        const doubt = doubts.length ? ` Errors may be too small: ${words}.` : "";
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
    const exact = this.stored && this.here(this.stored.result.point);
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
    if (!answer) return this.blank();
    const { result, token } = answer, live = answer === this.live;
    const kind = result.maps[this.parts.map.value] ? this.parts.map.value : "density";
    const map = result.maps[kind];
    this.current = { map, kind };
    this.onChange(this);
    this.words(result);
    rich(this.parts.note, map.note);
    const at = this.at(result.point);
    rich(this.parts.caption, `${map.label[0].toUpperCase()}${map.label.slice(1)}, ${live ? "live" : "stored"}, ±${map.error.toPrecision(2)} a_M⁻².`);
    this.parts.canvas.setAttribute("aria-label", `Map: ${map.label}, ${at}, largest value ${map.largest.toPrecision(3)} per squared moiré period`);
    this.parts["table-caption"].textContent = at;
    this.parts.source.textContent = `${live ? "live" : "stored"}: ${result.source}`;
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

  /** Nothing is known of this point yet, and what is known of another one would only mislead. */
  blank() {
    const { at } = this.model.curves ?? {}, beside = at && !this.here(at);
    this.current = null;
    this.map.shown = null;
    this.parts.canvas.width = 0;
    this.parts.canvas.setAttribute("aria-label", "Map: nothing yet");
    this.parts.caption.textContent = "Nothing is known of this point yet: its sampling begins when the slider rests.";
    this.parts.note.textContent = beside ? `Stored results are those at ${this.at(at)}.` : "";
    this.parts["table-caption"].textContent = this.at(this.values);
    this.parts.source.textContent = "nothing yet";
    for (const cell of this.parts.energies.querySelectorAll("td")) cell.textContent = "…";
  }

  /** Whether the sliders are at these values. */
  here(values) {
    return Object.entries(values).every(([name, value]) => !(Math.abs(value - (this.values[name] ?? value)) > 1e-6));
  }

  /** The phase of what is shown, and where that is: depth, filling, electrons, model. */
  words(result) {
    const { phase, point } = result ?? {}, { name, electrons, filling, fixed, parameters } = this.model;
    this.parts.phase.hidden = !phase;
    if (phase) Object.assign(this.parts.phase, { className: `phase ${phase.word}`, textContent: phase.word, title: phase.why });
    const there = Object.entries(point ?? this.values).map(([key, value]) => {
      const laboratory = parameters.find((one) => one.name === key)?.laboratory;
      return laboratory ? inLaboratory(laboratory, value) : "";
    });
    const words = [this.at(point ?? this.values), ...there, `filling ${filling}`, `N = ${electrons}`, fixed, `model ${name}`];
    rich(this.parts.words, words.filter(Boolean).join(" · "));
  }

  /** Values of parameters in words: "λ = 1.05, U = 9". */
  at(point, digits) {
    const symbols = Object.fromEntries(this.model.parameters.map(({ name, symbol }) => [name, symbol]));
    return Object.entries(point).filter(([name]) => name in symbols).map(([name, value]) => `${symbols[name]} = ${number(value, digits)}`).join(", ");
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
    const fixed = this.at(Object.fromEntries(Object.entries(curves.at).filter(([name]) => name in this.values)), 4);
    const there = this.here(curves.at);
    const of = fixed ? `, ${fixed}` : "";
    const titles = { interaction: `interaction per electron (E0)${of}`, order_parameter: `order parameter ⟨|ρ_K|²⟩${of}` };
    for (const [name, title] of Object.entries(titles).filter(([key]) => key in curves)) {
      const colour = name === "interaction" ? "var(--orange)" : "var(--curve)";
      const series = [{ x: curves.points, y: curves[name], error: curves[`${name}_error`], color: colour, dots: 2.4, name: "stored" }];
      const now = live && there && (name === "interaction" ? live.energies.find((row) => row.name === name) : live.order_parameter);
      if (now) series.push({ x: [live.point[curves.along]], y: [now.value], error: [now.error], color: "var(--ink)", dots: 4.5, name: "live" });
      const figure = document.createElement("figure"), caption = document.createElement("figcaption");
      rich(caption, title);
      figure.append(caption);
      target.append(figure);
      const width = Math.max(figure.clientWidth, 240), height = Math.min(Math.max(Math.round(0.36 * width), 112), 190);
      figure.append(chart(series, { title, xLabel: symbol, marker: this.values[curves.along], shade: trained, xRange: bounds, width, height }));
    }
  }
}
