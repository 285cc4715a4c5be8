// What both halves of the page need: colours, and pictures of arrays.

import {ask} from './carrier.js';

export const $ = id => document.getElementById(id);

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// An error stands beside the button, field or picture that caused it, below its row; one that nothing on the page caused
// stands at the top.
const alert = $('alert'), top_ = alert.previousElementSibling;
export function complain(text, beside = null) {
  const place = beside?.closest('.row, .pairs, .pad') ?? beside ?? top_;
  if (text || !alert.hidden) place.after(alert);
  alert.textContent = text;
  alert.hidden = !text;
  if (text && beside) alert.scrollIntoView({block: 'nearest'});
}

export function toBase64(bytes) {
  let text = '';
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(text);
}

export const fromBase64 = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));

// The numbers of an array as the server tells it: exactly, or in 256 steps from the lowest to the highest.
export function numbers(told) {
  if (told.values) return Float32Array.from(told.values);
  const step = (told.high - told.low) / 255;
  return Float32Array.from(fromBase64(told.bytes), byte => told.low + byte * step);
}

export const spoken = (value, digits = 3) => {
  if (value === null || value === undefined) return 'not a number';
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return value.toExponential(2).replaceAll('-', '−');
  return value.toFixed(digits).replace('-', '−');
};

// Canvases that are written again and again stay in memory: a third less work where there is no graphics card.
export const IN_MEMORY = {willReadFrequently: true};

// Colours: from the paper to orange above zero, to blue below; darker where the page is dark.
const darkness = matchMedia('(prefers-color-scheme: dark)');
export const whenColoursChange = redraw => darkness.addEventListener('change', redraw);
// asked of the page, so that canvases which have left it are forgotten
whenColoursChange(() => document.querySelectorAll('canvas').forEach(canvas => canvas.maps?.draw()));

const SCALES = {
  light: {zero: [243, 240, 233], plus: [[240, 172, 98], [201, 92, 12], [110, 40, 2]], minus: [[120, 170, 225], [38, 100, 178], [12, 44, 98]]},
  dark: {zero: [36, 41, 50], plus: [[150, 82, 28], [236, 140, 52], [255, 221, 170]], minus: [[40, 86, 146], [88, 158, 232], [205, 228, 255]]},
};
export function colour(share) {
  const scale = darkness.matches ? SCALES.dark : SCALES.light;
  const stops = [scale.zero, ...(share < 0 ? scale.minus : scale.plus)];
  const at = Math.min(Math.abs(share) || 0, 1) * 3, low = Math.min(Math.floor(at), 2), part = at - low;
  return stops[low].map((value, i) => Math.round(value + (stops[low + 1][i] - value) * part));
}

// An array as an image, a pixel for each number, from -limit to limit: its colours come from a table, which for 4,608
// numbers takes 0.15 ms where `colour` took 2.6.
const tables = new Map();
function table() {
  if (!tables.has(darkness.matches)) {
    const pixels = new Uint8ClampedArray(4 * 511);
    for (let i = 0; i < 511; i++) pixels.set([...colour((i - 255) / 255), 255], 4 * i);
    tables.set(darkness.matches, new Uint32Array(pixels.buffer));
  }
  return tables.get(darkness.matches);
}
export function painted(values, width, height, limit) {
  const canvas = new OffscreenCanvas(width, height), image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer), colours = table(), scale = 255 / limit;
  for (let i = 0; i < pixels.length; i++) {
    pixels[i] = colours[255 + Math.round(Math.max(-255, Math.min(255, values[i] * scale || 0)))];
  }
  canvas.getContext('2d', IN_MEMORY).putImageData(image, 0, 0);
  return canvas;
}

export const ink = ([r, g, b]) => (0.3 * r + 0.59 * g + 0.11 * b > 140 ? '#16191f' : '#f7f5f0');
export const style = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// An array of one, two or three axes as tiles: one for each map, side by side, as large as there is room for.
export class Maps {
  constructor(canvas, {pick = null, most = 84, tall = 84} = {}) {
    Object.assign(this, {canvas, pick, most, tall, shape: [], data: null, limit: 1, cell: null, frame: null});
    if (pick) {
      canvas.tabIndex = 0;
      canvas.classList.add('pickable');
      canvas.addEventListener('click', event => this.click(event));
      canvas.addEventListener('keydown', event => this.key(event));
      canvas.addEventListener('focus', () => { if (!this.cell && this.data) { this.cell = [0, 0, 0]; this.draw(); } });
    }
    canvas.maps = this;
  }

  show(told, limit = Math.max(Math.abs(told.low), Math.abs(told.high)) || 1) {
    this.axes = told.shape.length;
    const shape = told.shape.length === 4 ? [told.shape[0] * told.shape[1], ...told.shape.slice(2)] : told.shape;
    this.shape = shape.length === 3 ? shape : shape.length === 2 ? [1, ...shape] : [shape[0] ?? 1, 1, 1];
    this.data = numbers(told);
    this.limit = limit;
    this.lay();
    this.draw();
  }

