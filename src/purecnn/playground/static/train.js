// The second half of the page: a network built here learns before one's eyes, a step at a time or running.

import {ask, leave, whenReady} from './carrier.js';
import {unwind} from './chain.js';
import {curve, surface, tested} from './charts.js';
import {$, addressed, complain, element, heading, network, open, shown, spoken, whenColoursChange} from './common.js';
import {Maps} from './maps.js';
import {drawFor, save} from './networks.js';
import {data, offer, plan, read, whenChanged, written} from './plan.js';

let lesson = null, spare = null, running = null, losses = [], tests = [], last = null, about = null, cards = [], planes = [];

// A training. Answers may come in another order than their questions: one to a training that has ended is not shown.
let begun = 0, stale = true, building = null;
const end = lesson => ask('lessons/end', {lesson}).catch(() => {});
function allow(steps) {
  for (const id of ['run', 'step', 'ten', 'draw-for', 'save-trained']) $(id).disabled = !steps;
  unwind(steps ? lesson : null);
}

// Whether the form has what the network that is shown was built from.
function unbuilt(changed) {
  $('begin').classList.toggle('strong', changed);
  $('unbuilt').textContent = changed && lesson ? 'The form was changed: “Build anew” makes a network of it. This is still the one before.' : '';
}

// Returns whether the plan's network was built, and no other since. One that is refused leaves the one before as it was.
async function build() {
  stop();
  const mine = ++begun, before = lesson ?? spare;
  stale = false;
  [lesson, spare] = [null, before];
  allow(false);
  complain('');
  $('copied').textContent = '';
  try {
    const asked = plan(), told = await ask('lessons/begin', asked);
    if (mine !== begun) {
      end(told.lesson);
      return false;
    }
    if (spare) end(spare);
    [lesson, spare] = [told.lesson, null];
    [losses, tests, cards, planes] = [[], [], [], []];
    about = told;
    $('penalised').hidden = !(asked.l1 || asked.l2);
    $('units').replaceChildren();
    $('weights').replaceChildren();
    unbuilt(false);
    named();
    allow(true);
    update(told);
    return true;
  } catch (error) {
    if (mine !== begun) return false;
    stale = !error.status; // nobody has heard of it
    [lesson, spare] = [spare, null];
    allow(Boolean(lesson));
    unbuilt(true);
    complain(error.message, $('begin'));
    return false;
  }
}
$('plan').addEventListener('submit', event => { event.preventDefault(); build(); });

// Other data are shown at once; what else was changed waits for its button, lest a click undo what was learnt.
whenChanged(atOnce => {
  unbuilt(true);
  stale ||= atOnce;
  if (stale && !$('train').hidden) build();
});

// Steps.
let underWay = 0;
function go(run) {
  running = run;
  $('run').textContent = running ? 'Pause' : 'Run';
}
function stop() {
  go(null);
  $('figures').ariaBusy = underWay > 0;
}

// Returns how many steps were done, nothing if there are to be no more.
async function advance(steps, button) {
  const mine = lesson;
  underWay++;
  $('figures').ariaBusy = true; // while it runs, not every figure need be read aloud
  try {
    const told = await ask('lessons/advance', {lesson, steps});
    if (mine !== lesson) return false;
    update(told);
    if (last.diverged) {
      complain(last.diverged, $(button));
      stop();
    }
    return !last.diverged && told.losses.length;
  } catch (error) {
    if (mine !== lesson) return false;
    if (error.status === 404 && !losses.length) { // it ended while one looked, and had learnt nothing
      const run = running;
      if (!await build()) return false;
      go(run);
      return await advance(steps, button);
    }
    complain(error.message, $(button));
    stop();
    if (error.status === 404) allow(false);
    return false;
  } finally {
    $('figures').ariaBusy = --underWay > 0 || running !== null;
  }
}

$('run').addEventListener('click', async () => {
  if (running) return stop();
  complain('');
  const mine = {}; // a run that is paused goes on no more, even if another has begun when its answer comes
  go(mine);
  while (mine === running && await advance(data() === 'digits' ? 20 : 40, 'run')) await new Promise(requestAnimationFrame);
});
$('step').addEventListener('click', () => { stop(); complain(''); advance(1, 'step'); });
$('ten').addEventListener('click', async () => {
  stop();
  complain('');
  for (let left = 10, done; left && !running && (done = await advance(left, 'ten'));) left -= done; // an answer may be of fewer
});
$('draw-for').addEventListener('click', () => { stop(); drawFor(lesson, $('draw-for')); });
$('save-trained').addEventListener('click', () => save({lesson}, $('save-trained')));
addEventListener('pagehide', ({persisted}) => { // one that is only put aside may come back
  for (const each of [lesson, spare]) if (each && !persisted) leave('lessons/end', {lesson: each});
});

