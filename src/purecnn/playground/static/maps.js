// An array of one, two or three axes as tiles: one for each map, side by side, as large as there is room for; of a vector
// one for each number, beside its name where it has one.

import {IN_MEMORY, numbers, painted, style} from './common.js';

const NAME_FONT = '13px ui-sans-serif, system-ui, sans-serif', LONGEST_NAME = 24;
const brief = name => (name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 1)}…` : name);

export class Maps {
  // What is to be done with a cell: `pick` of one that was clicked or walked to, `hover` of one under the pointer.
  constructor(canvas, {pick = null, hover = null, names = null, most = 84, tall = 84} = {}) {
    Object.assign(this, {canvas, pick, hover, most, tall, shape: [], data: null, limit: 1, cell: null, under: null, box: null});
    this.names = names && names.map(brief);
    if (pick) {
      canvas.tabIndex = 0;
      canvas.classList.add('pickable');
      canvas.addEventListener('click', event => this.click(event));
      canvas.addEventListener('keydown', event => this.key(event));
      canvas.addEventListener('focus', () => { if (!this.cell && this.data) { this.cell = [0, 0, 0]; this.draw(); } });
    }
    if (hover) {
      canvas.addEventListener('pointermove', event => { if (event.pointerType !== 'touch') this.over(this.found(event)); });
      canvas.addEventListener('pointerleave', () => this.over(null));
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
    this.pitch = [width * this.scale[0] + this.gap, height * this.scale[1] + this.gap];
    if (this.names) {
      const paint = this.canvas.getContext('2d', IN_MEMORY);
      paint.font = NAME_FONT;
      this.pitch = [34 + Math.ceil(Math.max(...this.names.map(name => paint.measureText(name).width))), 22];
    }
    this.columns = Math.max(1, Math.min(maps, Math.floor((room + this.gap) / this.pitch[0])));
    const rows = Math.ceil(maps / this.columns);
    if (this.names) this.columns = Math.ceil(maps / rows); // none stands alone in a row
    this.size = [this.columns * this.pitch[0] - this.gap, rows * this.pitch[1] - this.gap];
    this.canvas.width = this.size[0] * sharp;
    this.canvas.height = this.size[1] * sharp;
    this.canvas.style.width = `${this.size[0]}px`;
    this.canvas.style.height = 'auto';
    this.sharp = sharp;
  }

  // Where a part of a map lies on the canvas: left, top, width and height.
  place(map, row = 0, column = 0, height = this.shape[1], width = this.shape[2]) {
    const [across, down] = this.scale;
    return [
      (map % this.columns) * this.pitch[0] + column * across, Math.floor(map / this.columns) * this.pitch[1] + row * down,
      width * across, height * down,
    ];
  }

  draw() {
    if (!this.data) return;
    const paint = this.canvas.getContext('2d', IN_MEMORY), [maps, height, width] = this.shape;
    paint.setTransform(this.sharp, 0, 0, this.sharp, 0, 0);
    paint.clearRect(0, 0, ...this.size);
    paint.imageSmoothingEnabled = this.scale[0] < 1;
    const image = painted(this.data, width, maps * height, this.limit);
    for (let map = 0; map < maps; map++) paint.drawImage(image, 0, map * height, width, height, ...this.place(map));
    if (this.names) {
      Object.assign(paint, {font: NAME_FONT, fillStyle: style('--ink'), textBaseline: 'middle'});
      this.names.forEach((name, map) => {
        const [x, y] = this.place(map);
        paint.fillText(name, x + 24, y + 10);
      });
    }
    const frame = ([x, y, wide, high], thick) => {
      paint.lineWidth = thick;
      paint.strokeStyle = style('--accent');
      paint.strokeRect(x - .5, y - .5, wide + 1, high + 1);
    };
    this.frames().forEach(place => frame(place, 1.5));
    for (const [cell, thick] of [[this.under, 1.5], [this.cell, 2]]) if (cell) frame(this.place(...cell, 1, 1), thick);
  }

  // What is looked at, from where to where along each axis; nothing if left out.
  mark(box = null) { this.box = box; this.draw(); }

  frames() {
    if (!this.box) return [];
    if (this.whole()) return [[0, 0, ...this.size]];
    const [maps, rows, columns] = this.sides(), size = ([begin, end]) => end - begin;
    return [...Array(size(maps)).keys()].map(map => this.place(maps[0] + map, rows[0], columns[0], size(rows), size(columns)));
  }

  sides() { return this.axes === 3 ? this.box : this.axes === 2 ? [[0, 1], ...this.box] : [this.box[0], [0, 1], [0, 1]]; }

  whole() { return this.sides().every(([begin, end], axis) => end - begin === this.shape[axis]); }

  // A place on the canvas as one in an element that holds it.
  within(host, [x, y, wide, high]) {
    const here = this.canvas.getBoundingClientRect(), there = host.getBoundingClientRect(), ratio = here.width / this.size[0];
    return [here.left - there.left + x * ratio, here.top - there.top + y * ratio, wide * ratio, high * ratio];
  }

  // The cell's own place in the array, as Python counts.
  counted(cell) { return this.axes === 3 ? cell : this.axes === 2 ? cell.slice(1) : [cell[0]]; }

  choose(cell) {
    this.cell = cell;
    this.draw();
    this.pick(this.counted(cell), this);
  }

  found(event) {
    if (!this.data) return null;
    const ratio = this.size[0] / this.canvas.clientWidth, [maps, height, width] = this.shape, [wide, high] = this.pitch;
    const x = event.offsetX * ratio, y = event.offsetY * ratio;
    const map = Math.floor(y / high) * this.columns + Math.floor(x / wide);
    if (this.names) return map < maps ? [map, 0, 0] : null;
    const row = Math.floor((y % high) / this.scale[1]), column = Math.floor((x % wide) / this.scale[0]);
    return map < maps && row < height && column < width ? [map, row, column] : null;
  }

  click(event) {
    const cell = this.found(event);
    if (cell) this.choose(cell);
  }

  over(cell) {
    if (`${cell}` === `${this.under}`) return;
    this.under = cell;
    this.draw();
    this.hover(cell && this.counted(cell), this);
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

  // The cell after one, map by map in the order of reading.
  next([map, row, column]) {
    const [maps, height, width] = this.shape, number = ((map * height + row) * width + column + 1) % (maps * height * width);
    return [Math.floor(number / (height * width)), Math.floor(number / width) % height, number % width];
  }
}
