// Runs once for each mount, with `element`, `props`, `watch` and `trigger` from Gradio.
// Connects the canvas with the page: its messages go out by `trigger`, answers come in as the component's value.
const KEY = 'masklet-token'; // of this tab's session
const root = window.gradio_config?.root ?? '';
const { module_url: moduleUrl, style_url: styleUrl, session_url: sessionUrl } = props; // an update may drop them
const host = element.querySelector('.mask-canvas-host');
const token = () => sessionStorage.getItem(KEY) ?? '';
const address = (path) => root + sessionUrl.replace('{token}', encodeURIComponent(token())) + path;

let canvas = null;
const listeners = new Set();
const deliver = (message) => listeners.forEach((listener) => listener(message));

const receive = () => {
  if (!props.value) return;
  const { token: subject, messages } = JSON.parse(props.value);
  if (subject !== null && subject !== token()) return; // of a session that was left
  for (const message of messages) {
    const opens = message.clip && !document.body.hasAttribute('data-masklet-clip');
    if (message.op === 'state') {
      if (message.token) sessionStorage.setItem(KEY, message.token);
      else sessionStorage.removeItem(KEY);
      document.body.toggleAttribute('data-masklet-clip', Boolean(message.clip));
      document.body.dataset.masklet = message.clip ? 'studio' : 'start'; // a page shows either
      for (const made of document.querySelectorAll('[data-revision]')) { // such as an export
        made.toggleAttribute('data-old', message.rev > Number(made.dataset.revision));
      }
    }
    deliver(message);
    if (opens) canvas?.focus(); // its keys work at once
  }
};

// A hover question is answered beside Gradio's queue; the canvas has one on its way at a time.
const hover = async (message) => {
  try {
    const answer = await fetch(address('/hover'), { method: 'POST', body: JSON.stringify(message) });
    if (answer.ok) (await answer.json()).forEach(deliver);
  } catch { /* the server is away; the next click says so */ }
};

const transport = {
  send: (message) => (message.op === 'hover' ? hover(message) : trigger('said', { token: token(), message })),
  onMessage: (listener) => { listeners.add(listener); return () => listeners.delete(listener); },
  frameUrl: (index) => address(`/frame/${index}.jpg`),
  get videoUrl() { return address('/clip.mp4'); },
  isAlive: async () => {
    const isThere = await fetch(root + moduleUrl, { method: 'HEAD', cache: 'no-store' }).then(({ ok }) => ok, () => false);
    document.body.toggleAttribute('data-masklet-lost', !isThere); // the canvas says it, so Gradio need not
    return isThere;
  },
};

// "Duplicate tab" copies the session's token; two tabs are two sessions, so the copy begins without one.
const tabs = new BroadcastChannel(KEY);
const isTaken = () => new Promise((resolve) => {
  if (!token()) return resolve(false);
  tabs.onmessage = ({ data }) => data === `mine ${token()}` && resolve(true);
  tabs.postMessage(`whose ${token()}`);
  setTimeout(resolve, 150, false);
});
const claim = () => {
  tabs.onmessage = ({ data }) => data === `whose ${token()}` && tabs.postMessage(`mine ${token()}`);
};

// Whoever comes back to a session does not see the start page on the way.
if (token()) document.body.dataset.masklet = 'studio';

// Gradio's page is light or dark by a class.
const page = document.body.classList;
const follow = () => { host.dataset.theme = page.contains('dark') ? 'dark' : 'light'; };
new MutationObserver(follow).observe(document.body, { attributeFilter: ['class'] });
follow();

watch('value', receive);
Promise.all([import(root + moduleUrl), isTaken()]).then(([{ mount }, taken]) => {
  if (taken) sessionStorage.removeItem(KEY);
  claim();
  canvas = mount(host, transport, { styleUrl: root + styleUrl });
  const observer = new MutationObserver(() => {
    if (host.isConnected) return;
    observer.disconnect();
    tabs.close(); // or the next mount would take itself for a copy
    canvas.destroy();
  });
  observer.observe(document.body, { childList: true, subtree: true });
});
