// The page: panels side by side, and the training curves of runs.

import { chart, extent } from "./chart.js";
import { Panel } from "./panel.js";
import { ask } from "./requests.js";

const POLL_MS = 2000;
const get = (id) => document.getElementById(id);
const panels = [];
let models = [], opened = 0, scales = {}, writing;

const REMEMBER_MS = 300; // browsers refuse to have the address changed at every move of a slider

function add(wanted) {
  const panel = new Panel(get("panel"), models, { order: ++opened, wanted, onChange: repaint, onClose: remove });
  panels.push(panel);
  get("panels").append(panel.root);
  arrange();
}

function remove(panel) {
  panels.splice(panels.indexOf(panel), 1);
  panel.root.remove();
  arrange();
  repaint();
  get("add").focus();
}

function arrange() {
  panels.forEach((panel) => (panel.parts.close.hidden = panels.length === 1));
}

/** All maps of a kind on one colour scale: what looks the same is the same. */
function repaint() {
  // Scales do not shrink while λ is played through: what changes then is the density.
  const largest = panels.some((panel) => panel.playing) ? scales : {};
  scales = largest;
  for (const { current } of panels) if (current) largest[current.kind] = Math.max(largest[current.kind] ?? 0, current.map.largest);
  panels.forEach((panel) => panel.paint(largest));
  clearTimeout(writing);
  writing = setTimeout(() => history.replaceState(null, "", `#${new URLSearchParams(panels.flatMap((panel) => panel.link))}`), REMEMBER_MS);
}

/** What the address asks for: a panel for each `model` in it, with what comes behind that. */
function linked() {
  const wanted = [];
  for (const [key, value] of new URLSearchParams(location.hash.slice(1))) {
    if (key === "model") wanted.push({ model: value });
    else if (wanted.length) wanted.at(-1)[key] = value;
  }
  return wanted.filter(({ model }) => models.some(({ name, available }) => available && name === model));
}

function fail(error) {
  get("problem").hidden = false;
  get("problem").textContent = error.message === "Failed to fetch" ? "qernel explore has ended: start it again and reload this page." : error.message;
}

function watchTraining() {
  const runs = models.filter((model) => model.training);
  get("training").hidden = !runs.length;
  if (!runs.length) return;
  get("training-run").append(...runs.map((run) => new Option(run.name)));
  let stamp = "", since = 0;
  const poll = async () => {
    const query = new URLSearchParams({ model: get("training-run").value, stamp });
    const answer = await ask(`/api/training?${query}`);
    if (answer.groups) {
      drawTraining(answer);
      get("training-run").dataset.iteration = answer.iteration;
      since = Date.now();
    }
    stamp = answer.stamp;
    const idle = Math.round((Date.now() - since) / 1000);
    const text = `iteration ${get("training-run").dataset.iteration}, ${idle < 6 ? "as written last" : "nothing new for " + idle + " s"}`;
    if (get("training-state").textContent !== text) get("training-state").textContent = text;
  };
  const again = () => (document.hidden ? Promise.resolve() : poll().catch(fail)).then(() => setTimeout(again, POLL_MS));
  get("training-run").addEventListener("change", () => ((stamp = ""), poll().catch(fail)));
  again();
}

function drawTraining({ groups }) {
  if (!groups.length || !groups[0].iteration.length) return;
  const lams = groups.map((group) => group.lam), [low, high] = extent(lams, 0);
  // From blue (weak) to vermillion (strong moiré potential); the names say it as well.
  const shade = (lam) => `hsl(${205 - (185 * (lam - low)) / (high - low)} 75% 38%)`;
  const series = groups.map(({ lam, iteration, energy, error }) => ({ x: iteration, y: energy, error, color: shade(lam), label: lam.toFixed(2) }));
  // The descent from the initial state leaves through the top.
  const settled = series.flatMap(({ y }) => y.slice(Math.floor(y.length / 4))).filter((value) => value !== null);
  const title = "energy per electron (E₀) of every λ group against the iteration";
  const figure = document.createElement("figure"), caption = document.createElement("figcaption");
  caption.textContent = `${title}; on the right the λ around which each group drifts`;
  figure.append(caption, chart(series, { title, xLabel: "iteration", yRange: extent(settled, 0.05), width: Math.max(get("training-chart").clientWidth, 320), height: 280 }));
  get("training-chart").replaceChildren(figure);
}

try {
  ({ models } = await ask("/api/models"));
  get("loading").hidden = true;
  const usable = models.filter((model) => model.available);
  if (usable.length) {
    // Opens on both sides of the transition: a quarter and three quarters of the trained range.
    const [low, high] = usable[0].parameters[0].trained;
    const at = (part) => +(low + part * (high - low)).toFixed(2);
    const asked = linked(), both = [0.25, 0.75].map((part) => ({ model: usable[0].name, lam: at(part) }));
    (asked.length ? asked : both).forEach(add);
    addEventListener("hashchange", () => location.reload()); // a link that was pasted
  }
  get("add").hidden = !usable.length;
  get("add").addEventListener("click", () => {
    add({ model: usable[0].name });
    panels.at(-1).root.querySelector("select").focus();
  });
  watchTraining();
} catch (error) {
  get("loading").hidden = true;
  fail(error);
}
