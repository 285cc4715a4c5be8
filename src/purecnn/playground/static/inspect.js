// What one cell was made of: the window, the kernel, the products and their sum, as Python traced them.

import {$, colour, element, ink, spoken} from './common.js';
import {Maps} from './maps.js';

const panel = $('inspector'), MOST_TERMS = 240, TILES = 12;
const looks = new Maps($('inspector-looks'), {most: 84});
let closed = () => {};
export const whenClosed = act => { closed = act; };
export const isOpen = () => !panel.hidden;
export function closePanel() {
  if (panel.hidden) return;
  panel.hidden = true;
  closed();
}
$('inspector-close').addEventListener('click', closePanel);
addEventListener('keydown', event => { if (event.key === 'Escape') closePanel(); });

let slide = () => false;
const slider = $('inspector-slide');
slider.addEventListener('click', () => { slider.textContent = slide() ? 'Stop' : 'Slide'; });

function grid(title, values, height, width, limit, winner = null) {
  const table = element('table', {className: 'grid'}, element('caption', {textContent: title}));
  for (let row = 0; row < height; row++) {
    const line = table.insertRow();
    for (let column = 0; column < width; column++) {
      const value = values[row * width + column], shade = colour(limit ? value / limit : 0);
      const cell = line.insertCell();
      cell.textContent = spoken(value, 2);
      cell.style.background = `rgb(${shade})`;
      cell.style.color = ink(shade);
      if (winner && winner[0] === row && winner[1] === column) cell.className = 'winner';
    }
  }
  return table;
}

const sign = text => element('span', {className: 'sign', textContent: text});
const bold = value => element('b', {textContent: typeof value === 'number' ? spoken(value) : value});
const lead = text => element('p', {className: 'lead', textContent: text});
const most = values => values.reduce((found, value) => Math.max(found, Math.abs(value)), 0);
const total = values => values.reduce((found, value) => found + value, 0);
const counted = size => size.toLocaleString('en');
const placed = place => (place.length === 3 ? `map ${place[0]}, row ${place[1]}, column ${place[2]}` : `number ${place.join(', ')}`);
const isJoin = cell => ['Residual', 'Branches'].includes(cell.kind);
const within = (place, shape) => place.every((number, axis) => number >= 0 && number < shape[axis]);

// The number of a place, as it is counted in a vector: what Flatten does.
function count(place, shape) {
  const steps = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
  const terms = place.map((number, axis) => (steps[axis] === 1 ? number : `${number} × ${steps[axis]}`));
  return `${terms.join(' + ')} = ${place.reduce((sum, number, axis) => sum + number * steps[axis], 0)}`;
}

// What branches end in, put together: one of them, their product, sum or mean, or the largest.
function joined({kind, window, weights, output}) {
  if (window.length === 1 && weights[0] === 1) return ['Nothing is computed: a branch ends in it, ', bold(output)];
  if (window.length === 1) return ['One branch ends in ', bold(window[0]), ', and the others’ product is ', bold(weights[0]), ': together ', bold(output)];
  const ends = window.flatMap((value, i) => [i ? ', ' : '', bold(value)]);
  if (kind === 'Residual') return ['Its layers make ', bold(window[0]), ', and what comes by the way around is ', bold(window[1]), ': the sum is ', bold(output)];
  const made = weights.every(weight => weight === 1) ? 'sum' : weights.includes(1) ? 'largest' : 'mean';
  return ['The branches end in ', ...ends, `: the ${made} is `, bold(output)];
}

// One sentence, or two: what was done.
function sentence(cell, layer) {
  if (cell.exponentials) {
    const named = at => (layer.names ? `“${layer.names[at]}”` : `number ${at}`);
    const top = cell.window.indexOf(Math.max(...cell.window)), own = cell.exponentials[cell.place[0]];
    return ['From each score z the largest, ', bold(cell.window[top]), ` of ${named(top)}, is taken off, so that no power is too large; the shares `
      + `stay the same. Then its e^(z − largest) is divided by the sum of all ${counted(cell.size)}: `, bold(own), ' / ', bold(cell.powers), ' = ',
    bold(own / cell.powers), ...(cell.kind === 'LogSoftmax' ? [', whose logarithm is ', bold(cell.output)] : [])];
  }
  if (cell.copied) {
    if (!within(cell.origin, cell.input)) return ['It lies in the border, which is filled with ', bold(cell.output)];
    const order = cell.place.length === 1 && cell.origin.length > 1 ? `: counted map by map and row by row, ${count(cell.origin, cell.input)}` : '';
    return [`Nothing is computed: it is ${placed(cell.origin)} of what the layer is given, `, bold(cell.output), order];
  }
  if (cell.addend === 'shift') {
    return [bold(cell.window[0]), ' × the factor γ / √(variance + ε), ', bold(cell.weights[0]), ', and the shift β − mean × factor, ', bold(cell.bias),
      ', make ', bold(cell.output), ...(cell.kind === 'BatchNormalization' ? ['; mean and variance are those kept from training'] : [])];
  }
  if (isJoin(cell)) return joined(cell);
  if (cell.products) {
    const added = cell.addend ? [`, and the ${cell.addend}, `, bold(cell.bias), ', make '] : [' makes '];
    return [cell.size === 1 ? 'One product, ' : `The sum of ${counted(cell.size)} products, `, bold(cell.total - cell.bias), ...added, bold(cell.output)];
  }
  if (cell.winner) return [`The largest of ${cell.size}: `, bold(cell.output)];
  if (cell.size > 1) return [`Of ${counted(cell.size)} numbers it makes `, bold(cell.output)];
  return [...(layer.rule ? [`${layer.rule}: of x = `] : ['Of ']), bold(cell.window[0]), ' it makes ', bold(cell.output)];
}

