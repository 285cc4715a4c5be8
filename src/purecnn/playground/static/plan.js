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

export const data = () => document.querySelector('input[name=data]:checked').value;
const words = name => name.replace('_', ' ');

// What is asked for: a network of the layers that are listed, and how it is to learn.
export const plan = () => ({
  data: data(), layers: stack, optimizer: $('optimizer').value, learning_rate: +$('rate').value,
  batch_size: +$('batch').value, seed: +$('seed').value,
});

// Told of each change of the form: data of another name at once, as `changed(true)`.
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
  changed(false);
});
$('plan').addEventListener('change', ({target}) => { if (target.name !== 'data' && target.id !== 'kind') changed(false); });

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
  options('rate', ['0.0003', '0.001', '0.003', '0.01', '0.03', '0.1', '0.3', '1'], '0.01');
  options('batch', ['1', '8', '16', '32', '64', '128'], '32');
  choose('xor');
}
