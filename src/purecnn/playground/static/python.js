// Python within this browser: a worker, begun once for all who ask on a page, the playground's or one of the course's.

export const failed = (error, status) => Object.assign(new Error(error), {status});

let worker, ready, start, told = null, number = 0;
const asking = new Map(), hearers = new Set();

// Be told how far Python is: {stage, done, total}, in the end {stage: 'ready'} or {stage: 'failed', why}.
export function hear(hearer) {
  hearers.add(hearer);
  if (told) hearer(told);
}

function tell(news) {
  told = news;
  for (const hearer of hearers) hearer(news);
}

// How much of the start is over, from 0 to 1. A bar that moves by itself would have the browser draw 60 frames a second.
const BEGUN = {'Python starts': .6, 'The network is opened': .85};
export const share = ({stage, done = 0, total = 1}) => BEGUN[stage] ?? .6 * done / total;

const megabytes = bytes => (bytes / 1e6).toFixed(1);
export const spoken = ({stage, done, total}) => total ? `${stage}: ${megabytes(done)} of ${megabytes(total)} MB` : `${stage} …`;

function stop(why, hopeless = false) {
  worker?.terminate();
  worker = null;
  start.reject(failed(why));
  ready = Promise.reject(failed(why)); // of one that had started, too
  ready.catch(() => {});
  for (const {reject} of asking.values()) reject(failed(why));
  asking.clear();
  tell({stage: 'failed', why, hopeless});
}

// Begin, or begin again after it failed; what is asked before Python has come waits for it.
export function begin() {
  if (worker) return;
  ready = new Promise((resolve, reject) => { start = {resolve, reject}; });
  ready.catch(() => {}); // told to all who hear already, if nobody has asked yet
  if (typeof WebAssembly !== 'object' || typeof Worker !== 'function' || typeof DecompressionStream !== 'function') {
    stop('This page runs Python in your browser, which wants WebAssembly, workers and DecompressionStream: a browser of 2023 or later has them.', true);
    return;
  }
  tell({stage: 'Python is on its way'});
  worker = new Worker(new URL('worker.js', import.meta.url), {type: 'module'});
  worker.addEventListener('error', () => stop('The worker that runs Python could not be started.'));
  worker.addEventListener('message', ({data}) => {
    if (data.stage === 'failed') stop(data.why);
    else if (data.stage) {
      tell(data);
      if (data.stage === 'ready') start.resolve();
    } else {
      const {resolve, reject} = asking.get(data.number);
      asking.delete(data.number);
      if (data.status === 200) resolve(JSON.parse(data.told));
      else reject(failed(JSON.parse(data.told).error, data.status));
    }
  });
}

export async function askPython(path, asked) {
  await ready;
  return new Promise((resolve, reject) => {
    asking.set(++number, {resolve, reject});
    worker.postMessage([number, path, JSON.stringify(asked)]);
  });
}
