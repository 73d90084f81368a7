/**
 * A host that speaks docs/protocol.md without a model: balls roll past a pillar, a mask is the ball that was clicked.
 * The page around it uses it by hand and in the browser tests.
 */
import { areaOfRuns, base64FromBytes, base64FromRuns, runsFromMessage } from '../../widgets/static/mask_canvas.js';

const COLORS = ['#3d8bfd', '#f2994a', '#9b6dff', '#2fb380', '#e8618c'];
const PILLAR = { x: 0.62, width: 0.07 };
const WEAK = { from: 0.3, to: 0.36 }; // a part of the clip where the first ball's mask is doubtful

/** Balls: centre and radii as fractions of the frame, `t` from 0 to 1. */
const BALLS = [
  (t) => ({ x: 0.16 + 0.68 * t, y: 0.68 - 0.3 * Math.abs(Math.sin(t * 9)), rx: 0.075, ry: 0.133, fill: '#d8504d' }),
  (t) => ({ x: 0.82 - 0.5 * t, y: 0.74, rx: 0.055, ry: 0.098, fill: '#3f7fc4' }),
  (t) => ({ x: 0.38 + 0.06 * Math.sin(t * 12), y: 0.32, rx: 0.06, ry: 0.107, fill: '#e9c46a' }),
];

const isHidden = (ball) => Math.abs(ball.x - PILLAR.x - PILLAR.width / 2) < PILLAR.width / 2 + ball.rx / 2;
const contains = (ball, x, y) => ((x - ball.x) / ball.rx) ** 2 + ((y - ball.y) / ball.ry) ** 2 <= 1;

/** Runs of ellipses, row by row. */
export function runsOfEllipses(ellipses, width, height) {
  const runs = [];
  let end = 0;
  for (let row = 0; row < height; row++) {
    const spans = ellipses.flatMap(({ x, y, rx, ry }) => {
      const part = 1 - (((row + 0.5) / height - y) / ry) ** 2;
      if (part <= 0) return [];
      const half = rx * Math.sqrt(part);
      return [[Math.max(0, Math.round((x - half) * width)), Math.min(width, Math.round((x + half) * width))]];
    });
    let reached = 0;
    for (const [from, to] of spans.sort((a, b) => a[0] - b[0])) {
      const start = Math.max(from, reached);
      if (to <= start) continue;
      runs.push(row * width + start - end, to - start);
      end = row * width + to;
      reached = to;
    }
  }
  return Uint32Array.from([...runs, width * height - end]);
}

export class FakeHost {
  /**
   * @param {object} options  delay: milliseconds until an answer; step: until the next tracked frame; rate: frames a
   *   second; buffers: frames come by message, not by URL; objects: that are there already
   */
  constructor({ frames = 120, delay = 15, step = 15, rate = 24, buffers = false, videoUrl = null, objects = 0 } = {}) {
    this.clip = { name: 'rolling-balls.mp4', width: 1280, height: 720, frames, rate, still: frames === 1 };
    this.delay = delay;
    this.step = step;
    this.rev = 0;
    this.received = []; // every message from the canvas
    this.state = { objects: [], prompts: [], masks: new Map(), locked: [], balls: new Map(), stale: new Set() };
    for (let number = 0; number < objects; number++) this.do_add_object();
    this.past = [];
    this.future = [];
    this.job = null;
    this.listeners = new Set();
    this.isAlive = true;
    this.held = null; // messages that wait for release()
    this.transport = {
      send: (message) => {
        this.received.push(JSON.parse(JSON.stringify(message)));
        if (this.held) this.held.push(message);
        else setTimeout(() => this.handle(message), this.delay);
      },
      onMessage: (listener) => {
        this.listeners.add(listener);
        return () => this.listeners.delete(listener);
      },
      frameUrl: buffers ? null : (index) => `data:image/svg+xml,${encodeURIComponent(this.picture(index))}`,
      videoUrl,
      isAlive: async () => this.isAlive,
    };
  }

  /** From now on, answers nothing until `release`. */
  hold() {
    this.held = [];
  }

  release() {
    const messages = this.held;
    this.held = null;
    for (const message of messages) this.handle(message);
  }

  tell(message, buffers = []) {
    const copy = JSON.parse(JSON.stringify({ v: 1, rev: this.rev, ...message }));
    for (const listener of this.listeners) listener(copy, buffers);
  }

  balls(frame) {
    return BALLS.map((ball) => ball(this.clip.frames > 1 ? frame / (this.clip.frames - 1) : 0.1));
  }

