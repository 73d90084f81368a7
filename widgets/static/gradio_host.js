// Runs once for each mount, with `element`, `props`, `watch` and `trigger` from Gradio.
// Connects the canvas with the page: its messages go out by `trigger`, answers come in as the component's value.
const KEY = 'masklet-token'; // of this tab's session
const root = window.gradio_config?.root ?? '';
const { module_url: moduleUrl, style_url: styleUrl, session_url: sessionUrl } = props; // an update may drop them
const host = element.querySelector('.mask-canvas-host');
const token = () => sessionStorage.getItem(KEY) ?? '';
const address = (path) => root + sessionUrl.replace('{token}', encodeURIComponent(token())) + path;

const listeners = new Set();
const deliver = (message) => listeners.forEach((listener) => listener(message));

const receive = () => {
  if (!props.value) return;
  for (const message of JSON.parse(props.value)) {
    if (message.op === 'state') {
      if (message.token) sessionStorage.setItem(KEY, message.token);
      else sessionStorage.removeItem(KEY);
      document.body.dataset.masklet = message.clip ? 'studio' : 'start'; // a page shows either
    }
    deliver(message);
  }
};

// Hovering asks often and only the newest answer counts: one question on its way at a time, the newest one waits.
let asking = false;
let waiting = null;
const hover = async (message) => {
  if (asking) { waiting = message; return; }
  asking = true;
  try {
    const answer = await fetch(address('/hover'), { method: 'POST', body: JSON.stringify(message) });
    if (answer.ok && !waiting) (await answer.json()).forEach(deliver);
  } catch { /* the server is away; the next click says so */ }
  asking = false;
  if (waiting) { const next = waiting; waiting = null; hover(next); }
};

const transport = {
  send: (message) => (message.op === 'hover' ? hover(message) : trigger('said', { token: token(), message })),
  onMessage: (listener) => { listeners.add(listener); return () => listeners.delete(listener); },
  frameUrl: (index) => address(`/frame/${index}.jpg`),
  get videoUrl() { return address('/clip.mp4'); },
};

watch('value', receive);
import(root + moduleUrl).then(({ mount }) => {
  const canvas = mount(host, transport, { styleUrl: root + styleUrl });
  const observer = new MutationObserver(() => {
    if (host.isConnected) return;
    observer.disconnect();
    canvas.destroy();
  });
  observer.observe(document.body, { childList: true, subtree: true });
});
  else receive();
});