// Of each score its exponential and share.
function powers(cell, layer) {
  const table = element('table', {className: 'powers'}), head = table.createTHead().insertRow();
  for (const text of [layer.names ? 'class' : 'number', 'score z', 'z − largest', 'e^(z − largest)', 'share of the sum']) {
    head.append(element('th', {scope: 'col', textContent: text}));
  }
  const top = Math.max(...cell.window), order = cell.numbers ?? [...cell.window.keys()], body = table.createTBody();
  order.slice(0, MOST_TERMS).forEach((number, at) => {
    const row = body.insertRow(), power = cell.exponentials[at];
    row.append(element('th', {scope: 'row', textContent: layer.names?.[number] ?? number}));
    for (const value of [cell.window[at], cell.window[at] - top, power]) row.insertCell().textContent = spoken(value);
    row.insertCell().textContent = `${(100 * power / cell.powers).toFixed(2)} %`;
    if (number === cell.place[0]) row.className = 'own';
  });
  const foot = table.createTFoot().insertRow();
  foot.append(element('th', {scope: 'row', textContent: 'sum'}), ...['', '', spoken(cell.powers), '100 %'].map(text => element('td', {textContent: text})));
  return table;
}

// Of a window that is a small image: each map's, with weights and products.
function equations(cell) {
  const [height, width] = cell.shape.slice(-2), area = height * width;
  const tops = [cell.window, cell.weights ?? [], cell.products ?? []].map(most);
  return [...Array(cell.size / area).keys()].map(map => {
    const part = values => values.slice(map * area, (map + 1) * area);
    const name = cell.size > area ? `, map ${cell.origin[0] + map}` : '';
    const equation = element('div', {className: 'equation'});
    equation.append(grid(`window${name}`, part(cell.window), height, width, tops[0], cell.winner));
    if (cell.products) {
      equation.append(sign('×'), grid(/Average|Sampling/.test(cell.kind) ? 'shares' : 'weights', part(cell.weights), height, width, tops[1]), sign('='),
        grid('products', part(cell.products), height, width, tops[2]), sign(`Σ ${spoken(total(part(cell.products)))}`));
    }
    return equation;
  });
}

// Where a number of a vector was before a layer flattened an array of this shape.
function placeOf(number, [, height, width]) {
  return `${Math.floor(number / (height * width))}, ${Math.floor(number / width) % height}, ${number % width}`;
}

// Of a long window: its terms, those that count most first, without those that are 0.
function terms(cell, flattened) {
  const order = cell.numbers ?? [...cell.window.keys()], by = cell.products ?? cell.window;
  const counting = [...order.keys()].filter(at => by[at] !== 0), none = order.length - counting.length;
  const ranked = counting.sort((a, b) => Math.abs(by[b]) - Math.abs(by[a])).slice(0, MOST_TERMS);
  const list = element('ol', {className: flattened ? 'terms placed' : 'terms'}, ...ranked.map(at => element('li', {},
    element('span', {className: 'who', textContent: `no. ${order[at]}${flattened ? ` (${placeOf(order[at], flattened)})` : ''}`}),
    cell.products ? `${spoken(cell.window[at])} × ${spoken(cell.weights[at])} = ${spoken(cell.products[at])}` : spoken(cell.window[at]))));
  const words = [
    cell.products ? 'Value × weight = product; “no.” is the value’s number in what the layer is given' : '',
    flattened ? ', behind it the map, row and column that it was. ' : cell.products ? '. ' : '',
    'Those that count most come first', none ? `; ${counted(none)} more ${none === 1 ? 'is' : 'are'} 0.` : '.',
  ];
  return [lead(words.join('')), list];
}

// Open the panel for a cell. `given` is the picture of the input, `slides` lets the window move on by itself or stops it;
// `flattened` is the shape of what the layer in front made a vector of.
export function inspect(cell, layer, given, slides, flattened = null) {
  slide = slides;
  const named = layer.names ? `, “${layer.names[cell.place[0]]}”` : '';
  $('inspector-title').textContent = `${layer.name} ${cell.kind}: ${placed(cell.place)}${named}`;
  $('inspector-sum').replaceChildren(...sentence(cell, layer));
  const image = cell.shape.length >= 2 && cell.shape.at(-1) <= TILES && cell.shape.at(-2) <= TILES && !cell.numbers;
  let shown = [];
  if (cell.exponentials) shown = [powers(cell, layer)];
  else if (cell.copied || isJoin(cell)) shown = [];
  else if (image) shown = equations(cell);
  else if (cell.size > 1) shown = terms(cell, flattened);
  else if (cell.products) {
    const added = cell.addend ? ` ${cell.bias < 0 ? '−' : '+'} ${spoken(Math.abs(cell.bias))}` : '';
    shown = [lead(`${spoken(cell.window[0])} × ${spoken(cell.weights[0])}${added} = ${spoken(cell.products[0] + (added ? cell.bias : 0))}`)];
  }
  $('inspector-grids').replaceChildren(...shown);
  if (panel.hidden) slider.textContent = 'Slide';
  panel.hidden = false;
  // where in the input it looks, which may be far up the page
  const field = cell.fields.find(([at]) => at < 0);
  $('inspector-input').hidden = given.axes !== 3 || !field;
  if (given.axes === 3 && field) {
    Object.assign(looks, {axes: 3, shape: given.shape, data: given.data, limit: given.limit, box: field[1]});
    looks.lay();
    looks.draw();
  }
}
