// What one cell was made of: the window, the kernel, the products and their sum, as the server traced them.

import {$, colour, element, ink, spoken} from './common.js';

const panel = $('inspector');
let closed = () => {};
export const whenClosed = act => { closed = act; };
export function close() {
  if (panel.hidden) return;
  panel.hidden = true;
  closed();
}
$('inspector-close').addEventListener('click', close);
addEventListener('keydown', event => { if (event.key === 'Escape') close(); });

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
const most = values => values.reduce((found, value) => Math.max(found, Math.abs(value)), 0);
const total = values => values.reduce((found, value) => found + value, 0);

export function inspect(cell, layer) {
  const place = cell.place.length === 3
    ? `map ${cell.place[0]}, row ${cell.place[1]}, column ${cell.place[2]}` : `number ${cell.place.join(', ')}`;
  const named = layer.names ? `, “${layer.names[cell.place[0]]}”` : '';
  $('inspector-title').textContent = `${layer.name} ${cell.kind}: ${place}${named}`;
  const sum = $('inspector-sum'), grids = $('inspector-grids');
  sum.replaceChildren();
  grids.replaceChildren();
  const bold = text => element('b', {textContent: text});
  if (cell.products) {
    const products = cell.total - cell.bias;
    sum.append(
      cell.size === 1 ? 'One product, ' : `The sum of ${cell.size.toLocaleString('en')} products, `, bold(spoken(products)),
      ...(cell.addend ? [`, and the ${cell.addend}, `, bold(spoken(cell.bias)), ', make '] : [', makes ']), bold(spoken(cell.output)));
  } else if (cell.winner) {
    sum.append(`The largest of ${cell.size}: `, bold(spoken(cell.output)));
  } else if (cell.size === 1) {
    sum.append('Of ', bold(spoken(cell.window[0])), ' it makes ', bold(spoken(cell.output)));
  } else {
    sum.append(`Of ${cell.size} numbers it makes `, bold(spoken(cell.output)));
  }
  const image = cell.shape.length >= 2 && cell.shape.at(-1) <= 12 && cell.shape.at(-2) <= 12;
  if (image && !cell.numbers) {
    const [height, width] = cell.shape.slice(-2), area = height * width, maps = cell.size / area;
    const tops = [cell.window, cell.weights ?? [], cell.products ?? []].map(most);
    for (let map = 0; map < maps; map++) {
      const part = values => values.slice(map * area, (map + 1) * area);
      const name = maps > 1 ? `, map ${cell.origin[0] + map}` : '';
      const equation = element('div', {className: 'equation'});
      equation.append(grid(`window${name}`, part(cell.window), height, width, tops[0], cell.winner));
      if (cell.products) {
        equation.append(sign('×'), grid('weights', part(cell.weights), height, width, tops[1]), sign('='),
          grid('products', part(cell.products), height, width, tops[2]),
          sign(`Σ ${spoken(total(part(cell.products)))}`));
      }
      grids.append(equation);
    }
  } else if (cell.size > 1) {
    const order = cell.numbers ?? [...cell.window.keys()], list = element('ol', {className: 'terms'});
    const by = cell.products ?? cell.window;
    const ranked = [...order.keys()].sort((a, b) => Math.abs(by[b]) - Math.abs(by[a])).slice(0, 240);
    for (const at of ranked) {
      const what = cell.products
        ? `${spoken(cell.window[at])} × ${spoken(cell.weights[at])} = ${spoken(cell.products[at])}` : spoken(cell.window[at]);
      list.append(element('li', {}, element('span', {className: 'who', textContent: `no. ${order[at]}`}), what));
    }
    grids.append(element('p', {className: 'lead', textContent: 'Those that count most come first.'}), list);
  } else if (cell.products) {
    grids.append(element('p', {className: 'lead',
      textContent: `${spoken(cell.window[0])} × ${spoken(cell.weights[0])} = ${spoken(cell.products[0])}`}));
  }
  panel.hidden = false;
}
