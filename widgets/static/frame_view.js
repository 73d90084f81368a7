// Runs once for each mount, with `element`, `props`, `watch` and `trigger` from the host.
const view = element.querySelector('.frame-view');
const image = view.querySelector('img');
const band = view.querySelector('.rubber-band');
const asked = view.querySelector('.asked'); // a dot where a click waits for its answer
const DRAG = 6; // pixels of movement from which on a press draws a box

const show = () => {
  if (!props.value) return;
  image.src = props.value.picture;
  asked.hidden = true;
};
image.addEventListener('load', () => view.style.setProperty('--aspect', image.naturalWidth / image.naturalHeight));
watch('value', show);
show();

// A press, a drag, a release -------------------------------------------------------------------------------------------
let press = null;

const place = (event) => {
  const bounds = image.getBoundingClientRect();
  const within = (value) => Math.min(Math.max(value, 0), 1);
  return { x: within((event.clientX - bounds.left) / bounds.width), y: within((event.clientY - bounds.top) / bounds.height) };
};
const rectangle = (a, b) => ({
  x0: Math.min(a.x, b.x), y0: Math.min(a.y, b.y), x1: Math.max(a.x, b.x), y1: Math.max(a.y, b.y),
});
const percent = (value) => `${value * 100}%`;

image.addEventListener('contextmenu', (event) => event.preventDefault());
image.addEventListener('pointerdown', (event) => {
  if (event.button === 1 || !props.value) return;
  press = { ...place(event), event, frame: props.value.frame };
  image.setPointerCapture(event.pointerId);
});
image.addEventListener('pointermove', (event) => {
  if (!press) return;
  const far = Math.hypot(event.clientX - press.event.clientX, event.clientY - press.event.clientY) > DRAG;
  if (band.hidden && (!far || press.event.button === 2)) return;
  const box = rectangle(press, place(event));
  Object.assign(band.style, {
    left: percent(box.x0), top: percent(box.y0), width: percent(box.x1 - box.x0), height: percent(box.y1 - box.y0),
  });
  band.hidden = false;
});
image.addEventListener('pointerup', (event) => {
  if (!press) return;
  if (band.hidden) {
    const positive = press.event.button === 0 && !press.event.shiftKey;
    trigger('prompt', { frame: press.frame, x: press.x, y: press.y, positive });
    Object.assign(asked.style, { left: percent(press.x), top: percent(press.y) });
    asked.hidden = false;
  } else {
    trigger('prompt', { frame: press.frame, ...rectangle(press, place(event)) });
  }
  press = null;
  band.hidden = true;
});
image.addEventListener('pointercancel', () => {
  press = null;
  band.hidden = true;
});

// Keys: each presses what it names -----------------------------------------------------------------------------------
const KEYS = {
  z: '#undo', y: '#redo', n: '#new-object', m: '#click-kind input:not(:checked)', t: '#track', p: '#play, #back', Escape: '#cancel',
};

// What the page hides stays in the document.
const visible = (selector) => [...document.querySelectorAll(selector)].find((found) => found.offsetParent !== null);

const onKey = (event) => {
  if (!element.isConnected) return document.removeEventListener('keydown', onKey);
  const typing = event.target.closest('input, textarea, select, [contenteditable], [role=listbox]');
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const arrow = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (arrow) {
    event.preventDefault();
    trigger('step', { by: event.shiftKey ? 10 * arrow : arrow });
  } else if (event.key in KEYS) {
    visible(KEYS[event.key])?.click();
  } else if ('123'.includes(event.key)) {
    document.querySelectorAll('#candidates [data-pick]')[event.key - 1]?.click();
  }
};
document.addEventListener('keydown', onKey);
