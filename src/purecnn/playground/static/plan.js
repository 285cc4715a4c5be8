// The plan of a training: the form's data, layers and settings.

import {$, element} from './common.js';

const NAMES = {xor: 'XOR', moons: 'Two moons', circles: 'Circles', spiral: 'Spiral', digits: 'Digits'};
const STARTS = {
  points: [{kind: 'Dense', output_size: 16}, {kind: 'Tanh'}, {kind: 'Dense', output_size: 16}, {kind: 'Tanh'}],
  digits: [{kind: 'Convolutional', kernel_size: 5, depth: 6}, {kind: 'ReLU'}, {kind: 'MaxPooling', pool_size: 2},
    {kind: 'Convolutional', kernel_size: 3, depth: 8}, {kind: 'ReLU'}, {kind: 'MaxPooling', pool_size: 2}],
};
const FIRST = {kernel_size: 3, depth: 8, pool_size: 2, output_size: 16, rate: 0.2};
let choices, stack = [];

const SHARES = {1: 'all', 0.5: 'half', 0.2: '20 %', 0.1: '10 %', 0.05: '5 %', 0.02: '2 %'};
const PENALTIES = {none: 'none', l1: 'L1', l2: 'L2'};
const RATES = ['0.0003', '0.001', '0.003', '0.01', '0.03', '0.1', '0.3', '1'];
const BATCHES = ['1', '8', '16', '32', '64', '128'], STRENGTHS = ['0.0001', '0.0003', '0.001', '0.003', '0.01', '0.03', '0.1'];

export const data = () => document.querySelector('input[name=data]:checked').value;
const words = name => name.replace('_', ' ');

// What is asked for: a network of the layers that are listed, and how it is to learn.
export function plan() {
  const penalty = $('penalty').value;
  return {
    data: data(), noise: +$('noise').value, share: +$('share').value, layers: stack, optimizer: $('optimizer').value,
    learning_rate: +$('rate').value, batch_size: +$('batch').value, seed: +settled('seed'),
    ...(penalty === 'none' ? {} : {[penalty]: +$('strength').value}),
  };
}

// What a field has; a seed as the number that it is, which may be written as 1e3, or as nothing.
const settled = name => name === 'seed' ? `${+$('seed').value}` : $(name).value;

// Told of each change of the form, and whether it is one of the data.
let changed = () => {};
export const whenChanged = act => { changed = act; };

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
      made.addEventListener('click', () => { act(); list(); changed(false); });
      return made;
    };
    row.append(
      button('↑', 'Move up', () => stack.splice(place - 1, 2, stack[place], stack[place - 1]), place === 0),
      button('✕', 'Remove', () => stack.splice(place, 1)));
    return row;
  });
  const end = data() === 'digits' ? 'Dense to 10, Softmax' : 'Dense to 1, Sigmoid';
  $('strength').disabled = $('penalty').value === 'none';
  $('stack').replaceChildren(...rows, element('li', {className: 'given'}, element('span', {textContent: `${end} (always last)`})));
}

function choose(name) {
  document.querySelector(`input[name=data][value=${name}]`).checked = true;
  stack = structuredClone(name === 'digits' ? STARTS.digits : STARTS.points);
  $('rate').value = name === 'digits' ? '0.003' : '0.03';
  list();
}

// The plan as the end of an address, data=xor&layers=Dense-16,Tanh&..., and back. What is like the form at first is left out.
const FIELDS = ['noise', 'share', 'optimizer', 'rate', 'batch', 'seed', 'penalty', 'strength'];
const USUAL = {noise: '0', share: '1', optimizer: 'Adam', batch: '32', seed: '0', penalty: 'none', strength: '0.001'};
const usual = (name, of) => USUAL[name] ?? (of === 'digits' ? '0.003' : '0.03');

export function written() {
  const layers = stack.map(({kind, ...numbers}) => [kind, ...Object.values(numbers)].join('-')).join(',');
  const fields = FIELDS.filter(name => settled(name) !== usual(name, data()) && (name !== 'strength' || $('penalty').value !== 'none'));
  return [['data', data()], ['layers', layers], ...fields.map(name => [name, settled(name)])]
    .map(([name, value]) => `${name}=${encodeURIComponent(value).replaceAll('%2C', ',')}`).join('&');
}