  handle(message) {
    const { op, rid, frame, obj } = message;
    const answers = {
      hello: () => this.tellState(rid),
      sync: () => this.tellState(rid),
      hover: () => this.hover(message),
      masks: () => this.tellMasks(message),
      candidates: () => this.tellCandidates(rid, frame, obj),
      frame: () => this.tellPicture(rid, frame),
      track: () => this.track(message),
      pause: () => this.pause(true, rid),
      resume: () => this.pause(false, rid),
      cancel: () => this.cancel(rid),
      undo: () => this.restore(this.past, this.future, rid),
      redo: () => this.restore(this.future, this.past, rid),
    };
    if (op in answers) answers[op]();
    else this.change(message);
  }

  /** A command that can be undone. */
  change(message) {
    const before = structuredClone(this.state);
    try {
      this[`do_${message.op}`](message);
    } catch (error) {
      this.state = before;
      this.tell({ op: 'error', rid: message.rid, code: 'prompt', message: error.message });
      return;
    }
    this.past.push(before);
    this.future = [];
    this.rev += 1;
    if (message.obj && message.frame !== undefined && this.state.masks.size > 1) this.state.stale.add(message.obj);
    if (message.frame !== undefined) this.tellResults(message.frame, message.rid);
    if (message.op === 'click') this.tellCandidates(message.rid, message.frame, message.obj);
    this.tellState(message.rid);
  }

  restore(from, to, rid) {
    if (from.length) {
      to.push(this.state);
      this.state = from.pop();
      this.rev += 1;
    }
    this.tellState(rid);
  }

  // Commands

  do_add_object() {
    const obj = Math.max(0, ...this.state.objects.map((object) => object.obj)) + 1;
    const color = COLORS[(obj - 1) % COLORS.length];
    this.state.objects.push({ obj, name: `Object ${obj}`, color, hidden: false, locked: false });
  }

  do_edit_object({ obj, name, color, hidden, locked }) {
    const given = Object.entries({ name, color, hidden, locked }).filter(([, value]) => value !== undefined);
    Object.assign(this.state.objects.find((object) => object.obj === obj), Object.fromEntries(given));
  }

  do_remove_object({ obj }) {
    this.state.objects = this.state.objects.filter((object) => object.obj !== obj);
    this.state.prompts = this.state.prompts.filter((prompt) => prompt.obj !== obj);
    for (const masks of this.state.masks.values()) masks.delete(obj);
  }

  do_click({ frame, obj, x, y, positive }) {
    const ball = this.balls(frame).findIndex((candidate) => contains(candidate, x, y));
    if (ball >= 0 && positive) this.state.balls.set(obj, ball);
    if (!this.state.balls.has(obj)) throw new Error('There is nothing to segment at this place: click on a ball.');
    this.promptOf(obj, frame).points.push([x, y, positive]);
    this.predict(obj, frame);
  }

  do_box({ frame, obj, x0, y0, x1, y1 }) {
    const inside = ({ x, y }) => x >= x0 && x <= x1 && y >= y0 && y <= y1;
    const ball = this.balls(frame).findIndex(inside);
    if (ball < 0) throw new Error('There is nothing to segment in this box: draw it around a ball.');
    this.state.balls.set(obj, ball);
    this.promptOf(obj, frame).box = [x0, y0, x1, y1];
    this.predict(obj, frame);
  }

  do_mask({ frame, obj, rle }) {
    this.promptOf(obj, frame).mask = true;
    this.put(obj, frame, { rle, iou: 0.97, score: 9 });
  }

  do_choose({ frame, obj, candidate }) {
    this.promptOf(obj, frame).candidate = candidate;
    const chosen = this.candidates(obj, frame)[candidate - 1];
    this.put(obj, frame, { ...chosen, score: 8 });
  }

  do_remove_prompt({ frame, obj, kind, index }) {
    const prompt = this.promptOf(obj, frame);
    if (kind === 'point') prompt.points.splice(index, 1);
    else prompt[kind] = kind === 'box' ? null : false;
    if (!prompt.points.length && !prompt.box && !prompt.mask) this.do_clear({ frame, obj });
  }

  do_clear({ frame, obj }) {
    this.state.prompts = this.state.prompts.filter((prompt) => prompt.obj !== obj || prompt.frame !== frame);
    this.state.masks.get(frame)?.delete(obj);
  }