function update(told) {
  last = told;
  losses.push(...told.losses);
  if (tests.at(-1)?.[0] !== told.test_step) tests.push([told.test_step, told.test_loss]);
  const bold = text => element('b', {textContent: text});
  $('figures').replaceChildren(
    'step ', bold(told.step.toLocaleString('en')), ` · epoch ${told.epoch.toFixed(1)} · test `,
    bold(`${(100 * told.test_accuracy).toFixed(1)} %`), ` right, test loss ${spoken(told.test_loss)}`);
  redraw();
}

function redraw() {
  if (!last || $('train').hidden) return;
  surface(last.surface, about);
  tested(last.guesses, about);
  units();
  curve(losses, tests);
  weights();
}

function units() {
  $('units-box').hidden = !last.units?.length;
  $('units-left').hidden = last.units?.length >= last.layers.filter(layer => layer.kind === 'Dense').length - 1;
  last.units?.forEach((layer, i) => {
    if (!planes[i]) {
      const canvas = element('canvas', {role: 'img'});
      canvas.setAttribute('aria-label', `What each neuron of layer ${layer.name} gives over the plane`);
      $('units').append(element('article', {className: 'layer'}, element('h3', {},
        element('span', {className: 'place', textContent: layer.name}), layer.kinds.join(', '),
        element('small', {textContent: `${layer.planes.shape[0]} ${layer.planes.shape[0] === 1 ? 'neuron' : 'neurons'}`})), canvas));
      planes[i] = new Maps(canvas, {most: 46});
    }
    planes[i].show(layer.planes);
  });
}

function weights() {
  const held = last.layers.filter(layer => layer.picture);
  if (cards.length !== held.length) {
    cards = held.map(layer => {
      const figures = ['weights', 'derivative'].map(name => {
        const canvas = element('canvas', {role: 'img'});
        canvas.setAttribute('aria-label', `${name} of ${layer.kind}`);
        return {maps: new Maps(canvas, {most: 34}), box: element('figure', {}, canvas, element('figcaption')), name};
      });
      const card = element('article', {className: 'layer'}, heading(layer), element('div', {className: 'twin'}, ...figures.map(f => f.box)));
      $('weights').append(card);
      return figures;
    });
  }
  held.forEach((layer, i) => {
    const name = layer.norms.kernels ? 'kernels' : 'weights', [length, slope] = layer.norms[name];
    const told = [layer.picture, layer.gradient], norms = [length, slope];
    cards[i].forEach((figure, side) => {
      figure.maps.show(told[side]);
      figure.box.lastChild.textContent = `${side ? 'derivative' : name}, length ${spoken(norms[side])}`;
    });
  });
}

// The address has the plan, so that it can be kept, sent and opened again: it is built then, and nothing runs by itself.
const named = () => $('train').hidden || history.replaceState(null, '', `#train?${written()}`);
$('copy').addEventListener('click', async () => {
  named();
  try {
    await navigator.clipboard.writeText(location.href);
    $('copied').textContent = 'Copied.';
  } catch {
    $('copied').textContent = 'It stands in the address bar.'; // where the browser lets no page write there
  }
});
async function readAddress() {
  const [tab, plan] = addressed();
  if (tab === 'draw') open('draw');
  if (tab !== 'train') return;
  let wrong = '';
  try {
    if (plan) read(plan);
  } catch (error) {
    wrong = error.message;
  }
  stale ||= !!plan && !wrong;
  open('train');
  if (!wrong) return;
  await building;
  complain(wrong, $('begin'));
}
addEventListener('hashchange', readAddress);

shown.addEventListener('train', () => {
  if (!offered) return;
  if (stale) building = build();
  else redraw();
  named();
});
whenColoursChange(redraw);
whenReady(() => { if (stale && offered && !$('train').hidden) build(); });
let waitingForRoom, offered = false;
addEventListener('resize', () => { clearTimeout(waitingForRoom); waitingForRoom = setTimeout(redraw, 120); });

$('unfetched').dataset.train = '';
try {
  offer((await network()).choices);
  offered = true;
  if (!$('train').hidden) await readAddress();
} catch (error) {
  complain(error.message);
}
