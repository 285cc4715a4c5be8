// The live figures of the course. A still picture gets a button; who presses it is given Python, which draws the
// picture anew for each choice. Without this script, or without a server (a worker wants one), the picture stays still.

{
  const home = document.currentScript.src;

  const element = (name, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };

  class LiveFigure {
    constructor(picture) {
      Object.assign(this, {picture, name: picture.id.replace(/^figure-/, ''), values: {}, sets: {}, busy: false, waiting: false});
      this.button = element('button', {type: 'button', className: 'live-try', textContent: 'Try it'});
      this.button.addEventListener('click', () => this.begin());
      this.words = element('span', {textContent: 'Change the numbers: Python then starts in this page, which takes some seconds in each chapter; its 10 MB are loaded once.'});
      this.bar = element('progress', {hidden: true});
      this.offer = element('p', {className: 'live-offer'}, this.button, this.bar, this.words);
      this.words.setAttribute('role', 'status');
      (picture.closest('p') ?? picture).after(this.offer);
    }

    async begin() {
      this.button.hidden = true;
      try {
        const python = this.python ??= await import(new URL('python.js', home));
        if (!this.hears) python.hear(news => this.tell(news, python));
        this.hears = true;
        python.begin();
        this.build(await this.ask({}));
      } catch (error) {
        this.bar.hidden = true;
        this.button.hidden = false;
        this.words.textContent = error.message;
      }
    }

    tell(news, python) {
      if (this.box) return;
      this.bar.hidden = news.stage === 'failed';
      this.bar.value = python.share(news);
      this.words.textContent = news.why ?? python.spoken(news);
    }

    ask(values) {
      return this.python.askPython('figure', {figure: this.name, values});
    }

    build(told) {
      this.drawing = element('div', {className: 'live-drawing'});
      this.says = element('p', {className: 'live-says'});
      this.says.setAttribute('role', 'status');
      this.form = element('form', {className: 'live-controls'});
      this.form.addEventListener('submit', event => event.preventDefault());
      for (const [name, control] of Object.entries(told.controls)) this.form.append(this[control.kind](name, control));
      const anew = element('button', {type: 'button', textContent: 'As it was'});
      anew.addEventListener('click', () => this.choose(Object.fromEntries(
        Object.entries(told.controls).map(([name, control]) => [name, control.value]))));
      const page = element('a', {href: new URL('index.html', home), textContent: 'the playground'});
      const foot = element('p', {className: 'live-foot'}, anew, element('span', {}, 'Computed by purecnn in this page. A whole network: ', page, '.'));
      this.box = element('div', {className: 'live-box'}, this.drawing, this.says, this.form, foot);
      this.box.setAttribute('role', 'group');
      this.box.setAttribute('aria-label', `Live figure: ${this.name}`);
      this.offer.replaceWith(this.box);
      this.picture.hidden = true;
      this.show(told);
      this.form.querySelector('input, select')?.focus({preventScroll: true});
    }

    // Each kind of control makes its fields, and says how to be set.
    slider(name, {label, value, low, high, step}) {
      const field = element('input', {type: 'range', min: low, max: high, step, value});
      const shown = element('output'), write = () => { shown.textContent = field.value.replace('-', '−'); };
      field.addEventListener('input', () => { write(); this.change(name, +field.value); });
      this.sets[name] = wanted => { field.value = wanted; write(); };
      write();
      return element('label', {className: 'live-slider'}, element('span', {textContent: label}), field, shown);
    }

    grid(name, {label, value, low, high, step}) {
      const fields = value.map((row, r) => row.map((each, c) => {
        const field = element('input', {type: 'number', min: low, max: high, step, value: each});
        field.setAttribute('aria-label', `${label}, row ${r}, column ${c}`);
        field.addEventListener('input', () => {
          if (fields.flat().every(one => one.value !== '' && one.checkValidity())) this.change(name, fields.map(line => line.map(one => +one.value)));
        });
        return field;
      }));
      this.sets[name] = wanted => fields.forEach((row, r) => row.forEach((field, c) => { field.value = wanted[r][c]; }));
      return element('fieldset', {className: 'live-grid'}, element('legend', {textContent: label}),
        ...fields.map(row => element('div', {}, ...row)));
    }

    choice(name, {label, value, words}) {
      const field = element('select', {}, ...words.map(word => element('option', {value: word, textContent: word, selected: word === value})));
      field.addEventListener('change', () => this.change(name, field.value));
      this.sets[name] = wanted => { field.value = wanted; };
      return element('label', {className: 'live-choice'}, element('span', {textContent: label}), field);
    }

    choose(values) {
      for (const [name, value] of Object.entries(values)) {
        this.values[name] = value;
        this.sets[name](value);
      }
      this.send();
    }

    change(name, value) {
      this.values[name] = value;
      this.send();
    }

    // One question at a time, and always the latest choice.
    async send() {
      this.waiting = true;
      if (this.busy) return;
      this.busy = true;
      while (this.waiting) {
        this.waiting = false;
        try {
          this.show(await this.ask(this.values));
        } catch (error) {
          this.says.textContent = error.message;
        }
      }
      this.busy = false;
    }

    show({svg, says, spots}) {
      const drawn = document.importNode(new DOMParser().parseFromString(svg, 'image/svg+xml').documentElement, true);
      drawn.setAttribute('role', 'img');
      drawn.setAttribute('aria-label', says);
      for (const {box: [x, y, width, height], chosen} of spots) {
        const spot = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
        for (const [name, value] of Object.entries({x, y, width, height, fill: 'transparent', class: 'live-spot'})) spot.setAttribute(name, value);
        spot.addEventListener('click', () => this.choose(chosen));
        drawn.append(spot);
      }
      this.drawing.replaceChildren(drawn);
      this.says.textContent = says;
    }
  }

  if (location.protocol.startsWith('http')) document.querySelectorAll('img.live-figure').forEach(picture => new LiveFigure(picture));
}
