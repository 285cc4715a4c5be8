// The inside of the network: one picture of it, a card with what each layer gave, and where a cell of it looks.

import {$, askOf, complain, element, heading, shaped, shown, spoken} from './common.js';
import {Graph, sources} from './graph.js';
import {closePanel, inspect, isOpen, whenClosed} from './inspect.js';
import {Maps} from './maps.js';
import {Windows} from './windows.js';

const MOST_NAMES = 100; // that are written beside the numbers
const STRIDE = 260; // ms between two cells while the window slides by itself
let about, sample = null, chosen = null, asked = 0;
const maps = new Map(), cards = new Map(); // by the layer's number, -1 for the input
const windows = new Windows($('draw'), maps), graph = new Graph($('graph'), go);

const zeros = shape => ({shape, low: 0, high: 0, values: new Array(shape.reduce((a, b) => a * b, 1)).fill(0)});
const told = layer => (layer < 0 ? {name: '', kind: 'Input', shape: about.given.shape} : about.layers[layer]);

// A card for each layer, and one for what the first is given; in the place of those of a network before.
export function build(found) {
  closePanel();
  about = found;
  for (const held of [maps, cards]) held.clear();
  for (const layer of [-1, ...about.layers.keys()]) {
    const canvas = element('canvas'), {kind, names} = told(layer);
    if (layer < 0) {
      canvas.setAttribute('role', 'img');
      canvas.setAttribute('aria-label', 'What the first layer is given');
      maps.set(layer, new Maps(canvas, {most: 140}));
    } else {
      canvas.setAttribute('aria-label', `Output of ${kind}; arrow keys walk over its cells`);
      canvas.setAttribute('role', 'application');
      maps.set(layer, new Maps(canvas, {
        pick: place => choose(place, layer), hover: place => hover(place, layer),
        names: names && names.length <= MOST_NAMES ? names : null,
      }));
    }
    cards.set(layer, element('article', {className: 'layer'}, title(layer), canvas));
  }
  $('layers').replaceChildren(...cards.values());
  graph.show(about);
  windows.before = sources(about.graph);
}

function title(layer) {
  if (layer >= 0) return heading(about.layers[layer], about.layers[layer].arguments ? ` · ${about.layers[layer].arguments}` : '');
  return element('h3', {}, 'Input', element('small', {textContent: `${shaped(about.given.shape)} · ${about.given.words}`}));
}

// From the network's picture to a card.
function go(layer) {
  const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
  cards.get(layer).scrollIntoView({block: 'center', behavior: still ? 'instant' : 'smooth'});
  maps.get(layer).canvas.focus({preventScroll: true});
}

// What an answer says of each layer.
export function light(answer) {
  sample = answer.sample;
  maps.get(-1).show(answer.given);
  answer.layers.forEach((layer, i) => maps.get(i).show(layer));
  if (isOpen() && chosen) choose(...chosen);
}

export function dim() {
  sample = null;
  for (const [layer, map] of maps) map.show(zeros(told(layer).shape), 1);
  closePanel();
}

// Cells. An answer may come after the next question, and is then not shown.
async function choose(place, layer) {
  if (!sample) {
    const why = $('answer').ariaBusy === 'true' ? 'The answer is on its way' : 'Nothing is drawn yet';
    complain(`${why}: what a cell was made of is known once the drawing is answered.`, maps.get(layer).canvas);
    return;
  }
  const mine = ++asked;
  chosen = [place, layer];
  for (const [other, map] of maps) if (other !== layer && map.cell) { map.cell = null; map.draw(); }
  try {
    const cell = await askOf(about, 'cell', {sample, layer, place});
    if (mine !== asked) return; // another was asked for since, or the panel was closed
    look(cell);
    kept = cell;
    graph.mark(layer);
    inspect(cell, about.layers[layer], maps.get(-1), slide, flattened(layer));
    keepInSight(layer, cell);
  } catch (error) {
    complain(error.message, maps.get(layer).canvas);
  }
}

// The shape of the maps of which the layer in front of this one made a vector; nothing if it did not.
function flattened(layer) {
  const [before] = windows.before[layer];
  if (before < 0 || told(before).kind !== 'Flatten') return null;
  const {shape} = told(windows.before[before][0]);
  return shape.length === 3 ? shape : null;
}

const label = cell => `${about.layers[cell.layer].names ? `${about.layers[cell.layer].names[cell.place[0]]}: ` : ''}${spoken(cell.output)}`;
const look = cell => windows.show(cell, cell && label(cell));

// Under the pointer: one question at a time, and always the latest place.
let kept = null, next, waits = false;
async function hover(place, layer) {
  next = place && sample ? {place, layer} : null;
  if (!next) look(isOpen() ? kept : null);
  if (waits) return;
  for (waits = true; next;) {
    const mine = next;
    try {
      const cell = await askOf(about, 'cell', {sample, ...mine});
      if (mine === next) look(cell);
    } catch { /* a click on it says why */ }
    if (mine === next) next = null;
  }
  waits = false;
}

// The page has room below for the panel, and is moved so that the card, or at least its cell, stands above it; with what
// the cell looks at, where there is room for both.
function keepInSight(layer, cell) {
  const panel = $('inspector').offsetHeight, room = innerHeight - panel;
  document.body.style.paddingBottom = `${panel + 16}px`;
  const map = maps.get(layer), page = document.documentElement;
  const [, top, , high] = map.within(page, map.place(...(map.cell ?? [0, 0, 0]), 1, 1));
  const span = (from, to) => [from.getBoundingClientRect().top, to.getBoundingClientRect().bottom].map(y => y - page.getBoundingClientRect().top);
  const before = cell.fields.length ? cards.get(cell.fields[0][0]) : cards.get(layer);
  const own = span(cards.get(layer), cards.get(layer)), both = [Math.min(span(before, before)[0], own[0]), Math.max(span(before, before)[1], own[1])];
  const [begin, end] = [both, own, [top - 24, top + high + 24]].find(([a, b]) => b - a <= room - 16) ?? [top, top + high];
  if (begin - 8 < scrollY) scrollTo({top: begin - 8, behavior: 'instant'});
  else if (end + 8 > scrollY + room) scrollTo({top: end + 8 - room, behavior: 'instant'});
}

// The window slides by itself: from cell to cell in the order of reading, until it is stopped.
let sliding = null;
function slide(stop = false) {
  clearInterval(sliding);
  sliding = sliding === null && !stop ? setInterval(() => {
    const map = chosen && maps.get(chosen[1]);
    if (map?.cell && isOpen()) map.choose(map.next(map.cell));
  }, STRIDE) : null;
  $('inspector-sum').ariaBusy = sliding !== null; // not every cell on the way need be read aloud
  return sliding !== null;
}

whenClosed(() => {
  asked++;
  slide(true);
  chosen = kept = null;
  document.body.style.paddingBottom = '';
  graph.mark();
  windows.show();
  for (const map of maps.values()) { map.cell = null; map.draw(); }
});

const lay = () => { for (const map of maps.values()) if (map.data) { map.lay(); map.draw(); } windows.draw(); };
let waitingForRoom;
addEventListener('resize', () => {
  clearTimeout(waitingForRoom);
  waitingForRoom = setTimeout(lay, 120);
});
shown.addEventListener('draw', lay);
shown.addEventListener('train', closePanel);