  do_lock_frame({ frame, obj, locked }) {
    this.state.locked = this.state.locked.filter(([o, f]) => o !== obj || f !== frame);
    if (locked) this.state.locked.push([obj, frame]);
  }

  // The pretended model

  promptOf(obj, frame) {
    let prompt = this.state.prompts.find((known) => known.obj === obj && known.frame === frame);
    if (!prompt) this.state.prompts.push((prompt = { obj, frame, points: [], box: null, mask: false, candidate: 0 }));
    return prompt;
  }

  put(obj, frame, mask) {
    if (!this.state.masks.has(frame)) this.state.masks.set(frame, new Map());
    this.state.masks.get(frame).set(obj, mask);
  }

  rle(ellipses) {
    return base64FromRuns(runsOfEllipses(ellipses, this.clip.width, this.clip.height));
  }

  /** Numbers as a model might give them: steady, a weak stretch, hidden behind the pillar. */
  predict(obj, frame) {
    const which = this.state.balls.get(obj) ?? 0;
    const ball = this.balls(frame)[which];
    const t = frame / this.clip.frames;
    const weak = which === 0 && t > WEAK.from && t < WEAK.to;
    const wobble = 0.03 * Math.sin(frame * 0.9 + which);
    const hidden = which < 2 && isHidden(ball);
    const shape = weak ? [{ ...ball, x: ball.x - 0.03, rx: ball.rx * 1.25 }] : [ball];
    this.put(obj, frame, {
      rle: this.rle(hidden ? [] : shape),
      iou: (hidden ? 0.2 : weak ? 0.52 : 0.9) + wobble,
      score: hidden ? -4 : weak ? 3 : 8,
    });
  }

  candidates(obj, frame) {
    const balls = this.balls(frame);
    const ball = balls[this.state.balls.get(obj) ?? 0];
    const part = { ...ball, rx: ball.rx * 0.45, ry: ball.ry * 0.45, y: ball.y - ball.ry * 0.3 };
    const shadow = { ...ball, y: ball.y + ball.ry * 0.9, ry: ball.ry * 0.35, rx: ball.rx * 1.3 };
    return [
      { rle: this.rle([ball]), iou: 0.93 },
      { rle: this.rle([part]), iou: 0.71 },
      { rle: this.rle([ball, shadow]), iou: 0.64 },
    ];
  }

  hover({ rid, frame, obj, x, y }) {
    const ball = this.balls(frame).find((candidate) => contains(candidate, x, y));
    this.tell({ op: 'hover', rid, frame, obj, rle: this.rle(ball ? [ball] : []), iou: 0.9 });
  }

  // Tracking

  track({ rid, direction, first = 0, last = this.clip.frames - 1, objects }) {
    const ids = objects ?? this.state.objects.map((object) => object.obj);
    const prompted = this.state.prompts.filter((prompt) => ids.includes(prompt.obj)).map((prompt) => prompt.frame);
    if (!prompted.length) {
      this.tell({ op: 'error', rid, code: 'prompt', message: 'Nothing to track: click an object first.' });
      return;
    }
    const start = Math.min(...prompted);
    const forward = Array.from({ length: Math.max(last - start + 1, 0) }, (_, i) => start + i);
    const backward = Array.from({ length: Math.max(start - first, 0) }, (_, i) => start - 1 - i);
    const ways = { forward, backward, both: [...forward, ...backward] };
    const frames = ways[direction].filter((index) => index >= first && index <= last);
    this.past.push(structuredClone(this.state));
    this.future = [];
    this.job = { op: 'progress', done: 0, total: frames.length, frame: start, seconds: 0, eta: null, paused: false };
    this.tellState(rid);
    this.run(frames, ids, performance.now());
  }

  async run(frames, ids, began) {
    if (!this.job) return;
    if (this.job.paused) {
      setTimeout(() => this.run(frames, ids, began), 20);
      return;
    }
    const frame = frames.shift();
    if (frame === undefined) {
      this.end('finished');
      return;
    }
    const isKept = (obj) => this.state.locked.some(([o, f]) => o === obj && f === frame)
      || this.state.prompts.some((prompt) => prompt.obj === obj && prompt.frame === frame);
    for (const obj of ids) if (!isKept(obj)) this.predict(obj, frame);
    if (!this.transport.frameUrl) await this.tellPicture(undefined, frame);
    if (!this.job) return;
    const done = this.job.done + 1;
    const seconds = (performance.now() - began) / 1000;
    this.rev += 1;
    this.tellResults(frame);
    this.job = { ...this.job, done, frame, seconds, eta: (seconds / done) * frames.length };
    this.tell(this.job);
    setTimeout(() => this.run(frames, ids, began), this.step);
  }

