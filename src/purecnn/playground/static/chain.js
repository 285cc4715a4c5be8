// The chain rule, one layer at a time: from the loss of one sample back to its input.

import {ask} from './carrier.js';
import {$, complain, element, shaped, spoken} from './common.js';
import {Maps} from './maps.js';

const SYMBOLS = {weights: 'W', kernels: 'K', biases: 'b', gamma: 'γ', beta: 'β'}; // as in the formulas
let lesson = null, chain = null, at = 0;

// Begins anew with a training, or with none.
export function unwind(token) {
  lesson = token;
  chain = null;
  $('start-over').disabled = !token;
  $('forth').disabled = $('back').disabled = true;
  const words = token ? 'Walk from the loss back to the input.' : 'Build a network, then walk from its loss back to the input.';
  $('chain').replaceChildren(element('p', {className: 'lead', textContent: words}));
}

async function walk(fresh) {
  const mine = lesson;
  complain('');
  try {
    if (fresh || !chain) {
      const told = await ask('lessons/backward', {lesson, sample: +$('sample').value});
      if (mine !== lesson) return;
      [chain, at] = [told, 0];
    }
    tell();
  } catch (error) {
    if (mine === lesson) complain(error.message, $('start-over'));
  }
}
$('start-over').addEventListener('click', () => walk(true));
$('forth').addEventListener('click', () => { at++; walk(false); });
$('back').addEventListener('click', () => { at--; walk(false); });

function picture(told, caption) {
  const canvas = element('canvas', {role: 'img'}), box = element('figure', {}, canvas, element('figcaption', {textContent: caption}));
  canvas.setAttribute('aria-label', caption);
  const tiles = told.shape.slice(0, -2).reduce((a, b) => a * b, 1); // small where they are many, or they would be a tower
  return {box, show: () => new Maps(canvas, {most: tiles > 20 ? 28 : 56}).show(told)};
}

function tell() {
  const items = [], pictures = [];
  const answer = chain.answer.length === 1
    ? `it answers ${spoken(chain.answer[0])}, ${chain.label} is right` : `it gives the right one, ${chain.label}, ${(100 * chain.answer[chain.label]).toFixed(1)} %`;
  items.push(element('li', {}, `Loss ${spoken(chain.loss, 4)} at step ${chain.step.toLocaleString('en')}: ${answer}.`));
  chain.layers.slice(0, at + 1).forEach((layer, i) => {
    const item = element('li', {}, element('strong', {textContent: `${layer.name} ${layer.kind}`}), ' ',
      element('span', {className: 'formula', textContent: layer.formula}));
    if (i === at) {
      item.setAttribute('aria-current', 'step');
      const flow = element('div', {className: 'flow'});
      const parts = [
        layer.output_gradient && [layer.output_gradient, 'g = ∂L/∂z, from behind'],
        [layer.input, 'x, its input'],
        ...Object.entries(layer.gradients).map(([name, told]) => [told, SYMBOLS[name] ? `∂L/∂${SYMBOLS[name]}, of the ${name}` : `∂L/∂ ${name}`]),
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