  lay() {
    const [maps, height, width] = this.shape, room = Math.max(120, this.canvas.parentElement.clientWidth - 4);
    const sharp = Math.min(2, window.devicePixelRatio || 1), laid = `${[this.axes, this.shape, room, sharp]}`;
    if (laid === this.laid) return;
    this.laid = laid;
    if (this.axes === 2) { // a matrix: as wide as there is room for, its rows as high as they can be read
      this.scale = [Math.min(18, room / width), Math.max(2, Math.min(18, Math.floor(this.tall / height)))];
    } else {
      const side = Math.max(height, width), most = this.axes < 2 ? 18 : Math.max(this.most, side);
      this.scale = [0, 1].map(() => Math.max(1, Math.min(18, Math.floor(most / side))));
    }
    this.gap = this.axes < 2 ? 2 : 4;
    const tile = width * this.scale[0] + this.gap;
    this.columns = Math.max(1, Math.min(maps, Math.floor((room + this.gap) / tile)));
    const rows = Math.ceil(maps / this.columns);
    this.size = [this.columns * tile - this.gap, rows * (height * this.scale[1] + this.gap) - this.gap];
    this.canvas.width = this.size[0] * sharp;
    this.canvas.height = this.size[1] * sharp;
    this.canvas.style.width = `${this.size[0]}px`;
    this.canvas.style.height = 'auto';
    this.sharp = sharp;
  }

  corner(map) {
    const [, height, width] = this.shape;
    return [
      (map % this.columns) * (width * this.scale[0] + this.gap),
      Math.floor(map / this.columns) * (height * this.scale[1] + this.gap),
    ];
  }

  draw() {
    if (!this.data) return;
    const paint = this.canvas.getContext('2d', IN_MEMORY), [maps, height, width] = this.shape;
    paint.setTransform(this.sharp, 0, 0, this.sharp, 0, 0);
    paint.clearRect(0, 0, ...this.size);
    paint.imageSmoothingEnabled = this.scale[0] < 1;
    const image = painted(this.data, width, maps * height, this.limit);
    for (let map = 0; map < maps; map++) {
      const [x, y] = this.corner(map);
      paint.drawImage(image, 0, map * height, width, height, x, y, width * this.scale[0], height * this.scale[1]);
    }
    const box = (map, row, column, high, wide, width_) => {
      const [x, y] = this.corner(map), [across, down] = this.scale;
      paint.lineWidth = width_;
      paint.strokeStyle = style('--accent');
      paint.strokeRect(x + column * across - .5, y + row * down - .5, wide * across + 1, high * down + 1);
    };
    if (this.frame) this.frame.maps.forEach(map => map < maps && box(map, ...this.frame.box, 1.5));
    if (this.cell) box(...this.cell, 1, 1, 2);
  }

  // Where a window lies: the maps it spans, and its first row and column, height and width.
  mark(frame) { this.frame = frame; this.draw(); }

  place() { return this.axes === 3 ? this.cell : this.axes === 2 ? this.cell.slice(1) : [this.cell[0]]; }

  choose(cell) {
    this.cell = cell;
    this.draw();
    this.pick(this.place(), this);
  }

  click(event) {
    if (!this.data) return;
    const ratio = this.size[0] / this.canvas.clientWidth, [, height, width] = this.shape;
    const x = event.offsetX * ratio, y = event.offsetY * ratio;
    const wide = width * this.scale[0] + this.gap, high = height * this.scale[1] + this.gap;
    const map = Math.floor(y / high) * this.columns + Math.floor(x / wide);
    const row = Math.floor((y % high) / this.scale[1]), column = Math.floor((x % wide) / this.scale[0]);
    if (map < this.shape[0] && row < height && column < width) this.choose([map, row, column]);
  }

  key(event) {
    if (!this.data) return;
    const [maps, height, width] = this.shape, flat = this.axes < 2;
    let [map, row, column] = this.cell ?? [0, 0, 0];
    const moves = {
      ArrowLeft: () => (flat ? map-- : column--), ArrowRight: () => (flat ? map++ : column++),
      ArrowUp: () => (flat ? map -= this.columns : row--), ArrowDown: () => (flat ? map += this.columns : row++),
      PageUp: () => map--, PageDown: () => map++, Enter: () => {}, ' ': () => {},
    };
    if (!moves[event.key]) return;
    event.preventDefault();
    moves[event.key]();
    const within = (value, size) => Math.max(0, Math.min(size - 1, value));
    this.choose([within(map, maps), within(row, height), within(column, width)]);
  }
}

export const shaped = shape => shape.length === 3
  ? `${shape[0]} ${shape[0] === 1 ? 'map' : 'maps'} of ${shape[1]} × ${shape[2]}`
  : `${shape.join(' × ')} ${shape[0] === 1 && shape.length === 1 ? 'number' : 'numbers'}`;

export function heading(layer, more = '') {
  const size = layer.parameters ? `, ${layer.parameters.toLocaleString('en')} parameters` : '';
  return element('h3', {},
    element('span', {className: 'place', textContent: layer.name}), layer.kind,
    element('small', {textContent: `${shaped(layer.shape)}${size}${more}`}));
}

// Tabs: a click, or the arrow keys.
const tabs = ['draw', 'train'];
export const shown = new EventTarget();
export function open(name, focus = false) {
  for (const each of tabs) {
    const chosen = each === name, tab = $(`tab-${each}`);
    tab.setAttribute('aria-selected', chosen);
    tab.tabIndex = chosen ? 0 : -1;
    $(each).hidden = !chosen;
    if (chosen && focus) tab.focus();
  }
  $('inspector').hidden = true;
  history.replaceState(null, '', `#${name}`);
  shown.dispatchEvent(new Event(name));
}
for (const name of tabs) {
  $(`tab-${name}`).addEventListener('click', () => open(name));
  $(`tab-${name}`).addEventListener('keydown', event => {
    if (event.key === 'ArrowLeft' || event.key === 'ArrowRight') open(name === 'draw' ? 'train' : 'draw', true);
  });
}

let asked;
export const network = () => (asked ??= ask('network'));
