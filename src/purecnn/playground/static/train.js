// The second half of the page: a network built here learns before one's eyes, a step at a time or running.

import {ask, leave} from './carrier.js';
import {$, Maps, colour, complain, element, heading, network, numbers, open, painted, shaped, shown, spoken, style, whenColoursChange} from './common.js';

const NAMES = {xor: 'XOR', moons: 'Two moons', circles: 'Circles', spiral: 'Spiral', digits: 'Digits'};
const STARTS = {
  points: [{kind: 'Dense', output_size: 16}, {kind: 'Tanh'}, {kind: 'Dense', output_size: 16}, {kind: 'Tanh'}],
  digits: [{kind: 'Convolutional', kernel_size: 5, depth: 6}, {kind: 'ReLU'}, {kind: 'MaxPooling', pool_size: 2},
    {kind: 'Convolutional', kernel_size: 3, depth: 8}, {kind: 'ReLU'}, {kind: 'MaxPooling', pool_size: 2}],
};
const STEPS = ['run', 'step', 'ten', 'start-over', 'forth', 'back'];
const FIRST = {kernel_size: 3, depth: 8, pool_size: 2, output_size: 16, rate: 0.2};
let choices, stack = [], lesson = null, running = null, losses = [], last = null, chain = null, at = 0, cards = [];

// The plan.
const data = () => document.querySelector('input[name=data]:checked').value;
const words = name => name.replace('_', ' ');

function list() {
  const rows = stack.map((layer, place) => {
    const row = element('li', {}, element('span', {textContent: layer.kind}));
    for (const [name, [least, most]] of Object.entries(choices.layers[layer.kind])) {
      const input = element('input', {type: 'number', min: least, max: most, step: name === 'rate' ? 0.05 : 1, value: layer[name]});
      input.addEventListener('change', () => { layer[name] = +input.value; });
      row.append(element('label', {}, `${words(name)} `, input));
    }
    const button = (text, label, act, off = false) => {
      const made = element('button', {type: 'button', textContent: text, disabled: off});
      made.setAttribute('aria-label', `${label} layer ${place + 1}, ${layer.kind}`);
      made.addEventListener('click', () => { act(); list(); });
      return made;
    };
    row.append(
      button('↑', 'Move up', () => stack.splice(place - 1, 2, stack[place], stack[place - 1]), place === 0),
      button('✕', 'Remove', () => stack.splice(place, 1)));
    return row;
  });
  const end = data() === 'digits' ? 'Dense to 10, Softmax' : 'Dense to 1, Sigmoid';
  $('stack').replaceChildren(...rows, element('li', {className: 'given'}, element('span', {textContent: `${end} (always last)`})));
}

function choose(name) {
  stack = structuredClone(name === 'digits' ? STARTS.digits : STARTS.points);
  $('rate').value = name === 'digits' ? '0.003' : '0.03';
  list();
}

$('add').addEventListener('click', () => {
  const kind = $('kind').value, layer = {kind};
  for (const name of Object.keys(choices.layers[kind])) layer[name] = FIRST[name];
  stack.push(layer);
  list();
});

// Answers may come in another order than their questions: one to a lesson that has ended is not shown.
let begun = 0;
const end = lesson => ask('lessons/end', {lesson}).catch(() => {});

$('plan').addEventListener('submit', async event => {
  event.preventDefault();
  stop();
  const mine = ++begun;
  try {
    if (lesson) end(lesson);
    lesson = null;
    for (const id of STEPS) $(id).disabled = true;
    const told = await ask('lessons/begin', {
      data: data(), layers: stack, optimizer: $('optimizer').value, learning_rate: +$('rate').value,
      batch_size: +$('batch').value, seed: +$('seed').value,
    });
    if (mine !== begun) return end(told.lesson);
    lesson = told.lesson;
    losses = [];
    chain = null;
    cards = [];
    complain('');
    $('weights').replaceChildren();
    $('chain').replaceChildren(element('p', {className: 'lead', textContent: 'Walk from the loss back to the input.'}));
    for (const id of ['run', 'step', 'ten', 'start-over']) $(id).disabled = false;
    $('forth').disabled = $('back').disabled = true;
    update(told);
  } catch (error) {
    if (mine === begun) complain(error.message);
  }
});

// Steps.
let underWay = 0;
function stop() {
  running = null;
  $('run').textContent = 'Run';
  $('figures').ariaBusy = underWay > 0;
}

