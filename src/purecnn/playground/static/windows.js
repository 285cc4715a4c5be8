// Where a cell looks: frames in the maps before it and over the input, and lines from layer to layer, drawn over the page.

const SVG = 'http://www.w3.org/2000/svg';
// Of more frames than these, as those of a hundred maps, the lines would cover the page.
const MOST_LINES = 32;

export function drawn(name, properties, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(properties)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const middle = ([x, y, wide, high]) => [x + wide / 2, y + high / 2];
const corners = ([x, y, wide, high]) => [[x, y], [x + wide, y], [x, y + high], [x + wide, y + high]];
const line = ([x1, y1], [x2, y2], kind) => drawn('line', {x1, y1, x2, y2, class: kind});

export class Windows {
  // `host` holds all maps; `mapsOf` has those of each layer, -1 for the input; `before` says which layers each is given.
  constructor(host, mapsOf) {
    Object.assign(this, {host, mapsOf, before: {}, shown: null});
    this.lines = drawn('svg', {class: 'lines', 'aria-hidden': 'true'});
    host.append(this.lines);
    new ResizeObserver(() => this.draw()).observe(host);
  }

  // `cell` as Python tells it, `label` a few words for it; nothing takes all away.
  show(cell = null, label = '') {
    this.shown = cell && {cell, label};
    const looked = new Map(cell ? cell.fields : []);
    for (const [layer, maps] of this.mapsOf) if (maps.box || looked.has(layer)) maps.mark(looked.get(layer) ?? null);
    this.draw();
  }

  draw() {
    this.lines.replaceChildren();
    if (!this.shown || !this.host.clientWidth) return;
    const {cell, label} = this.shown, own = this.mapsOf.get(cell.layer);
    const at = own.axes === 3 ? cell.place : own.axes === 2 ? [0, ...cell.place] : [cell.place[0], 0, 0];
    const here = own.within(this.host, own.place(...at, 1, 1)), looked = new Set(cell.fields.map(([layer]) => layer));
    const frames = layer => this.mapsOf.get(layer).frames().map(frame => this.mapsOf.get(layer).within(this.host, frame));
    this.join(cell.layer, [here], looked, frames, 'near');
    for (const layer of looked) if (layer >= 0) this.join(layer, frames(layer), looked, frames, 'far');
    const [x, y] = middle(here), toLeft = x > this.host.clientWidth * .7, below = own.axes < 2; // where no name is
    this.lines.append(drawn('text', {
      x: x + (toLeft ? -12 : 12), y: y + (below ? 22 : -12), 'text-anchor': toLeft ? 'end' : 'start'}, label));
  }

  // Lines from what a layer has of the cell to what it looks at: four where that is one window, else one to each map.
  join(layer, from, looked, frames, kind) {
    for (const before of this.before[layer] ?? []) {
      const to = looked.has(before) && (kind === 'near' || !this.mapsOf.get(before).whole()) ? frames(before) : [];
      if (to.length === 1) corners(from[0]).forEach((corner, i) => this.lines.append(line(corner, corners(to[0])[i], kind)));
      else if (kind === 'near') to.slice(0, MOST_LINES).forEach(frame => this.lines.append(line(middle(from[0]), middle(frame), kind)));
      else if (to.length) this.lines.append(line(middle(from[0]), middle(to[0]), kind));
    }
  }
}
