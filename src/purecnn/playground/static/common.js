// What both halves of the page need: elements, errors, numbers, colours and tabs.

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

export const shaped = shape => shape.length === 3
  ? `${shape[0]} ${shape[0] === 1 ? 'map' : 'maps'} of ${shape[1]} × ${shape[2]}`
  : `${shape.join(' × ')} ${shape[0] === 1 && shape.length === 1 ? 'number' : 'numbers'}`;

// The way to the page that explains a kind of layer, where the documents' address is known.
let chapters = {};
function explained(kind) {
  if (!chapters[kind]) return [];
  const link = element('a', {className: 'what', href: chapters[kind], target: '_blank', rel: 'noopener', textContent: 'what is this?'});
  link.setAttribute('aria-label', `what is this? ${kind}`);
  return [link];
}

export function heading(layer, more = '') {
  const size = layer.parameters ? `, ${layer.parameters.toLocaleString('en')} parameters` : '';
  return element('h3', {},
    element('span', {className: 'place', textContent: layer.name}), layer.kind, ...explained(layer.kind),
    element('small', {textContent: `${shaped(layer.shape)}${size}${more}`}));
}

// Tabs: a click, or the arrow keys.
const tabs = ['draw', 'train'];
export const shown = new EventTarget();
export const addressed = () => location.hash.slice(1).split(/\?(.*)/s); // the tab, and the plan of a training
export function open(name, focus = false) {
  for (const each of tabs) {
    const chosen = each === name, tab = $(`tab-${each}`);
    tab.setAttribute('aria-selected', chosen);
    tab.tabIndex = chosen ? 0 : -1;
    $(each).hidden = !chosen;
    if (chosen && focus) tab.focus();
  }
  if (addressed()[0] !== name) history.replaceState(null, '', `#${name}`); // a plan that is not read yet stays there
  shown.dispatchEvent(new Event(name));
}
for (const name of tabs) {
  $(`tab-${name}`).addEventListener('click', () => open(name));
  $(`tab-${name}`).addEventListener('keydown', event => {
    if (event.key === 'ArrowLeft' || event.key === 'ArrowRight') open(name === 'draw' ? 'train' : 'draw', true);
  });
}
if (addressed()[0] === 'train') open('train'); // its plan is read once it is known what can be chosen

// Asks about the network that is shown. One that was opened or trained here may have been put away meanwhile.
export const lost = new EventTarget();
export async function askOf(about, path, asked) {
  try {
    return await ask(path, {...asked, network: about.network});
  } catch (error) {
    if (error.status === 404 && about.network) lost.dispatchEvent(Object.assign(new Event('lost'), {network: about.network, why: error.message}));
    throw error;
  }
}

let asked;
export const network = () => (asked ??= ask('network').then(about => {
  chapters = about.chapters ?? {};
  for (const link of document.querySelectorAll('[data-explained]')) {
    link.href = chapters[link.dataset.explained] ?? '';
    link.hidden = !chapters[link.dataset.explained];
  }
  return about;
}));
