// Networks of one's own: opened from a file or trained in the second half of the page, drawn for in the first, and saved.

import {ask, leave} from './carrier.js';
import {$, complain, element, fromBase64, lost, network, open, toBase64} from './common.js';
import {become, lay} from './draw.js';

const MOST_FILE = 4_000_000; // as the readers take
let own = null, turn = 0; // the token of the network that is shown, null where it is the page's own

const end = token => token && ask('networks/end', {network: token}).catch(() => {});

function take(told, anew = false) {
  end(own);
  own = told.network ?? null;
  $('own-network').hidden = !own;
  become(told, anew);
}

// Shows what a question about a network, opened or trained, is answered with, if none was asked since.
async function show(path, asked, button) {
  const mine = ++turn;
  complain('');
  try {
    const told = await ask(path, asked);
    if (mine !== turn) return end(told.network);
    take(told);
    open('draw', true);
  } catch (error) {
    if (mine === turn) complain(error.message, button);
  }
}

async function openFile(file) {
  if (!file) return;
  if (file.size > MOST_FILE) {
    complain(`${file.name} has ${file.size.toLocaleString('en')} bytes; a network of at most ${MOST_FILE.toLocaleString('en')} is wanted here.`, $('open-network'));
    return;
  }
  const bytes = await file.arrayBuffer().then(held => new Uint8Array(held), () => null); // of a folder, or of a file that has gone
  if (!bytes) {
    complain(`${file.name} can’t be read: a file is wanted, no folder.`, $('open-network'));
    return;
  }
  await show('networks/open', {file: toBase64(bytes), name: file.name.slice(-100)}, $('open-network'));
}

export const drawFor = (lesson, button) => show('networks/keep', {lesson}, button);

// Saves the network of a training, or the one that is shown, as a file.
export async function save(asked, button) {
  complain('');
  try {
    const {name, file} = await ask('networks/save', asked);
    const address = URL.createObjectURL(new Blob([fromBase64(file)], {type: 'application/octet-stream'}));
    const called = name.replace(/\.(safetensors|onnx)$/i, '').replace(/[^\p{L}\p{N}._]+/gu, '-');
    element('a', {href: address, download: `${called}.safetensors`}).click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  } catch (error) {
    complain(error.message, button);
  }
}

$('open-network').addEventListener('click', () => $('network-file').click());
$('network-file').addEventListener('change', () => { openFile($('network-file').files[0]); $('network-file').value = ''; });
$('save-network').addEventListener('click', () => save({network: own ?? undefined}, $('save-network')));
$('own-network').addEventListener('click', async () => {
  turn++;
  complain('');
  take(await network());
  open('draw', true);
});

// A file that is dropped anywhere: a picture is drawn for, anything else opened as a network, or refused. Nothing leads
// away from the page.
const holdsFiles = event => event.dataTransfer?.types.includes('Files');
addEventListener('dragover', event => { if (holdsFiles(event)) event.preventDefault(); });
addEventListener('drop', event => {
  if (!holdsFiles(event)) return;
  event.preventDefault();
  const [file, more] = event.dataTransfer.files;
  if (more) {
    complain(`${event.dataTransfer.files.length} files were dropped: one is wanted.`);
    return;
  }
  if (!file?.type.startsWith('image/')) return openFile(file);
  open('draw');
  lay(file);
});

lost.addEventListener('lost', async event => {
  if (event.network !== own) return;
  own = null;
  await new Promise(after => setTimeout(after)); // who asked has had its error
  take(await network(), true);
  complain(`${event.why[0].toUpperCase()}${event.why.slice(1)}.`, $('open-network'));
});
addEventListener('pagehide', ({persisted}) => { if (own && !persisted) leave('networks/end', {network: own}); });
