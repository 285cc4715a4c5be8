// Python in a browser: the package itself, run by Pyodide in a thread of its own, answers the page's questions by the
// functions that the server has. All files lie beside this one; those that end in .gz are unpacked here, so that as
// little comes over the wire from any host.

const PATIENCE = [500, 2000, 5000]; // ms before another try at a file that broke off
const SILENCE = 20_000; // ms without a byte after which a try has broken off
const tell = (stage, more = {}) => postMessage({stage, ...more});
const last = error => String(error.message ?? error).trim().split('\n').pop(); // of Python's tracebacks: what went wrong
const here = name => new URL(name, import.meta.url).href;
let done = 0, total = 0;

// What `take` makes of a file's answer; it is asked for again where that fails. `take` says when a piece has come.
async function patiently(name, take, how = {}) {
  for (let attempt = 0; ; attempt++) {
    const control = new AbortController();
    let length = 0, timer;
    const come = bytes => {
      length += bytes;
      done += bytes;
      clearTimeout(timer);
      timer = setTimeout(() => control.abort(new Error(`not a byte came for ${SILENCE / 1000} s`)), SILENCE);
    };
    come(0);
    try {
      const answer = await fetch(here(name), {...how, ...(attempt && {cache: 'reload'}), signal: control.signal});
      if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
      return await take(answer, come);
    } catch (error) {
      done -= length;
      if (attempt === PATIENCE.length) throw new Error(`${name} could not be fetched: ${error.message}`);
      await new Promise(resolve => setTimeout(resolve, PATIENCE[attempt]));
    } finally {
      clearTimeout(timer);
    }
  }
}

// The bytes of a file, counted as they come, and unpacked.
async function bytesOf(name, size, answer, come) {
  const pieces = [];
  let length = 0;
  for (const reader = answer.body.getReader(); ;) {
    const piece = await reader.read();
    if (piece.done) break;
    pieces.push(piece.value);
    length += piece.value.length;
    come(piece.value.length);
    tell('Python is fetched', {done: Math.min(done, total), total});
  }
  const blob = new Blob(pieces), [first, second] = new Uint8Array(await blob.slice(0, 2).arrayBuffer());
  const isPacked = first === 0x1f && second === 0x8b;
  if (!isPacked && answer.headers.has('content-encoding')) return blob.arrayBuffer(); // by a host that has browsers unpack it
  if (length !== size) throw new Error(`it ends after ${length} of ${size} bytes`);
  try {
    return await new Response(blob.stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer();
  } catch {
    throw new Error('it is damaged');
  }
}

async function begin() {
  const site = await patiently('site.json', answer => answer.json(), {cache: 'no-cache'});
  total = Object.values(site.files).reduce((sum, size) => sum + size, 0);
  const files = new Map(await Promise.all(Object.entries(site.files).map(async ([name, size]) =>
    [name.replace(/\.gz$/, ''), await patiently(name, (...how) => bytesOf(name, size, ...how))])));
  tell('Python starts');
  // What Pyodide asks for is here already.
  const fetched = globalThis.fetch;
  globalThis.fetch = (asked, ...more) => {
    const name = String(asked.url ?? asked).split('/').pop(), found = files.get(name);
    if (!found) return fetched(asked, ...more);
    files.delete(name);
    return Promise.resolve(new Response(found, {headers: {'content-type': name.endsWith('.wasm') ? 'application/wasm' : 'application/octet-stream'}}));
  };
  const own = files.get('purecnn.zip'), model = files.get('model.safetensors');
  const {loadPyodide} = await import('./pyodide.mjs');
  const python = await loadPyodide({indexURL: here('./'), packages: ['numpy']});
  globalThis.fetch = fetched;
  globalThis.python = python; // for who looks with the browser's tools
  tell('The network is opened');
  python.unpackArchive(own, 'zip');
  python.FS.writeFile('model.safetensors', new Uint8Array(model));
  const playground = python.pyimport('purecnn.playground.in_browser');
  return {answer: playground.begin('model.safetensors', site.network.name, site.least), prepare: playground.prepare};
}

const replies = begin();
replies.then(({answer, prepare}) => {
  tell('ready');
  prepare(answer);
}, error => tell('failed', {why: `Python could not be started: ${last(error)}`}));

addEventListener('message', async ({data: [number, path, body]}) => {
  try {
    const found = (await replies).answer(path, body), [status, told] = found.toJs();
    found.destroy();
    postMessage({number, status, told});
  } catch (error) { // a fault of ours
    postMessage({number, status: 500, told: JSON.stringify({error: `Python stumbled: ${last(error)}`})});
    throw error;
  }
});