  end(status) {
    this.job = null;
    if (status === 'finished') this.state.stale.clear();
    this.tell({ op: 'done', status });
    this.tellState();
  }

  pause(paused, rid) {
    if (this.job) this.job.paused = paused;
    this.tellState(rid);
  }

  cancel(rid) {
    if (this.job) this.end('cancelled');
    this.tellState(rid);
  }

  // Answers

  tellState(rid) {
    const { objects, prompts, locked } = this.state;
    this.tell({
      op: 'state', rid, token: 'fake', clip: this.clip, objects, prompts, locked_frames: locked, job: this.job,
      model: { name: 'pocket', note: 'a small model of our own, quick and rough, not SAM 2.1' },
      outdated: [...this.state.stale].map((obj) => [obj, 0, this.clip.frames - 1]),
      scores: objects.map(({ obj }) => this.scores(obj)),
      can_undo: this.past.length > 0, can_redo: this.future.length > 0,
    });
  }

  scores(obj) {
    const { frames } = this.clip;
    const [iou, score, area] = [0, 1, 2].map(() => new Float32Array(frames).fill(NaN));
    for (const [frame, masks] of this.state.masks) {
      const mask = masks.get(obj);
      if (!mask) continue;
      [iou[frame], score[frame]] = [mask.iou, mask.score];
      area[frame] = areaOfRuns(runsFromMessage(mask)) / (this.clip.width * this.clip.height);
    }
    const pack = (values) => base64FromBytes(new Uint8Array(values.buffer));
    return { obj, first: 0, iou: pack(iou), score: pack(score), area: pack(area) };
  }

  tellResults(frame, rid) {
    const masks = [...(this.state.masks.get(frame) ?? [])].map(([obj, mask]) => ({ obj, ...mask }));
    this.tell({ op: 'results', rid, frame, masks });
  }

  tellMasks({ rid, first, last }) {
    for (let frame = first; frame <= last; frame++) this.tellResults(frame, rid);
  }

  tellCandidates(rid, frame, obj) {
    const { candidate } = this.promptOf(obj, frame);
    this.tell({ op: 'candidates', rid, frame, obj, chosen: candidate, masks: this.candidates(obj, frame) });
  }

  async tellPicture(rid, frame) {
    const image = new Image();
    image.src = `data:image/svg+xml,${encodeURIComponent(this.picture(frame))}`;
    await image.decode();
    const { width, height } = this.clip;
    const canvas = Object.assign(document.createElement('canvas'), { width, height });
    canvas.getContext('2d').drawImage(image, 0, 0);
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, 'image/jpeg'));
    this.tell({ op: 'frame', rid, frame }, [new DataView(await blob.arrayBuffer())]);
  }

  /** A frame as SVG. */
  picture(frame) {
    const { width, height } = this.clip;
    const ball = ({ x, y, rx, ry, fill }) => `
      <ellipse cx="${x * width}" cy="${0.9 * height}" rx="${rx * width}" ry="12" fill="#0003"/>
      <ellipse cx="${x * width}" cy="${y * height}" rx="${rx * width}" ry="${ry * height}" fill="${fill}"/>
      <ellipse cx="${(x - rx / 3) * width}" cy="${(y - ry / 3) * height}"
        rx="${rx * width * 0.25}" ry="${ry * height * 0.2}" fill="#fff8"/>`;
    return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">
      <linearGradient id="sky" x2="0" y2="1">
        <stop stop-color="#a9cbe0"/><stop offset="1" stop-color="#eef1e6"/>
      </linearGradient>
      <rect width="100%" height="100%" fill="url(#sky)"/>
      <path d="M0 470 Q260 330 560 450 T1280 380V720H0z" fill="#8fae8b"/>
      <path d="M0 590 Q420 520 800 600 T1280 570V720H0z" fill="#6f8f63"/>
      ${this.balls(frame).map(ball).join('')}
      <rect x="${PILLAR.x * width}" y="90" width="${PILLAR.width * width}" height="600" fill="#7d6a58"/>
      <rect x="${PILLAR.x * width}" y="90" width="18" height="600" fill="#93806c"/>
    </svg>`;
  }

  /** Runs of a mask as the host has it; for tests. */
  runs(obj, frame) {
    return runsFromMessage(this.state.masks.get(frame).get(obj));
  }
}