// Returns how many steps were done, nothing if there are to be no more.
async function advance(steps) {
  const mine = lesson;
  underWay++;
  $('figures').ariaBusy = true; // while it runs, not every figure need be read aloud
  try {
    const told = await ask('lessons/advance', {lesson, steps});
    if (mine !== lesson) return false;
    update(told);
    complain(last.diverged);
    if (last.diverged) stop();
    return !last.diverged && told.losses.length;
  } catch (error) {
    if (mine !== lesson) return false;
    complain(error.message);
    stop();
    if (error.status === 404) for (const id of STEPS) $(id).disabled = true;
    return false;
  } finally {
    $('figures').ariaBusy = --underWay > 0 || running !== null;
  }
}

$('run').addEventListener('click', async () => {
  if (running) return stop();
  const mine = running = {}; // a run that is paused goes on no more, even if another has begun when its answer comes
  $('run').textContent = 'Pause';
  while (mine === running && await advance(data() === 'digits' ? 20 : 40)) await new Promise(requestAnimationFrame);
});
$('step').addEventListener('click', () => { stop(); advance(1); });
$('ten').addEventListener('click', async () => {
  stop();
  for (let left = 10, done; left && !running && (done = await advance(left));) left -= done; // an answer may be of fewer
});
addEventListener('pagehide', () => {
  if (lesson) leave('lessons/end', {lesson});
});

function update(told) {
  last = told;
  losses.push(...told.losses);
  const bold = text => element('b', {textContent: text});
  $('figures').replaceChildren(
    'step ', bold(told.step.toLocaleString('en')), ` · epoch ${told.epoch.toFixed(1)} · test `,
    bold(`${(100 * told.test_accuracy).toFixed(1)} %`), ` · loss ${spoken(told.test_loss)}`);
  curve();
  surface();
  weights();
}

// Pictures.
function canvasOf(id, height = null) {
  const canvas = $(id), sharp = Math.min(2, devicePixelRatio || 1), width = canvas.clientWidth || 300;
  height ??= canvas.clientHeight || width;
  canvas.width = width * sharp;
  canvas.height = height * sharp;
  const paint = canvas.getContext('2d');
  paint.scale(sharp, sharp);
  return [paint, width, height];
}

function curve() {
  const [paint, width, height] = canvasOf('curve'), left = 44, low = height - 22, top = 8;
  paint.font = '12px system-ui, sans-serif';
  const known = losses.filter(value => value !== null && value > 0);
  if (!known.length) {
    paint.fillStyle = style('--faint');
    paint.fillText('No step was done yet.', left, height / 2);
    return;
  }
  const most = Math.log10(Math.max(...known)) + .05, least = Math.min(Math.log10(Math.min(...known)), most - .5) - .05;
  const y = value => top + (most - Math.log10(Math.max(value, 1e-30))) / (most - least) * (low - top);
  const x = i => left + (losses.length < 2 ? .5 : i / (losses.length - 1)) * (width - left - 8);
  paint.strokeStyle = style('--line');
  paint.fillStyle = style('--faint');
  paint.textAlign = 'right';
  for (let power = Math.ceil(least); power <= most; power++) {
    paint.beginPath();
    paint.moveTo(left, y(10 ** power));
    paint.lineTo(width - 8, y(10 ** power));
    paint.stroke();
    paint.fillText(power >= -3 && power <= 3 ? `${10 ** power}`.slice(0, 6) : `1e${power}`, left - 6, y(10 ** power) + 4);
  }
  paint.textAlign = 'left';
  paint.fillText('1', left, height - 6);
  paint.textAlign = 'right';
  paint.fillText(`step ${losses.length.toLocaleString('en')}`, width - 8, height - 6);
  const every = Math.max(1, Math.floor(losses.length / 1500));
  const line = (values, colour_, thick) => {
    Object.assign(paint, {strokeStyle: colour_, lineWidth: thick, lineJoin: 'round'});
    paint.beginPath();
    for (let i = 0; i < values.length; i += every) if (values[i] !== null) paint.lineTo(x(i), y(values[i]));
    paint.stroke();
    if (values.length === 1) paint.strokeRect(x(0) - 1, y(values[0]) - 1, 2, 2);
  };
  const colours = [style('--line'), style('--accent')];
  line(losses, colours[0], 1);
  let mean = losses[0];
  line(losses.map(value => (mean = value === null ? mean : .95 * mean + .05 * value)), colours[1], 2);
}

