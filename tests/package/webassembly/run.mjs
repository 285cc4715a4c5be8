// Runs a Python program in Pyodide: node run.mjs RUNTIME PROGRAM WORDS FOLDER...
// The folders are mounted and put on Python's path; WORDS are the program's arguments, as JSON. Warnings are errors.
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {pathToFileURL} from 'node:url';

const [runtime, program, words, ...folders] = process.argv.slice(2);
const {loadPyodide} = await import(pathToFileURL(join(runtime, 'pyodide.mjs')).href);
const python = await loadPyodide({indexURL: runtime});
await python.loadPackage('numpy', {messageCallback: () => {}});
folders.forEach((folder, place) => python.mountNodeFS(`/mounted/${place}`, folder));
python.globals.set('mounted', python.toPy(folders.map((_, place) => `/mounted/${place}`)));
python.globals.set('words', words);
python.runPython(`
import json, sys, warnings
warnings.simplefilter("error")
sys.dont_write_bytecode, sys.path[:0], sys.argv[1:] = True, mounted, json.loads(words)
`);
python.runPython(readFileSync(program, 'utf8'), {filename: program});
