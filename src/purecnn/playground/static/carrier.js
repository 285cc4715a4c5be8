// Who carries the page's questions to Python and back: connections to the server, or messages to a worker that runs
// Python within this browser. The page says which: `data-answers` is "server" or "browser".

const inBrowser = document.documentElement.dataset.answers === 'browser';
const failed = (error, status) => Object.assign(new Error(error), {status});

// The server.
const sent = asked => ({method: 'POST', headers: {'content-type': 'application/json'}, body: JSON.stringify(asked)});

async function askServer(path, asked) {
  let answer;
  try {
    answer = await fetch(`api/${path}`, sent(asked));
  } catch {
    throw failed('The playground does not answer: is it still running?');
  }
  const told = await answer.json();
  if (!answer.ok) throw failed(told.error, answer.status);
  return told;
}

// The worker. It is begun with the page; what is asked before Python has come waits for it.
let worker, ready, start, site, number = 0;
const asking = new Map();

const box = document.getElementById('loading'), bar = document.getElementById('loading-bar');
const words = document.getElementById('loading-words'), again = document.getElementById('loading-again');
const megabytes = bytes => (bytes / 1e6).toFixed(1);

function tell({stage, done, total}) {
  box.hidden = false;
  again.hidden = true;
  bar.hidden = false;
  words.textContent = total ? `${stage}: ${megabytes(done)} of ${megabytes(total)} MB` : `${stage} …`;
  if (total) Object.assign(bar, {value: done, max: total});
  else bar.removeAttribute('value');
}

function stop(why) {
  worker?.terminate();
  box.hidden = false;
  bar.hidden = true;
  again.hidden = false;
  words.textContent = why;
  start.reject(failed(why));
  for (const {reject} of asking.values()) reject(failed(why));
  asking.clear();
}

function begin() {
  ready = new Promise((resolve, reject) => { start = {resolve, reject}; });
  ready.catch(() => {}); // told above the page already, if nobody has asked yet
  if (typeof WebAssembly !== 'object' || typeof Worker !== 'function' || typeof DecompressionStream !== 'function') {
    stop('This page runs Python in your browser, which wants WebAssembly, workers and DecompressionStream: a browser of 2023 or later has them.');
    again.hidden = true;
    return;
  }
  tell({stage: 'Python is on its way'});
  worker = new Worker(new URL('worker.js', import.meta.url), {type: 'module'});
  worker.addEventListener('error', () => stop('The worker that runs Python could not be started.'));
  worker.addEventListener('message', ({data}) => {
    if (data.stage === 'ready') {
      box.hidden = true;
      start.resolve();
    } else if (data.stage === 'failed') stop(data.why);
    else if (data.stage) tell(data);
    else {
      const {resolve, reject} = asking.get(data.number);
      asking.delete(data.number);
      if (data.status === 200) resolve(JSON.parse(data.told));
      else reject(failed(JSON.parse(data.told).error, data.status));
    }
  });
}

async function askWorker(path, asked) {
  if (path === 'network') { // written when the site was: the page is whole before Python has come
    site ??= fetch('site.json').then(answer => answer.json());
    return (await site).network;
  }
  await ready;
  return new Promise((resolve, reject) => {
    asking.set(++number, {resolve, reject});
    worker.postMessage([number, path, JSON.stringify(asked)]);
  });
}

if (inBrowser) {
  again.addEventListener('click', begin);
  begin();
}

export const ask = (path, asked = {}) => (inBrowser ? askWorker : askServer)(path, asked);

// Whether pictures go as the files that they are, to a server that reads more kinds than a browser, or as pixels.
export const takesFiles = !inBrowser;

// A last word of a page that is left: a worker ends with its page.
export const leave = (path, asked) => { if (!inBrowser) fetch(`api/${path}`, {...sent(asked), keepalive: true}); };
