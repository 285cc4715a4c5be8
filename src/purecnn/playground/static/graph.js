// The network as one picture: a box for each layer, joined by lines as the layers are, from left to right and on in the
// next row; a layer with branches parts the line, and its own box is where they meet.

import {element} from './common.js';
import {drawn} from './windows.js';

const WIDE = 98, HIGH = 58, APART = 16, EMPTY = 10;
const MERGED = {add: 'sum', concatenate: 'side by side', multiply: 'product', maximum: 'largest', mean: 'mean'};

// Which layers each layer is given: -1 is the input.
export function sources(graph) {
  const found = {};
  const walk = (items, last) => {
    for (const item of items) {
      const place = item.join ?? item;
      found[place] = item.branches ? item.branches.map(branch => walk(branch, last)) : [last];
      last = place;
    }
    return last;
  };
  walk(graph, -1);
  return found;
}

// How many boxes a row of layers takes, the longest of branches side by side.
const length = items => items.reduce((sum, item) => sum + (item.branches ? Math.max(...item.branches.map(length)) + 1 : 1), 0);
const lanes = items => Math.max(1, ...items.map(item => (item.branches ?? []).reduce((sum, branch) => sum + lanes(branch), 0)));

// Where each box lies, as a column and a lane, and the lines between them, each on a lane from its `start` on; no row
// begins within branches.
function lay(graph, perRow) {
  const boxes = [{layer: -1, column: 0, lane: 0}], lines = [];
  const walk = (items, from, column, lane, top) => {
    for (const item of items) {
      const wide = length([item]);
      if (top && column % perRow + wide > perRow) column += perRow - column % perRow;
      const box = {layer: item.join ?? item, column: column + wide - 1, lane, merge: item.merge};
      let at = lane;
      for (const branch of item.branches ?? []) {
        lines.push({from: walk(branch, from, column, at, false), to: box, lane: at, start: column});
        at += lanes(branch);
      }
      if (!item.branches) lines.push({from, to: box, lane, start: column});
      boxes.push(box);
      from = box;
      column += wide;
    }
    return from;
  };
  walk(graph, boxes[0], 1, 0, true);
  return {boxes, lines};
}

// Where the lanes of each row begin, and how wide they are: one without boxes needs little room.
function tracks({boxes, lines}, perRow, across) {
  const rows = [];
  const need = (column, lane, room) => {
    const row = rows[Math.floor(column / perRow)] ??= [];
    row[lane] = Math.max(row[lane] ?? 0, room);
  };
  for (const {column, lane} of boxes) need(column, lane, across);
  for (const {start, lane} of lines) need(start, lane, EMPTY);
  let at = APART / 2;
  return rows.map(row => {
    const found = Array.from(row, (room = EMPTY) => ({begin: (at += room + APART) - room - APART, room}));
    at += APART / 2;
    return Object.assign(found, {end: at - APART / 2});
  });
}

// The way of a line, as points along and across: out of a box, on the lane of that box to the start, where it parts from
// others, past the end of each row into the next, on its own lane to the other box.
function way({from, to, lane, start}, perRow, rows, along, end) {
  const row = column => Math.floor(column / perRow), begins = column => APART / 2 + column % perRow * (along + APART);
  const middle = (at, number) => rows[at][number].begin + rows[at][number].room / 2;
  const points = [[begins(from.column) + along, middle(row(from.column), from.lane)]];
  const go = (x, y) => points.push([x, points.at(-1)[1]], [x, y]);
  for (let at = row(from.column); at < row(start); at++) {
    go(end, rows[at].end);
    go(1, middle(at + 1, from.lane));
  }
  go(begins(start) - APART / 2, middle(row(start), lane));
  go(begins(to.column) - APART / 2, middle(row(to.column), to.lane));
  return [...points, [begins(to.column), points.at(-1)[1]]];
}

export class Graph {
  // `go` is called with the number of the layer whose box was chosen.
  constructor(host, go) {
    Object.assign(this, {host, go, about: null, boxes: new Map(), lines: drawn('svg', {'aria-hidden': 'true'})});
    new ResizeObserver(() => this.draw()).observe(host);
  }

  // A network, in the place of the one before.
  show(about) {
    Object.assign(this, {about, fits: 0});
    this.boxes.clear();
    for (const layer of [-1, ...about.layers.keys()]) {
      const {name, kind, shape} = about.layers[layer] ?? {name: '', kind: 'Input', shape: about.given.shape};
      const words = kind.split(/(?<=[a-z])(?=[A-Z])/).flatMap(part => [element('wbr'), part]);
      const box = element('button', {type: 'button', tabIndex: layer < 0 ? 0 : -1},
        element('span', {}, element('span', {className: 'place', textContent: name}), name && ' ', ...words),
        element('small', {textContent: shape.join(' × ')}));
      box.addEventListener('click', () => this.go(layer));
      box.addEventListener('keydown', event => this.key(event, layer));
      this.boxes.set(layer, box);
    }
    this.host.replaceChildren(this.lines, ...this.boxes.values());
    this.draw();
  }

  // In rows from left to right; from top to bottom where a row is too short for branches.
  draw() {
    const room = this.host.clientWidth, fits = Math.max(2, Math.floor(room / (WIDE + APART)));
    if (!this.about || !room || fits === this.fits) return;
    this.fits = fits;
    const down = Math.max(...this.about.graph.map(item => length([item]))) > fits, perRow = down ? Infinity : fits;
    const [along, across] = down ? [HIGH, WIDE] : [WIDE, HIGH], turned = ([x, y]) => (down ? [y, x] : [x, y]);
    const laid = lay(this.about.graph, perRow), rows = tracks(laid, perRow, across), {boxes, lines} = laid;
    const end = (down ? Math.max(...boxes.map(box => box.column)) + 1 : perRow) * (along + APART) - 1;
    const [width, height] = turned([end, rows.at(-1).end]);
    this.lines.style.width = `${width}px`;
    this.lines.style.height = this.host.style.height = `${height}px`;
    for (const {layer, column, lane, merge} of boxes) {
      const box = this.boxes.get(layer);
      const [left, top] = turned([APART / 2 + column % perRow * (along + APART), rows[Math.floor(column / perRow)][lane].begin]);
      Object.assign(box.style, {left: `${left}px`, top: `${top}px`, width: `${WIDE}px`, height: `${HIGH}px`});
      if (merge) box.title = `${MERGED[merge] ?? merge} of its branches`;
      box.classList.toggle('join', Boolean(merge));
    }
    this.lines.replaceChildren(...lines.map(line =>
      drawn('polyline', {points: way(line, perRow, rows, along, end).map(turned).join(' ')})));
  }

  // The layer that is looked at.
  mark(layer = null) {
    for (const [number, box] of this.boxes) {
      if (number === layer) box.setAttribute('aria-current', 'true');
      else box.removeAttribute('aria-current');
    }
  }

  key(event, layer) {
    const step = {ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1}[event.key];
    const next = this.boxes.get({Home: -1, End: this.about.layers.length - 1}[event.key] ?? layer + step);
    if (!next) return;
    event.preventDefault();
    for (const box of this.boxes.values()) box.tabIndex = box === next ? 0 : -1;
    next.focus();
  }
}
