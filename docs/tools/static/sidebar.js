// Brings the line of the page that is read into sight, in the list of all pages beside it.

{
  const list = document.querySelector('.sidebar-scroll'), line = list?.querySelector('.current-page');
  if (line) {
    const [whole, own] = [list, line].map(each => each.getBoundingClientRect());
    if (own.bottom > whole.bottom) list.scrollTop += own.top - whole.top - whole.height / 3;
  }
}
