// Python in a browser: the package itself, run by Pyodide in a thread of its own, answers the page's questions by the
// functions that the server has. All files lie beside this one; those that end in .gz are unpacked here, so that as
// little comes over the wire from any host.

const PATIENCE = [500, 2000, 5000]; // ms before another try at a file that broke off
const SILENCE = 20_000; // ms without a byte after which a try has broken off
const tell = (stage, more = {}) => postMessage({stage, ...more});
const last = error => String(error.message ?? error).trim().split('\n').pop(); // of Python's tracebacks: what went wrong
const here = name => new URL(name, import.meta.url).href;
const STEP = 250_000; // bytes between two words of how many have come
let done = 0, total = 0, spoken = 0;

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
    if (done - spoken >= STEP || done >= total) {
      spoken = done;
      tell('Python is fetched', {done: Math.min(done, total), total});
    }
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

// Write an archive's files, which are not compressed, below a folder of Python's. Its own zipfile takes ten times as long.
function unpack(archive, folder, FS) {
  const bytes = new Uint8Array(archive), view = new DataView(archive), made = new Set(), words = new TextDecoder();
  const end = bytes.length - 22; // where its table of contents is told of, since it has no comment
  let place = view.getUint32(end + 16, true);
  for (let left = view.getUint16(end + 10, true); left; left--) {
    const [size, name, extra, note] = [[24, 32], [28, 16], [30, 16], [32, 16]].map(([at, bits]) => view[`getUint${bits}`](place + at, true));
    const begin = view.getUint32(place + 42, true), path = `${folder}/${words.decode(bytes.subarray(place + 46, place + 46 + name))}`;
    const content = begin + 30 + view.getUint16(begin + 26, true) + view.getUint16(begin + 28, true);
    const within = path.slice(0, path.lastIndexOf('/'));
    if (!made.has(within)) FS.mkdirTree(within);
    made.add(within);
    FS.writeFile(path, bytes.subarray(content, content + size), {canOwn: true});
    place += 46 + name + extra + note;
  }
}

// A script, which the browser fetches itself; it remembers that an address failed, so that another try has another one.
async function script(name) {
  for (let attempt = 0; ; attempt++) {
    try {
      return await import(here(name) + (attempt ? `?again=${attempt}` : ''));
    } catch {
      if (attempt === PATIENCE.length) throw new Error(`${name} could not be fetched, or is damaged`);
      await new Promise(resolve => setTimeout(resolve, PATIENCE[attempt]));
    }
  }
}

const KINDS = {wasm: 'application/wasm', json: 'application/json'};

async function begin() {
  const site = await patiently('site.json', answer => answer.json(), {cache: 'no-cache'});
  total = Object.values(site.files).reduce((sum, size) => sum + size, 0);
  const scripts = Promise.all(['pyodide.mjs', 'pyodide.asm.js'].map(script));
  scripts.catch(() => {}); // told once the files have come
  const files = new Map(await Promise.all(Object.entries(site.files).map(async ([name, size]) =>
    [name.replace(/\.gz$/, ''), await patiently(name, (...how) => bytesOf(name, size, ...how))])));
  const [{loadPyodide}] = await scripts; // the other one is found as a global function
  tell('Python starts');
  const take = name => { const found = files.get(name); files.delete(name); return found; };
  const library = take('python_stdlib.zip'), packages = [...files.keys()].filter(name => /\.(zip|whl)$/.test(name)).map(take);
  const model = new Uint8Array(take('model.safetensors'));
  files.set('python_stdlib.zip', new ArrayBuffer(0)); // unpacked below: Python need not read an archive at each import
  // What Pyodide asks for is here already.
  const fetched = globalThis.fetch;
  globalThis.fetch = (asked, ...more) => {
    const name = String(asked.url ?? asked).split('/').pop(), found = take(name);
    if (!found) return fetched(asked, ...more);
    return Promise.resolve(new Response(found, {headers: {'content-type': KINDS[name.split('.').pop()] ?? 'application/octet-stream'}}));
  };
  const python = await loadPyodide({indexURL: here('./'), env: {PYTHONDONTWRITEBYTECODE: '1'}, fsInit: (FS, {sitePackages}) => {
    unpack(library, sitePackages.replace('/site-packages', ''), FS);
    for (const each of packages) unpack(each, sitePackages, FS);
  }});
  globalThis.fetch = fetched;
  globalThis.python = python; // for who looks with the browser's tools
  tell('The network is opened');
  python.FS.writeFile('model.safetensors', model);
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
