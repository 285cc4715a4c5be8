// The answer to a drawing, a picture or numbers: in words, as bars, and what the network saw beside what it was given.

import {$, element, fromBase64, spoken} from './common.js';

function verdict(text, state, why, turn) {
  const output = $('verdict');
  output.textContent = text;
  output.dataset.state = state;
  output.dataset.turn = turn; // so that a test can wait for its own answer
  output.classList.toggle('long', text.length > 2);
  $('why').textContent = why;
}

// Probabilities from nothing to all; other numbers to both sides of zero, as far as the largest.
function bars(about, values, yes, probable) {
  const reach = Math.max(...values.map(value => Math.abs(value ?? 0))) || 1;
  const rows = values.map((value, label) => {
    const filled = element('span'), share = probable ? Math.max(0, Math.min(1, value)) : Math.abs(value ?? 0) / reach / 2;
    filled.style.width = `${100 * share}%`;
    if (!probable) filled.style.marginLeft = `${value < 0 ? 50 - 100 * share : 50}%`;
    filled.className = probable ? '' : value < 0 ? 'minus' : 'plus';
    return element('li', {className: yes.includes(label) ? 'best' : ''},
      element('span', {textContent: about.classes[label] ?? label}),
      element('span', {className: 'track'}, filled),
      element('span', {className: 'value', textContent: probable ? `${(100 * value).toFixed(1)} %` : spoken(value)}));
  });
  $('bars').classList.toggle('signed', !probable);
  $('bars').classList.toggle('wordy', about.classes.some(name => String(name).length > 3));
  $('bars').replaceChildren(...rows);
}

// Pixels, colour by colour at each place, as an image.
export function imageOf(bytes, height, width, channels) {
  const image = new ImageData(width, height);
  for (let i = 0; i < height * width; i++) {
    for (let band = 0; band < 3; band++) image.data[4 * i + band] = bytes[channels * i + Math.min(band, channels - 1)];
    image.data[4 * i + 3] = 255;
  }
  return image;
}

function put(canvas, image) {
  Object.assign(canvas, {width: image.width, height: image.height});
  canvas.getContext('2d').putImageData(image, 0, 0);
}

function see(about, told, drawn) {
  if (!about.image) return;
  const [channels, height, width] = about.image, bytes = fromBase64(told.sample), area = height * width;
  const turned = Uint8Array.from({length: channels * area}, (_, i) => bytes[i % channels * area + Math.floor(i / channels)]);
  put($('seen'), imageOf(turned, height, width, channels));
  if (told.raw) {
    const [high, wide] = told.raw.size;
    put($('raw'), imageOf(fromBase64(told.raw.pixels), ...told.raw.shape));
    $('raw-caption').textContent = `Your picture${channels === 1 ? ', in grey' : ''}: ${high.toLocaleString('en')} × ${wide.toLocaleString('en')} pixels.`;
  } else {
    const canvas = $('raw');
    Object.assign(canvas, {width: drawn.width, height: drawn.height});
    const copied = canvas.getContext('2d');
    copied.fillRect(0, 0, drawn.width, drawn.height);
    copied.drawImage(drawn, 0, 0);
    $('raw-caption').textContent = told.isExample ? 'A test digit.' : 'What you drew.';
  }
  $('raw-box').hidden = false;
}

// `drawn` is the pad's canvas, white on nothing.
export function showAnswer(about, told, drawn, turn) {
  bars(about, told.probabilities ?? told.outputs, told.yes, Boolean(told.probabilities));
  const name = told.yes.length || told.probabilities ? told.name : told.name.replaceAll('-', '−'); // of values
  if (told.sure) verdict(name, 'sure', told.probabilities && told.label >= 0 ? `${(100 * told.probabilities[told.label]).toFixed(1)} % sure` : '', turn);
  else verdict('unsure', 'unsure', `Perhaps ${told.name}, but ${told.why}.`, turn);
  see(about, told, drawn);
}

// Nothing is drawn, or what is drawn is nothing, and why.
export function showBlank(about, why, turn) {
  if (why) verdict('unsure', 'unsure', `${why[0].toUpperCase()}${why.slice(1)}.`, turn);
  else verdict('–', 'blank', !about?.image ? 'Nothing is set yet.' : about.drawable ? 'Nothing is drawn yet.' : 'No picture is open yet.', turn);
  if (about) bars(about, about.classes.map(() => 0), [], true);
  $('seen').getContext('2d').clearRect(0, 0, 1000, 1000);
  $('raw-box').hidden = true;
}
