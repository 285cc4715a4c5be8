// The charts of a training: its losses, and the network's answers over the plane.

import {$, colour, element, numbers, painted, style} from './common.js';

function canvasOf(id, height = null) {
  const canvas = $(id), sharp = Math.min(2, devicePixelRatio || 1), width = canvas.clientWidth || 300;
  height ??= canvas.clientHeight || width;
  canvas.width = width * sharp;
  canvas.height = height * sharp;
  const paint = canvas.getContext('2d');
  paint.scale(sharp, sharp);
  return [paint, width, height];
}

// Where lines lie between two powers of ten: at these, and at multiples of them where they are few.
function ticks(least, most) {
  const powers = Array.from({length: Math.floor(most) - Math.floor(least) + 1}, (_, i) => Math.floor(least) + i);
  const lines = most - least < .8 ? [1, 1.5, 2, 3, 4, 5, 7] : most - least < 1.5 ? [1, 2, 5] : [1];
  return powers.flatMap(power => lines.map(times => times * 10 ** power)).filter(value => value >= 10 ** least && value <= 10 ** most);
}

// The loss of each step and its running mean, and the tests, [step, loss] each: that of step 0 is of the network before
// it has learnt anything.
export function curve(losses, tests) {
  const [paint, width, height] = canvasOf('curve'), left = 44, low = height - 22, top = 8;
  paint.font = '12px system-ui, sans-serif';
  const known = [...losses, ...tests.map(([, loss]) => loss)].filter(value => value !== null && value > 0);
  if (!losses.length || !known.length) {
    paint.fillStyle = style('--faint');
    paint.fillText('No step was done yet: Run begins.', left, height / 2);
    return;
  }
  const [lowest, highest] = known.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [Infinity, 0]).map(Math.log10);
  const most = highest + .05, least = Math.min(lowest, most - .5) - .05;
  const y = value => top + (most - Math.log10(Math.max(value, 1e-30))) / (most - least) * (low - top);
  const x = step => left + step / losses.length * (width - left - 8);
  paint.strokeStyle = style('--line');
  paint.fillStyle = style('--faint');
  paint.textAlign = 'right';
  for (const value of ticks(least, most)) {
    paint.beginPath();
    paint.moveTo(left, y(value));
    paint.lineTo(width - 8, y(value));
    paint.stroke();
    paint.fillText(value >= 1e-3 && value <= 1e3 ? `${+value.toPrecision(2)}` : value.toExponential(0), left - 6, y(value) + 4);
  }
  paint.textAlign = 'left';
  paint.fillText('0', left, height - 6);
  paint.textAlign = 'right';
  paint.fillText(`step ${losses.length.toLocaleString('en')}`, width - 8, height - 6);
  const line = (points, ink, thick, dashes = []) => {
    Object.assign(paint, {strokeStyle: style(ink), lineWidth: thick, lineJoin: 'round'});
    paint.setLineDash(dashes);
    paint.beginPath();
    const every = Math.max(1, Math.floor(points.length / 1500)), last = points.length - 1;
    points.forEach(([step, value], i) => { if (value !== null && (i % every === 0 || i === last)) paint.lineTo(x(step), y(value)); });
    paint.stroke();
    paint.setLineDash([]);
    if (points.length === 1) paint.strokeRect(x(points[0][0]) - 1, y(points[0][1]) - 1, 2, 2);
  };
  paint.globalAlpha = .5;
  line(losses.map((loss, step) => [step, loss]), '--faint', 1);
  paint.globalAlpha = 1;
  let mean = losses[0]; // over 20 steps, and at first over a third of those that there are
  const share = step => Math.max(.05, 3 / (step + 3));
  line(losses.map((loss, step) => [step, mean = loss === null ? mean : mean + share(step) * (loss - mean)]), '--blue', 2);
  line(tests, '--orange', 2, [5, 3]);
  paint.fillStyle = style('--orange');
  const [step, loss] = tests.at(-1);
  if (loss !== null) paint.fillRect(x(step) - 3, y(loss) - 3, 6, 6);
}

// Its answers over the plane; the points that it learns from, filled, and some of those that it is tested with, hollow.
export function surface(answers, about) {
  $('surface-box').hidden = !answers;
  if (!answers) return;
  const [paint, width] = canvasOf('surface', $('surface').clientWidth || 300), side = answers.shape[0];
  const found = numbers(answers).map(value => (2 * value - 1) * .62);
  paint.imageSmoothingEnabled = true;
  paint.drawImage(painted(found, side, side, 1), 0, 0, width, width);
  const scale = value => (value / 1.1 + 1) / 2 * width;
  const points = (places, labels, filled) => places.forEach(([a, b], i) => {
    const one = labels[i] === 1, ink = `rgb(${colour(one ? 1 : -1)})`;
    paint.beginPath();
    if (one) paint.arc(scale(a), scale(-b), 3.2, 0, 7);
    else paint.rect(scale(a) - 2.8, scale(-b) - 2.8, 5.6, 5.6);
    paint.fillStyle = filled ? ink : style('--card');
    paint.strokeStyle = filled ? style('--card') : ink;
    paint.lineWidth = filled ? 1 : 1.5;
    paint.fill();
    paint.stroke();
  });
  points(about.test_points, about.test_labels, false);
  points(about.points, about.labels, true);
}

// Test digits and the answers to them: right or wrong in words and colour.
let pictured = null;
export function tested(guesses, about) {
  $('tested').hidden = !guesses;
  if (!guesses) return;
  if (pictured !== about) {
    pictured = about;
    const [count, height, width] = about.test_pictures.shape, bytes = numbers(about.test_pictures);
    $('guesses').replaceChildren(...Array.from({length: count}, (_, i) => {
      const canvas = element('canvas', {width, height}), image = new ImageData(width, height);
      canvas.setAttribute('role', 'img');
      canvas.setAttribute('aria-label', `a ${about.test_labels[i]}`);
      bytes.subarray(i * height * width, (i + 1) * height * width).forEach((value, at) => image.data.set([value, value, value, 255], 4 * at));
      canvas.getContext('2d').putImageData(image, 0, 0);
      return element('li', {}, canvas, element('span'));
    }));
  }
  guesses.forEach(([label, share], i) => {
    const item = $('guesses').children[i], right = label === about.test_labels[i];
    item.className = right ? 'right' : 'wrong';
    item.lastChild.textContent = `${right ? '✓' : '✗'} ${label}\n${Math.round(100 * share)} %`;
    item.title = `a ${about.test_labels[i]}, taken for a ${label}`;
  });
}
