/* Draws each figure of the page in colours for light, dark or paper, in a wide or a narrow window. */
(function () {
  'use strict';
  var COLORS = {
    light: {ink: '#2b3138', faint: '#59626e', line: '#dfe2e6', axis: '#b9c0c9', wall: '#f1f3f5', press: '#dfe4ea'},
    dark: {ink: '#dde1e6', faint: '#9ca6b2', line: '#2b333d', axis: '#4b5661', wall: '#1e252d', press: '#39424e'},
    print: {ink: '#000000', faint: '#333333', line: '#cccccc', axis: '#777777', wall: '#ffffff', press: '#eeeeee'}
  };
  var FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif";
  var CLEAR = 'rgba(0,0,0,0)';
  var dark = window.matchMedia('(prefers-color-scheme: dark)');
  var narrow = window.matchMedia('(max-width: 600px)');
  var touched = window.matchMedia('(pointer: coarse)');
  var figures = [];

  function template(c) {
    var axis = {gridcolor: c.line, zerolinecolor: c.axis, linecolor: c.axis, automargin: true};
    var wall = {backgroundcolor: c.wall, gridcolor: c.axis, linecolor: c.axis, zerolinecolor: c.axis,
      showbackground: true};
    return {layout: {
      font: {family: FONT, size: narrow.matches ? 12 : 13, color: c.ink},
      paper_bgcolor: CLEAR, plot_bgcolor: CLEAR,
      modebar: {bgcolor: CLEAR, color: c.faint, activecolor: c.ink},
      hoverlabel: {bgcolor: c.wall, bordercolor: c.axis, align: 'left', font: {family: FONT, color: c.ink}},
      xaxis: axis, yaxis: axis, scene: {xaxis: wall, yaxis: wall, zaxis: wall},
      sliderdefaults: {bgcolor: c.wall, activebgcolor: c.press, bordercolor: c.axis, tickcolor: c.axis},
      updatemenudefaults: {bgcolor: c.wall, bordercolor: c.axis}
    }};
  }
  function colors() { return dark.matches ? COLORS.dark : COLORS.light; }

  /* What depends on the window's width, as a change to the layout. */
  function fitting(figure) {
    var change = {}, small = narrow.matches;
    if (figure.eye) {
      var step = small ? 1.9 : 1, eye = figure.eye;
      change['scene.camera.eye'] = {x: eye.x * step, y: eye.y * step, z: eye.z * step};
    }
    figure.sliders.forEach(function (slider, i) {
      change['sliders[' + i + '].x'] = small ? 0.26 : slider.x;
      change['sliders[' + i + '].len'] = small ? 0.66 : slider.len;
    });
    if (!figure.eye) change.dragmode = small || touched.matches ? false : 'zoom';
    return change;
  }
  function fit(figure) {
    var change = fitting(figure);
    change.template = template(colors());
    window.Plotly.relayout(figure.place, change);
    figure.place.data.forEach(function (trace, i) {
      if (trace.type === 'surface') window.Plotly.restyle(figure.place, {showscale: !narrow.matches}, [i]);
    });
  }
  function all(change) { figures.forEach(function (f) { window.Plotly.relayout(f.place, change); }); }

  document.querySelectorAll('script[data-figure]').forEach(function (source) {
    var given = JSON.parse(source.textContent), layout = given.layout;
    var scene = layout.scene;
    var figure = {
      place: document.getElementById(source.dataset.figure),
      eye: scene && scene.camera && scene.camera.eye,
      sliders: (layout.sliders || []).map(function (s) { return {x: s.x, len: s.len}; })
    };
    layout.template = template(colors());
    layout.autosize = true;
    window.Plotly.newPlot(figure.place, {data: given.data, layout: layout, frames: given.frames || [],
      config: {responsive: true, displaylogo: false, displayModeBar: figure.eye ? undefined : false}});
    figures.push(figure);
    fit(figure);
  });

  dark.addEventListener('change', function () { all({template: template(colors())}); });
  narrow.addEventListener('change', function () { figures.forEach(fit); });
  window.addEventListener('beforeprint', function () {
    document.querySelectorAll('details:not([open])').forEach(function (d) { d.open = d.dataset.closed = true; });
    figures.forEach(function (f) {
      var room = f.place.closest('.pair') ? 310 : 640;
      var width = Math.min(f.place.clientWidth, f.place.closest('.square') ? Math.min(room, 520) : room);
      var height = f.place.closest('.square') ? 1.06 * width : Math.min(f.place.clientHeight, 470);
      window.Plotly.relayout(f.place, {template: template(COLORS.print), width: width, height: height});
    });
  });
  window.addEventListener('afterprint', function () {
    document.querySelectorAll('details[data-closed]').forEach(function (d) { d.open = false; });
    all({template: template(colors()), width: null, height: null, autosize: true});
    figures.forEach(function (f) { window.Plotly.Plots.resize(f.place); });
  });
})();