function surface() {
  $('surface-box').hidden = !last.surface;
  if (!last.surface) return;
  const [paint, width] = canvasOf('surface', $('surface').clientWidth || 300), side = last.surface.answers.shape[0];
  const found = numbers(last.surface.answers).map(value => (2 * value - 1) * .62);
  paint.imageSmoothingEnabled = true;
  paint.drawImage(painted(found, side, side, 1), 0, 0, width, width);
  const scale = value => (value / 1.1 + 1) / 2 * width;
  last.surface.points.forEach(([a, b], i) => {
    const one = last.surface.labels[i] === 1;
    paint.fillStyle = `rgb(${colour(one ? 1 : -1)})`;
    paint.strokeStyle = style('--card');
    paint.lineWidth = 1;
    paint.beginPath();
    if (one) paint.arc(scale(a), scale(-b), 3.2, 0, 7);
    else paint.rect(scale(a) - 2.8, scale(-b) - 2.8, 5.6, 5.6);
    paint.fill();
    paint.stroke();
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

// The chain rule.
async function walk(fresh) {
  const mine = lesson;
  try {
    if (fresh || !chain) {
      const told = await ask('lessons/backward', {lesson, sample: +$('sample').value});
      if (mine !== lesson) return;
      [chain, at] = [told, 0];
    }
    complain('');
    tell();
  } catch (error) {
    if (mine === lesson) complain(error.message);
  }
}
$('start-over').addEventListener('click', () => walk(true));
$('forth').addEventListener('click', () => { at++; walk(false); });
$('back').addEventListener('click', () => { at--; walk(false); });

function picture(told, caption) {
  const canvas = element('canvas', {role: 'img'}), box = element('figure', {}, canvas, element('figcaption', {textContent: caption}));
  canvas.setAttribute('aria-label', caption);
  return {box, show: () => new Maps(canvas, {most: 56}).show(told)};
}

function tell() {
  const items = [], pictures = [];
  const answer = chain.answer.length === 1
    ? `it answers ${spoken(chain.answer[0])}, ${chain.label} is right` : `it gives the right one, ${chain.label}, ${(100 * chain.answer[chain.label]).toFixed(1)} %`;
  items.push(element('li', {}, `Loss ${spoken(chain.loss, 4)}: ${answer}.`));
  chain.layers.slice(0, at + 1).forEach((layer, i) => {
    const item = element('li', {}, element('strong', {textContent: `${layer.name} ${layer.kind}`}), ' ',
      element('span', {className: 'formula', textContent: layer.formula}));
    if (i === at) {
      item.setAttribute('aria-current', 'step');
      const flow = element('div', {className: 'flow'});
      const parts = [
        layer.output_gradient && [layer.output_gradient, 'g = ∂L/∂y, from behind'],
        [layer.input, 'x, its input'],
        ...Object.entries(layer.gradients).map(([name, told]) => [told, `∂L/∂ ${name}`]),
        layer.input_gradient && [layer.input_gradient, '∂L/∂x, handed on'],
      ].filter(Boolean);
      for (const [told, caption] of parts) {
        const made = picture(told, `${caption}; ${shaped(told.shape.length === 4 ? [told.shape[0] * told.shape[1], ...told.shape.slice(2)] : told.shape)}, ${spoken(told.low)} to ${spoken(told.high)}`);
        flow.append(made.box);
        pictures.push(made);
      }
      item.append(flow);
    }
    items.push(item);
  });
  $('chain').replaceChildren(element('ol', {className: 'chain'}, ...items));
  pictures.forEach(made => made.show());
  $('forth').disabled = at >= chain.layers.length - 1;
  $('back').disabled = at <= 0;
}

const redraw = () => { if (last && !$('train').hidden) { curve(); surface(); weights(); } };
shown.addEventListener('train', redraw);
whenColoursChange(redraw);
let waitingForRoom;
addEventListener('resize', () => { clearTimeout(waitingForRoom); waitingForRoom = setTimeout(redraw, 120); });

try {
  choices = (await network()).choices;
  const options = (id, names, chosen) => $(id).replaceChildren(
    ...names.map(name => element('option', {value: name, textContent: name, selected: name === chosen})));
  $('data').replaceChildren(...choices.data.map((name, i) => {
    const input = element('input', {type: 'radio', name: 'data', value: name, checked: i === 0});
    input.addEventListener('change', () => choose(name));
    return element('label', {}, input, NAMES[name] ?? name);
  }));
  options('kind', Object.keys(choices.layers), 'Dense');
  options('optimizer', choices.optimizers, 'Adam');
  options('rate', ['0.0003', '0.001', '0.003', '0.01', '0.03', '0.1', '0.3', '1'], '0.01');
  options('batch', ['1', '8', '16', '32', '64', '128'], '32');
  choose('xor');
  if (location.hash === '#train') open('train');
} catch (error) {
  complain(error.message);
}
