// What a page must not have, looked for in the browser; each answers with what it found.

// What is wider than the screen.
window.widest = () => [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1)
 .map(e => e.tagName + '.' + e.getAttribute('class')).slice(0, 5);

// Controls without a name, and ids that are there twice.
window.nameless = () => [...document.querySelectorAll('button, a, input, select, svg[role], table')].filter(e => !(e.innerText?.trim()
 || e.getAttribute('aria-label') || e.closest('label') || e.querySelector('img, caption, th') || e.textContent.trim()))
 .map(e => e.outerHTML.slice(0, 100)).concat([...document.querySelectorAll('[id]')].map(e => e.id)
 .filter((id, at, all) => all.indexOf(id) !== at));

// Text with less contrast than WCAG's AA asks for (4.5, or 3 if it is large), on grounds of one color.
window.faint = () => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = color => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const light = ([r, g, b]) => { const f = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  const ground = e => { for (; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor);
    if (c[3] === 255) return c; } return [255, 255, 255, 255]; };
  const bad = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement, style = getComputedStyle(e);
    if (!walk.currentNode.data.trim() || !e.getClientRects().length || e.closest('svg, .hidden, .skip, noscript, option, :disabled')
      || style.visibility === 'hidden' || style.opacity < 1 || e.closest('.unasked')) continue;
    const [a, b] = [light(rgba(style.color)), light(ground(e))].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize);
    const asked = size >= 24 || (size >= 18.6 && style.fontWeight >= 700) ? 3 : 4.5;
    if ((a + 0.05) / (b + 0.05) < asked) bad.push(`${walk.currentNode.data.trim().slice(0, 30)} ${style.color} ${((a + 0.05) / (b + 0.05)).toFixed(2)}`);
  }
  return [...new Set(bad)].slice(0, 8);
};
