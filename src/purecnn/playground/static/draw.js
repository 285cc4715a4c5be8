// The first half of the page: a pad to draw on, the answer, and every layer as it lights up.

import {imageOf, showAnswer, showBlank} from './answer.js';
import {takesFiles, whenReady} from './carrier.js';
import {$, IN_MEMORY, askOf, complain, element, fromBase64, network, style, toBase64, whenColoursChange} from './common.js';
import {build, dim, light} from './layers.js';

const SIDE = 280, SENT = 140;
const pad = $('pad'), paper = new OffscreenCanvas(SIDE, SIDE), small = new OffscreenCanvas(SENT, SENT);
const drawn = paper.getContext('2d', IN_MEMORY);
// Bytes of a picture's file that are sent as they are; a larger one is shrunk to so many pixels on a side.
const MOST_FILE = 700_000, SHRUNK = 1024;
let about, picture = null, pen = null, key = {x: 140, y: 140, down: false, shown: false};

// The pad: what is drawn is kept white on nothing, and shown in the page's own ink, once for each frame.
function wipe() {
  picture = null;
  drawn.clearRect(0, 0, SIDE, SIDE);
}

let due = false;
function show() {
  if (!due) requestAnimationFrame(paintPad);
  due = true;
}

function paintPad() {
  const paint = pad.getContext('2d', IN_MEMORY);
  due = false;
  paint.clearRect(0, 0, SIDE, SIDE);
  if (picture) {
    if (!picture.bitmap) return;
    const scale = SIDE / Math.max(picture.bitmap.width, picture.bitmap.height);
    const [width, height] = [picture.bitmap.width * scale, picture.bitmap.height * scale];
    paint.drawImage(picture.bitmap, (SIDE - width) / 2, (SIDE - height) / 2, width, height);
    return;
  }
  paint.drawImage(paper, 0, 0);
  paint.globalCompositeOperation = 'source-in';
  paint.fillStyle = style('--ink');
  paint.fillRect(0, 0, SIDE, SIDE);
  paint.globalCompositeOperation = 'source-over';
  if (key.shown) {
    paint.strokeStyle = style('--accent');
    paint.lineWidth = 2;
    paint.beginPath();
    paint.arc(key.x, key.y, $('pen').value / 2, 0, 7);
    paint.stroke();
    if (key.down) { paint.fillStyle = style('--accent'); paint.fill(); }
  }
}

function stroke(x0, y0, x1, y1) {
  if (picture) wipe();
  Object.assign(drawn, {strokeStyle: '#fff', lineWidth: +$('pen').value, lineCap: 'round', lineJoin: 'round'});
  drawn.beginPath();
  drawn.moveTo(x0, y0);
  drawn.lineTo(x1 + .01, y1);
  drawn.stroke();
  $('pad-hint').hidden = true;
  show();
  changed();
}

const at = event => [event.offsetX, event.offsetY].map(value => value * SIDE / pad.clientWidth);
pad.addEventListener('pointerdown', event => {
  if (event.button || !about?.drawable) return;
  pad.setPointerCapture(event.pointerId);
  key.shown = false;
  pen = at(event);
  stroke(...pen, ...pen);
});
pad.addEventListener('pointermove', event => {
  if (!pen) return;
  for (const each of event.getCoalescedEvents?.() ?? [event]) {
    const to = at(each);
    stroke(...pen, ...to);
    pen = to;
  }
});
for (const end of ['pointerup', 'pointercancel']) pad.addEventListener(end, () => { pen = null; });
pad.addEventListener('blur', () => { key.shown = key.down = false; show(); });
pad.addEventListener('keydown', event => {
  if (!about?.drawable) return;
  const moves = {ArrowLeft: [-8, 0], ArrowRight: [8, 0], ArrowUp: [0, -8], ArrowDown: [0, 8]};
  if (event.key === 'Delete' || event.key === 'Backspace') {
    key.down = false; // or the pen would leave a dot on the clean pad
    clear();
  }
  else if (event.key === ' ') key.down = !key.down;
  else if (!moves[event.key]) return;
  event.preventDefault();
  key.shown = true;
  const [x, y] = [key.x, key.y], [dx, dy] = moves[event.key] ?? [0, 0];
  key.x = Math.max(10, Math.min(SIDE - 10, x + dx));
  key.y = Math.max(10, Math.min(SIDE - 10, y + dy));
  if (key.down) stroke(x, y, key.x, key.y);
  show();
});