// One of the layers of an address, such as Convolutional-5-6: its kind, and its numbers in their order.
function layerOf(text) {
  const [kind, ...given] = text.split('-');
  if (!Object.hasOwn(choices.layers, kind)) throw new Error(`The address names a layer ${shortened(kind)}; the page has ${Object.keys(choices.layers).join(', ')}.`);
  const bounds = Object.entries(choices.layers[kind]);
  const right = given.length === bounds.length && bounds.every(([name, [least, most]], i) =>
    /^[0-9.]+$/.test(given[i]) && +given[i] >= least && +given[i] <= most && (name === 'rate' || Number.isInteger(+given[i])));
  if (!right) {
    const wanted = bounds.map(([name, [least, most]]) => `${words(name)} from ${least} to ${most}`).join(', ') || 'no number';
    throw new Error(`The address has ${shortened(text)}; ${kind} wants ${wanted}.`);
  }
  return {kind, ...Object.fromEntries(bounds.map(([name], i) => [name, +given[i]]))};
}
const shortened = text => `“${text.length > 40 ? `${text.slice(0, 40)}…` : text}”`;

// Fills the form from an address, all of it or, where a part is wrong, nothing: then it says which.
export function read(text) {
  const given = [...new URLSearchParams(text)], found = Object.fromEntries(given);
  for (const [name, value] of given) {
    if (!['data', 'layers', ...FIELDS].includes(name)) throw new Error(`The address has ${shortened(name)}, which is no setting of this page.`);
    if (given.filter(([other]) => other === name).length > 1) throw new Error(`The address has ${name} more than once.`);
    const offered = name === 'data' ? choices.data : $(name)?.options && [...$(name).options].map(option => option.value);
    if (offered && !offered.includes(value)) throw new Error(`The address has ${shortened(value)} for ${name}; the page has ${offered.join(', ')}.`);
  }
  if (found.seed !== undefined && !(/^[0-9]{1,7}$/.test(found.seed) && +found.seed <= 1e6)) throw new Error(`The address has ${shortened(found.seed)} for the seed; a number from 0 to 1000000 is wanted.`);
  const layers = found.layers?.split(',').filter(Boolean).map(layerOf);
  choose(found.data ?? choices.data[0]);
  for (const name of FIELDS) $(name).value = found[name] ?? usual(name, data());
  stack = layers ?? stack;
  list();
}

$('add').addEventListener('click', () => {
  const kind = $('kind').value, layer = {kind};
  for (const name of Object.keys(choices.layers[kind])) layer[name] = FIRST[name];
  stack.push(layer);
  list();
  changed(false);
});
// What is to be learnt from is shown at once.
$('plan').addEventListener('change', ({target}) => {
  $('strength').disabled = $('penalty').value === 'none';
  if (target.name !== 'data' && target.id !== 'kind') changed(['noise', 'share'].includes(target.id));
});

// Fills the form with what the network's description says can be chosen.
export function offer(told) {
  choices = told;
  const options = (id, names, chosen) => $(id).replaceChildren(
    ...names.map(name => element('option', {value: name, textContent: name, selected: name === chosen})));
  $('data').replaceChildren(...choices.data.map((name, i) => {
    const input = element('input', {type: 'radio', name: 'data', value: name, checked: i === 0});
    input.addEventListener('change', () => { choose(name); changed(true); });
    return element('label', {}, input, NAMES[name] ?? name);
  }));
  options('kind', Object.keys(choices.layers), 'Dense');
  options('optimizer', choices.optimizers, 'Adam');
  options('rate', RATES);
  options('batch', BATCHES, '32');
  options('noise', choices.noises.map(String));
  options('strength', STRENGTHS, '0.001');
  for (const [id, named, chosen] of [['share', SHARES, '1'], ['penalty', PENALTIES, 'none']]) {
    $(id).replaceChildren(...Object.entries(named).map(([value, textContent]) => element('option', {value, textContent, selected: value === chosen})));
  }
  choose('xor');
}
