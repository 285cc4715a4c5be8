// Who carries the page's questions to Python and back: connections to the server, or messages to a worker that runs
// Python within this browser. The page says which: `data-answers` is "server" or "browser".

import {askPython, begin, failed, hear, share, spoken} from './python.js';

const inBrowser = document.documentElement.dataset.answers === 'browser';

// The server.
const sent = asked => ({method: 'POST', headers: {'content-type': 'application/json'}, body: JSON.stringify(asked)});

async function askServer(path, asked) {
  let answer, told;
  try {
    answer = await fetch(`api/${path}`, sent(asked));
    told = await answer.json();
  } catch {
    throw failed('The playground does not answer: is it still running?');
  }
  if (!answer.ok) throw failed(told.error, answer.status);
  return told;
}

// The worker, and above the page how far it is.
let site, isLost = false;
const PATIENCE = [500, 2000, 5000]; // ms before another try
const box = document.getElementById('loading'), bar = document.getElementById('loading-bar');
const words = document.getElementById('loading-words'), again = document.getElementById('loading-again');

function tell({stage, why, done, total, hopeless}) {
  if (isLost && stage !== 'failed') return; // Python alone is no page
  box.hidden = stage === 'ready';
  again.hidden = stage !== 'failed' || hopeless;
  bar.hidden = stage === 'failed';
  words.textContent = why ?? spoken({stage, done, total});
  bar.value = share({stage, done, total});
}

// What was written of the network when the site was; without it there is no page.
async function manifest() {
  for (const pause of [...PATIENCE, null]) {
    try {
      return await (await fetch('site.json', {cache: 'no-cache'})).json();
    } catch {
      if (pause !== null) await new Promise(resolve => setTimeout(resolve, pause));
    }
  }
  isLost = true;
  tell({stage: 'failed', why: 'site.json, which says what the network is, could not be fetched.'});
  throw failed('This page could not be fetched whole: try again.');
}

async function askWorker(path, asked) {
  if (path === 'network' && !asked.network) { // written when the site was: the page is whole before Python has come
    site ??= manifest();
    return (await site).network;
  }
  return askPython(path, asked);
}

if (inBrowser) {
  hear(tell);
  again.addEventListener('click', () => isLost ? location.reload() : begin());
  begin();
}

export const ask = (path, asked = {}) => (inBrowser ? askWorker : askServer)(path, asked);

// Does something when Python is ready, anew too, after its start or the worker failed: what failed with it is asked again.
export const whenReady = act => { if (inBrowser) hear(({stage}) => { if (stage === 'ready') act(); }); };

// Whether pictures go as the files that they are, to a server that reads more kinds than a browser, or as pixels.
export const takesFiles = !inBrowser;

// A last word of a page that is left: a worker ends with its page.
export const leave = (path, asked) => { if (!inBrowser) fetch(`api/${path}`, {...sent(asked), keepalive: true}); };