function clear() {
  complain('');
  wipe();
  show();
  $('pad-hint').hidden = false;
  turn++; // an answer on its way is to the old drawing, and no question about it need be asked
  waiting = isUnheard = false;
  blank();
}

// Questions: one at a time, and always the latest drawing.
const answerBox = $('answer');
let busy = false, waiting = false, isUnheard = false, turn = 0, stood = '';
function changed() {
  stood = $('alert').textContent;
  waiting = true;
  if (!busy) send();
}

async function send() {
  busy = true;
  if ($('verdict').dataset.state === 'blank') $('why').textContent = 'The answer is on its way.';
  answerBox.ariaBusy = true; // until the last answer is there, the others need not be read aloud
  while (waiting) {
    waiting = false;
    const mine = ++turn;
    try {
      const told = picture ? await askOf(about, 'picture', picture.asked) : await askOf(about, 'draw', question());
      if (mine === turn) {
        if (told.blank) blank(told.why);
        else answer(told);
        if (picture && !picture.bitmap && told.raw) await borrow(picture, told.raw);
      }
      // What was said meanwhile is of something else; what stands above would move the pad under the pen as it goes.
      if ($('draw').contains($('alert')) && $('alert').textContent === stood) complain('');
    } catch (error) {
      isUnheard = !error.status;
      if ($('verdict').dataset.state === 'blank') $('why').textContent = 'There is no answer.';
      complain(error.message, $(picture ? 'choose-picture' : about.image ? 'pad' : 'numbers'));
    }
  }
  busy = false;
  answerBox.ariaBusy = false;
}

whenReady(() => {
  if (isUnheard) changed();
  isUnheard = false;
});

// A picture that this browser can't read is shown as Python has read it.
async function borrow(shown, {pixels, shape}) {
  shown.bitmap = await createImageBitmap(imageOf(fromBase64(pixels), ...shape));
  show();
}

function question() {
  if (!about.image) return {values: [...$('numbers').querySelectorAll('input')].map(input => +input.value)};
  const shrunk = small.getContext('2d', IN_MEMORY);
  shrunk.fillStyle = '#000';
  shrunk.fillRect(0, 0, SENT, SENT);
  shrunk.drawImage(paper, 0, 0, SENT, SENT);
  const pixels = shrunk.getImageData(0, 0, SENT, SENT).data.filter((_, i) => i % 4 === 0);
  return {side: SENT, pixels: toBase64(pixels)};
}

function blank(why) {
  showBlank(about, why, turn);
  dim();
}

function answer(told) {
  showAnswer(about, told, paper, turn);
  light(told);
}

$('clear').addEventListener('click', clear);

// A picture on white, of at most so many pixels on a side.
function onWhite(bitmap) {
  const scale = Math.min(1, SHRUNK / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map(side => Math.max(1, Math.round(side * scale)));
  const canvas = new OffscreenCanvas(width, height), paint = canvas.getContext('2d', IN_MEMORY);
  paint.imageSmoothingQuality = 'high';
  paint.fillStyle = '#fff';
  paint.fillRect(0, 0, width, height);
  paint.drawImage(bitmap, 0, 0, width, height);
  return canvas;
}

// The red, green and blue of a canvas.
function pixelsOf({width, height}, paint) {
  const {data} = paint.getImageData(0, 0, width, height);
  return {width, height, pixels: toBase64(data.filter((_, i) => i % 4 < 3))};
}

// A picture of one's own, dropped or chosen: its file is sent, to be prepared as those that the network learnt from.
export async function lay(file) {
  if (!file || !about) return;
  complain('');
  if (!about.image) {
    complain(`${file.name} was not opened: this network takes ${about.shape[0].toLocaleString('en')} numbers, no picture.`, $('numbers'));
    return;
  }
  const bitmap = await createImageBitmap(file).catch(() => null); // the server reads kinds that this browser does not
  let sent = file;
  if (!takesFiles || file.size > MOST_FILE) {
    if (!bitmap) {
      complain(takesFiles
        ? `${file.name} has ${file.size.toLocaleString('en')} bytes, and this browser can’t shrink it: at most ${MOST_FILE.toLocaleString('en')} are wanted.`
        : `${file.name} is no picture that this browser can read: a PNG or JPEG file, say, is wanted.`, $('choose-picture'));
      return;
    }
    const shrunk = onWhite(bitmap);
    if (takesFiles) sent = await shrunk.convertToBlob({type: 'image/jpeg', quality: .95});
    else sent = pixelsOf(shrunk, shrunk.getContext('2d'));
  }
  wipe();
  picture = {bitmap, asked: takesFiles ? {file: toBase64(new Uint8Array(await sent.arrayBuffer()))} : sent};
  $('pad-hint').hidden = true;
  show();
  changed();
}
$('choose-picture').addEventListener('click', () => $('picture').click());
$('picture').addEventListener('change', () => { lay($('picture').files[0]); $('picture').value = ''; });
$('example').addEventListener('click', async () => {
  complain('');
  const mine = ++turn; // what is drawn meanwhile stays, and what was drawn before is answered no more
  waiting = false;
  try {
    const told = await askOf(about, 'example', {number: Math.floor(Math.random() * about.examples)});
    if (mine !== turn || waiting) return;
    const bytes = fromBase64(told.sample), [, height, width] = about.image, image = new ImageData(width, height);
    bytes.forEach((byte, i) => image.data.set([255, 255, 255, byte], 4 * i));
    const tile = new OffscreenCanvas(width, height);
    tile.getContext('2d').putImageData(image, 0, 0);
    wipe();
    drawn.drawImage(tile, 0, 0, SIDE, SIDE);
    $('pad-hint').hidden = true;
    show();
    turn++;
    answer({...told, isExample: true});
  } catch (error) {
    if (mine === turn) complain(error.message, $('example'));
  }
});

// Sliders of bytes, or of numbers from -1 to 1 in 254 steps.
function sliders(count, [low, high]) {
  const numbers = low < 0, words = byte => (numbers ? (byte / 127 - 1).toFixed(2).replace('-', '−') : byte);
  $('numbers').replaceChildren(...Array.from({length: count}, (_, i) => {
    const input = element('input', {type: 'range', min: 0, max: numbers ? 254 : high, value: numbers ? 127 : 0});
    const value = element('output', {}, words(input.value));
    input.addEventListener('input', () => { value.textContent = words(input.value); changed(); });
    return element('label', {}, `no. ${i}`, input, value);
  }));
}

// Shows a network: the page's own, and then those that are opened or trained here. A drawing stays, if it can be drawn
// for this one too, unless it is to begin `anew`.
export function become(found, anew = false) {
  const kept = !anew && found.drawable && about?.drawable && !picture && $('pad-hint').hidden;
  about = found;
  $('model').textContent = `${about.name} · ${about.parameters.toLocaleString('en')} parameters`;
  for (const id of ['pad-box', 'choose-picture', 'clear', 'seen-box']) $(id).hidden = !about.image;
  $('numbers').hidden = Boolean(about.image);
  $('pen-box').hidden = !about.drawable;
  if (!about.image) sliders(about.shape[0], about.span);
  $('draw-title').textContent = about.title;
  $('seen-caption').textContent = about.seen;
  $('bars-title').textContent = `${about.answers}.`;
  $('example').hidden = !about.examples;
  $('pad-hint').textContent = about.drawable ? 'with a mouse, a finger or the keys' : 'drop a picture here, or choose one';
  pad.setAttribute('aria-label', about.drawable ? 'Drawing pad' : 'The picture');
  if (about.drawable) pad.setAttribute('aria-describedby', 'pad-help');
  else pad.removeAttribute('aria-describedby');
  pad.tabIndex = about.drawable ? 0 : -1;
  pad.classList.toggle('still', !about.drawable);
  build(about);
  if (!kept) clear();
  if (kept || !about.image) changed();
}

whenColoursChange(show);

$('unfetched').dataset.draw = ''; // the page has come
wipe();
show();
try {
  become(await network());
} catch (error) {
  complain(error.message);
}
