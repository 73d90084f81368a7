/**
 * The canvas of Masklet Studio: one module for the Gradio page and the Jupyter widget, without dependencies.
 *
 * The way of the data, in the order of this file:
 *
 *   host  --message-->  Link  -->  Session  -->  Stage, Timeline and panels, which draw what the Session knows
 *   user  --pointer or key-->  gesture or shortcut  -->  Studio  --message-->  host
 *
 * The host holds the truth; a Session is what this page knows of it. What the user does is drawn at once (a dot, a
 * stroke, a name) and replaced by the host's answer. docs/protocol.md describes the messages.
 *
 * Masks stay run lengths. Only the frame on show is decoded, straight into the tinted pixels that are painted: that
 * takes a millisecond or two at 720p, less than keeping and fetching decoded copies would.
 *
 * Coordinates: fractions of the frame (0..1) in messages and marks, CSS pixels of the stage in gestures and views.
 */

/**
 * @typedef {{x: number, y: number}} Point
 * @typedef {{width: number, height: number}} Size
 * @typedef {{scale: number, x: number, y: number}} View   CSS pixels for each pixel of the frame, and its left top
 * @typedef {{zoom: number, middle: Point}} Sight   what is in the middle of the stage, and how much larger it is than
 *   where the frame fits
 * @typedef {{obj: number, name: string, color: string, hidden: boolean, locked: boolean}} SceneObject
 * @typedef {{iou: Float32Array, score: Float32Array, area: Float32Array}} Track   one value for each frame, NaN where
 *   there is no mask; the area is a fraction of the frame's
 * @typedef {{obj: number, frame: number, worth: number, why: string, first: number, last: number}} Problem   the worst
 *   frame of a doubtful stretch
 * @typedef {{runs: Uint32Array, color: string}} Tint
 * @typedef {{obj: number, frame: number, kind: 'point'|'box', index: number, x?: number, y?: number,
 *            positive?: boolean, box?: number[], pending?: boolean}} Mark   a prompt as it is drawn
 * @typedef {{move(at: Point, event: PointerEvent): void, end?(at: Point): void, cancel?(): void}} Gesture
 * @typedef {{send(message: object): void, onMessage(callback: (message: object, buffers?: DataView[]) => void): any,
 *            frameUrl: ((frame: number) => string) | null, videoUrl: string | null,
 *            isAlive?: () => Promise<boolean>}} Transport   without `isAlive` the host is trusted to be there
 */

// --- Codec -----------------------------------------------------------------------------------------------------------

/** @param {string} text @returns {Uint8Array} */
export function bytesFromBase64(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** @param {Uint8Array} bytes @returns {string} */
export function base64FromBytes(bytes) {
  const chunks = [];
  for (let i = 0; i < bytes.length; i += 0x8000) chunks.push(String.fromCharCode(...bytes.subarray(i, i + 0x8000)));
  return btoa(chunks.join(''));
}

/** Numbers of a base64 text. @param {string} text @returns {Float32Array} */
export function floatsFromBase64(text) {
  return new Float32Array(bytesFromBase64(text).buffer);
}

/** The runs of a mask in a message; a buffer is copied, because a view on it need not be aligned. */
export function runsFromMessage(mask, buffers = []) {
  if (typeof mask.rle === 'string') return new Uint32Array(bytesFromBase64(mask.rle).buffer);
  const view = buffers[mask.rle_buffer];
  return new Uint32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}

/** @param {Uint32Array} runs @returns {string} */
export function base64FromRuns(runs) {
  return base64FromBytes(new Uint8Array(runs.buffer, runs.byteOffset, runs.byteLength));
}

/** Runs of the pixels that are at least half opaque. @param {Uint32Array} pixels RGBA @returns {Uint32Array} */
export function runsFromPixels(pixels) {
  const runs = [];
  let inside = 0;
  let start = 0;
  for (let i = 0; i < pixels.length; i++) {
    const opaque = pixels[i] >>> 31;
    if (opaque === inside) continue;
    runs.push(i - start);
    start = i;
    inside = opaque;
  }
  runs.push(pixels.length - start);
  return Uint32Array.from(runs);
}

/** Whether two masks from `runsFromPixels` are the same. @param {Uint32Array} a @param {Uint32Array} b */
export function sameRuns(a, b) {
  return a.length === b.length && a.every((run, i) => run === b[i]);
}

/** Pixels of foreground. @param {Uint32Array} runs */
export function areaOfRuns(runs) {
  let area = 0;
  for (let i = 1; i < runs.length; i += 2) area += runs[i];
  return area;
}

/** Whether a pixel, counted row by row, is foreground. @param {ArrayLike<number>} runs */
export function covers(runs, pixel) {
  let position = 0;
  for (let i = 0; i < runs.length; i++) {
    position += runs[i];
    if (pixel < position) return i % 2 === 1;
  }
  return false;
}

/** Calls `visit(y, x0, x1)` for every stretch of foreground within a row; x1 is past its end. */
export function forEachSpan(runs, width, visit) {
  let position = 0;
  for (let i = 0; i + 1 < runs.length; i += 2) {
    position += runs[i];
    const end = position + runs[i + 1];
    while (position < end) {
      const y = Math.floor(position / width);
      const stop = Math.min(end, (y + 1) * width);
      visit(y, position - y * width, stop - y * width);
      position = stop;
    }
  }
}

/** The smallest rectangle around masks, in pixels, or null if they are empty. */
export function boundsOfRuns(masks, width) {
  let [left, top, right, bottom] = [Infinity, Infinity, 0, 0];
  for (const runs of masks) {
    forEachSpan(runs, width, (y, x0, x1) => {
      left = Math.min(left, x0);
      right = Math.max(right, x1);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y + 1);
    });
  }
  return right > left ? { x: left, y: top, width: right - left, height: bottom - top } : null;
}

// --- Tinting ---------------------------------------------------------------------------------------------------------

const RGB = 0xffffff; // the colour of a little-endian RGBA pixel, without its opacity

/** `#rrggbb` as a little-endian RGBA pixel. @param {string} color @param {number} alpha 0..255 */
export function pixelOf(color, alpha) {
  const rgb = Number.parseInt(color.slice(1), 16);
  return ((alpha << 24) | ((rgb & 255) << 16) | (rgb & 0xff00) | (rgb >> 16)) >>> 0;
}

/** Fills a mask. @param {Uint32Array} pixels @param {Uint32Array} runs @param {number} pixel */
export function fillRuns(pixels, runs, pixel) {
  let position = 0;
  for (let i = 0; i + 1 < runs.length; i += 2) {
    position += runs[i];
    pixels.fill(pixel, position, position + runs[i + 1]);
    position += runs[i + 1];
  }
}

/** Draws the inner edge of a mask that was filled with the same colour; the picture's border is no edge. */
export function outlineRuns(pixels, runs, pixel, width, thickness) {
  const rgb = pixel & RGB;
  const reach = thickness * width;
  const differs = (i) => i >= 0 && i < pixels.length && (pixels[i] & RGB) !== rgb;
  forEachSpan(runs, width, (y, x0, x1) => {
    for (let x = x0; x < x1; x++) {
      const i = y * width + x;
      if ((pixels[i] & RGB) !== rgb) continue; // another object lies over this one
      const beside = (x >= thickness && differs(i - thickness)) || (x + thickness < width && differs(i + thickness));
      if (beside || differs(i - reach) || differs(i + reach)) pixels[i] = pixel;
    }
  });
}

/**
 * Paints masks with their edges over nothing; later ones lie on top.
 * @param {Uint32Array} pixels @param {number} width @param {Tint[]} tints
 * @param {{opacity: number, thickness: number}} style  opacity of the inside, 0..1
 */
export function tintMasks(pixels, width, tints, { opacity, thickness }) {
  pixels.fill(0);
  for (const { runs, color } of tints) fillRuns(pixels, runs, pixelOf(color, Math.round(255 * opacity)));
  for (const { runs, color } of tints) outlineRuns(pixels, runs, pixelOf(color, 255), width, thickness);
}

/** A canvas of the frame's size that masks are tinted into. */
class MaskLayer {
  /** @param {Size} size */
  constructor({ width, height }) {
    this.canvas = h('canvas', { width, height });
    this.context = this.canvas.getContext('2d');
    this.image = this.context.createImageData(width, height);
    this.pixels = new Uint32Array(this.image.data.buffer);
  }

  /** @param {Tint[]} tints @param {{opacity: number, thickness: number}} style */
  paint(tints, style) {
    tintMasks(this.pixels, this.canvas.width, tints, style);
    this.context.putImageData(this.image, 0, 0);
  }
}

// --- Geometry, colours and words -------------------------------------------------------------------------------------

export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

const MARGIN = 16; // CSS pixels around a frame that fits
const ZOOM = { least: 0.5, most: 32 }; // times the scale at which the frame fits; CSS pixels for one of the frame's

/** The view that shows all of the frame. @param {Size} frame @param {Size} stage @returns {View} */
export function fitView(frame, stage) {
  const room = (extent) => Math.max(extent - 2 * MARGIN, extent / 2, 1);
  const scale = Math.min(room(stage.width) / frame.width, room(stage.height) / frame.height);
  return { scale, x: (stage.width - frame.width * scale) / 2, y: (stage.height - frame.height * scale) / 2 };
}

/** @param {View} view @param {Size} frame @param {Size} stage @returns {Sight} */
export function sightOf(view, frame, stage) {
  const middle = toFrame(view, frame, { x: stage.width / 2, y: stage.height / 2 });
  return { zoom: view.scale / fitView(frame, stage).scale, middle };
}

/** @param {Sight | null} sight @param {Size} frame @param {Size} stage @returns {View} */
export function viewOf(sight, frame, stage) {
  const fitting = fitView(frame, stage);
  if (!sight) return fitting;
  const scale = fitting.scale * sight.zoom;
  const { x, y } = sight.middle;
  return { scale, x: stage.width / 2 - x * frame.width * scale, y: stage.height / 2 - y * frame.height * scale };
}

/** The view with `at` in its place and everything else nearer or farther. @returns {View} */
export function zoomView(view, factor, at, least, most) {
  const scale = clamp(view.scale * factor, least, most);
  const grown = scale / view.scale;
  return { scale, x: at.x - (at.x - view.x) * grown, y: at.y - (at.y - view.y) * grown };
}

/** A point of the stage as fractions of the frame, which it may lie outside of. */
export function toFrame(view, frame, at) {
  return { x: (at.x - view.x) / (view.scale * frame.width), y: (at.y - view.y) / (view.scale * frame.height) };
}

/** Fractions of the frame as a point of the stage. */
export function toStage(view, frame, { x, y }) {
  return { x: view.x + x * frame.width * view.scale, y: view.y + y * frame.height * view.scale };
}

const within = ({ x, y }) => x >= 0 && x <= 1 && y >= 0 && y <= 1;
const distance = (a, b) => Math.hypot(a.x - b.x, a.y - b.y);
const corners = (a, b) => [
  clamp(Math.min(a.x, b.x), 0, 1), clamp(Math.min(a.y, b.y), 0, 1),
  clamp(Math.max(a.x, b.x), 0, 1), clamp(Math.max(a.y, b.y), 0, 1),
];

const IOU_STOPS = [[0.4, 225, 85, 84], [0.65, 224, 164, 58], [0.9, 46, 164, 140]]; // poor, doubtful, good

/** The colour of a predicted IoU, the same in light and dark. @param {number} iou */
export function iouColor(iou) {
  const value = clamp(iou, IOU_STOPS[0][0], IOU_STOPS[2][0]);
  const [low, high] = value < IOU_STOPS[1][0] ? IOU_STOPS : IOU_STOPS.slice(1);
  const part = (value - low[0]) / (high[0] - low[0]);
  return `rgb(${[1, 2, 3].map((i) => Math.round(low[i] + (high[i] - low[i]) * part)).join(' ')})`;
}

/** @param {number} seconds as a person would say it */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** A frame's time in the clip, `m:ss.cc`. */
export function timecode(frame, rate) {
  const seconds = frame / (rate || 1);
  return `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(2).padStart(5, '0')}`;
}

const count = (number, noun) => `${number} ${noun}${number === 1 ? '' : 's'}`;

// --- Memory of the browser -------------------------------------------------------------------------------------------

const KEPT = { view: 'masklet-view:', guided: 'masklet-guided' };

/** What was kept, or null; a browser may keep nothing. @param {'sessionStorage' | 'localStorage'} store */
function recall(store, key) {
  try {
    return JSON.parse(window[store].getItem(key));
  } catch {
    return null;
  }
}

function keep(store, key, value) {
  try {
    window[store].setItem(key, JSON.stringify(value));
  } catch { /* it is a convenience */ }
}

// --- Scores ----------------------------------------------------------------------------------------------------------

const DOUBTFUL = 0.3; // from here on a frame is worth a look: a predicted IoU of 0.7
const PLUNGE = 8; // a fall of the object score's logit, from one frame to the next, that leaves no trust
const STRETCH = 30; // frames that one looks at together
const TINY = 0.001; // of the frame: masks that are smaller change their size for no reason

/** @param {number} frames @returns {Track} */
export function emptyTrack(frames) {
  const empty = () => new Float32Array(frames).fill(NaN);
  return { iou: empty(), score: empty(), area: empty() };
}

/**
 * How much a mask deserves a look, 0..1, and why: the object is lost, or suddenly less sure to be there; its mask
 * changed its size from one frame to the next; its predicted IoU is low. A frame after one that a person spoke about is
 * not compared with it: of that one the model is sure because it was told.
 * @param {Track} track @param {number} frame @param {boolean} afterPrompt @returns {{worth: number, why: string}}
 */
export function doubt({ iou, score, area }, frame, afterPrompt = false) {
  if (Number.isNaN(score[frame])) return { worth: 0, why: '' };
  const before = frame > 0 ? score[frame - 1] : NaN;
  const isComparable = before > 0 && !afterPrompt;
  const plunge = isComparable ? clamp((before - score[frame]) / PLUNGE, 0, 1) : 0;
  if (score[frame] <= 0) return { worth: before > 0 ? Math.max(plunge, 0.5) : 0, why: 'lost from sight' }; // the moment
  const growth = isComparable && Math.max(area[frame], area[frame - 1]) > TINY ? area[frame] / area[frame - 1] : 1;
  const reasons = [
    { worth: 1 - iou[frame], why: `not sure (${iou[frame].toFixed(2)})` },
    { worth: plunge, why: 'suddenly less sure' },
    { worth: clamp(Math.abs(Math.log2(growth)) / 2, 0, 1) || 0, why: `mask jumped to ${inTimes(growth)} its size` },
  ];
  return reasons.reduce((most, reason) => (reason.worth > most.worth ? reason : most));
}

const inTimes = (growth) => (growth > 1 ? `${growth.toFixed(1)} times` : `${Math.round(growth * 100)} % of`);

/**
 * What is worth a look, the worst first. Doubtful frames that follow each other are one problem, but not too many.
 * @param {Map<number, Track>} tracks @param {(obj: number, frame: number) => boolean} isSettled
 * @param {(obj: number, frame: number) => boolean} isPrompted
 * @returns {Problem[]}
 */
export function findProblems(tracks, isSettled, isPrompted = () => false) {
  const problems = [];
  for (const [obj, track] of tracks) {
    let stretch = null;
    for (let frame = 0; frame < track.score.length; frame++) {
      const { worth, why } = doubt(track, frame, isPrompted(obj, frame - 1));
      if (worth <= DOUBTFUL || isSettled(obj, frame)) stretch = null;
      else if (!stretch || frame - stretch.first >= STRETCH) {
        stretch = { obj, frame, worth, why, first: frame, last: frame };
        problems.push(stretch);
      } else {
        Object.assign(stretch, worth > stretch.worth ? { frame, worth, why } : {}, { last: frame });
      }
    }
  }
  return problems.sort((a, b) => b.worth - a.worth || a.frame - b.frame);
}

/**
 * A track squeezed into columns: the lowest predicted IoU of each, and whether the object is hidden in any frame of it.
 * @param {Track} track @param {number} columns @returns {{iou: Float32Array, hidden: Uint8Array}}
 */
export function ribbonColumns(track, columns) {
  const frames = track.score.length;
  const ribbon = { iou: new Float32Array(columns).fill(NaN), hidden: new Uint8Array(columns) };
  for (let frame = 0; frame < frames; frame++) {
    if (Number.isNaN(track.score[frame])) continue;
    const column = Math.floor((frame * columns) / frames);
    if (!(ribbon.iou[column] <= track.iou[frame])) ribbon.iou[column] = track.iou[frame];
    if (track.score[frame] <= 0) ribbon.hidden[column] = 1;
  }
  return ribbon;
}

/** Frames between labels of a ruler: 1, 2 or 5 times a power of ten, at least `room` pixels apart. */
export function tickStep(frames, width, room = 64) {
  const least = (frames * room) / Math.max(width, 1);
  const power = 10 ** Math.max(0, Math.floor(Math.log10(least)));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least) ?? 10 * power;
}

// --- Session: what this page knows -----------------------------------------------------------------------------------

const pair = (obj, frame) => `${obj}:${frame}`;

/**
 * Objects that one state has otherwise than another: what an undo or redo between them was about.
 * @returns {number[]} of those that are there afterwards
 */
export function changedObjects(before, after) {
  const facts = ({ objects, prompts, lockedFrames }, obj) => JSON.stringify([
    objects.find((object) => object.obj === obj), prompts.filter((prompt) => prompt.obj === obj),
    lockedFrames.filter((locked) => locked[0] === obj),
  ]);
  return after.objects.map(({ obj }) => obj).filter((obj) => facts(before, obj) !== facts(after, obj));
}

/** What the host told, and masks by frame as run lengths. It draws nothing and asks for nothing. */
export class Session {
  constructor() {
    this.token = '';
    /** @type {{name: string, width: number, height: number, frames: number, rate: number, still: boolean} | null} */
    this.clip = null;
    this.model = { name: '', note: '' };
    /** @type {SceneObject[]} */
    this.objects = [];
    this.prompts = [];
    this.job = null;
    this.canUndo = false;
    this.canRedo = false;
    this.forget();
  }

  forget() {
    /** @type {Map<number, Track>} */
    this.tracks = new Map();
    /** @type {Map<number, {epoch: number, runs: Map<number, Uint32Array>}>} */
    this.masks = new Map();
    this.candidates = new Map();
    this.lockedFrames = []; // pairs of object and frame
    /** @type {Map<number, Uint8Array>} */
    this.outdated = new Map(); // by frame, whether the mask is older than what was said about the object
    this.asked = new Set(); // frames whose masks are on their way
    this.looked = new Set(); // pairs of object and frame that the user looked at
    this.epoch = 0;
  }

  applyState(message) {
    const another = message.token !== this.token || JSON.stringify(message.clip) !== JSON.stringify(this.clip);
    this.token = message.token;
    this.clip = message.clip;
    if (another) this.forget();
    this.model = message.model ?? this.model;
    this.objects = message.objects;
    this.prompts = message.prompts;
    this.job = message.job;
    this.canUndo = message.can_undo;
    this.canRedo = message.can_redo;
    this.lockedFrames = message.locked_frames;
    this.applyScores(message);
    this.applyOutdated(message);
  }

  applyOutdated({ outdated }) {
    this.outdated = new Map();
    for (const [obj, first, last] of outdated) {
      if (!this.outdated.has(obj)) this.outdated.set(obj, new Uint8Array(this.clip.frames));
      this.outdated.get(obj).fill(1, first, last + 1);
    }
  }

  isOutdated(obj, frame) {
    return Boolean(this.outdated.get(obj)?.[frame]);
  }

  /** How many frames of an object tracking would bring up to date. */
  outdatedFrames(obj) {
    return (this.outdated.get(obj) ?? []).reduce((sum, isOld) => sum + isOld, 0);
  }

  /** Scores of all frames, or of those that changed since a revision. */
  applyScores({ objects, scores, scores_since: since }) {
    const known = Number.isFinite(since) ? this.tracks : new Map();
    const tracks = objects.filter(({ obj }) => known.has(obj)).map(({ obj }) => [obj, known.get(obj)]);
    this.tracks = new Map(tracks);
    for (const { obj, first, ...values } of scores) {
      const track = this.trackOf(obj);
      for (const name of Object.keys(track)) track[name].set(floatsFromBase64(values[name]), first);
    }
  }

  trackOf(obj) {
    if (!this.tracks.has(obj)) this.tracks.set(obj, emptyTrack(this.clip.frames));
    return this.tracks.get(obj);
  }

  applyResults({ frame, masks }, buffers) {
    const runs = new Map(masks.map((mask) => [mask.obj, runsFromMessage(mask, buffers)]));
    for (const [obj, track] of this.tracks) {
      if (!runs.has(obj)) track.iou[frame] = track.score[frame] = track.area[frame] = NaN;
    }
    for (const { obj, iou, score } of masks) {
      const track = this.trackOf(obj);
      track.iou[frame] = iou;
      track.score[frame] = score;
      track.area[frame] = areaOfRuns(runs.get(obj)) / (this.clip.width * this.clip.height);
      if (!this.job) continue;
      this.looked.delete(pair(obj, frame)); // tracked anew
      this.outdated.get(obj)?.fill(0, frame, frame + 1);
    }
    this.masks.set(frame, { epoch: this.epoch, runs });
    this.asked.delete(frame);
  }

  applyCandidates({ frame, obj, masks }, buffers) {
    const read = (mask) => ({ iou: mask.iou, runs: runsFromMessage(mask, buffers) });
    this.candidates.set(pair(obj, frame), masks.map(read));
  }

  /** Every mask may have changed: what is here stays on show until it is replaced. */
  doubtMasks() {
    this.epoch += 1;
    this.asked.clear();
    this.candidates.clear();
    for (const frame of this.masks.keys()) if (!this.hasMasks(frame)) this.masks.delete(frame);
  }

  /** What the user painted or chose, until the host answers. */
  setMask(obj, frame, runs) {
    const entry = this.masks.get(frame) ?? { epoch: this.epoch, runs: new Map() };
    entry.runs.set(obj, runs);
    this.masks.set(frame, entry);
  }

  /** A picture, or a clip that is one: there is no time in it. */
  get isStill() {
    return Boolean(this.clip) && (this.clip.still || this.clip.frames === 1);
  }

  object(obj) {
    return this.objects.find((object) => object.obj === obj) ?? null;
  }

  mask(obj, frame) {
    return this.masks.get(frame)?.runs.get(obj) ?? null;
  }

  prompt(obj, frame) {
    return this.prompts.find((prompt) => prompt.obj === obj && prompt.frame === frame) ?? null;
  }

  isLocked(obj, frame) {
    return this.lockedFrames.some((locked) => locked[0] === obj && locked[1] === frame);
  }

  hasMasks(frame) {
    for (const track of this.tracks.values()) if (!Number.isNaN(track.score[frame])) return true;
    return false;
  }

  /** Frames from `first` to `last` whose masks exist but are not here, as one range to ask for, or null. */
  missingMasks(first, last) {
    const isMissing = (frame) =>
      this.hasMasks(frame) && !this.asked.has(frame) && this.masks.get(frame)?.epoch !== this.epoch;
    const missing = [];
    for (let frame = Math.max(first, 0); frame <= Math.min(last, this.clip.frames - 1); frame++) {
      if (isMissing(frame)) missing.push(frame);
    }
    if (!missing.length) return null;
    for (const frame of missing) this.asked.add(frame);
    return { first: missing[0], last: missing[missing.length - 1] };
  }

  /** One click and nothing else may mean several things. */
  isAmbiguous(obj, frame) {
    const prompt = this.prompt(obj, frame);
    return Boolean(prompt && prompt.points.length === 1 && prompt.points[0][2] && !prompt.box && !prompt.mask);
  }

  /** The candidate in use, 1 to 3: the chosen one, or else the most confident. */
  chosenCandidate(obj, frame) {
    const ious = (this.candidates.get(pair(obj, frame)) ?? []).map((candidate) => candidate.iou);
    return this.prompt(obj, frame)?.candidate || ious.indexOf(Math.max(...ious)) + 1;
  }

  /** Prompts of a frame as they are drawn. @returns {Mark[]} */
  marks(frame) {
    return this.prompts.filter((prompt) => prompt.frame === frame).flatMap(({ obj, points, box }) => [
      ...(box ? [{ obj, frame, kind: 'box', index: 0, box }] : []),
      ...points.map(([x, y, positive], index) => ({ obj, frame, kind: 'point', index, x, y, positive })),
    ]);
  }

  /** What nobody looked at, said anything about or locked, the worst first. */
  problems() {
    const prompted = new Set(this.prompts.map(({ obj, frame }) => pair(obj, frame)));
    const isPrompted = (obj, frame) => prompted.has(pair(obj, frame));
    return findProblems(this.tracks, (obj, frame) =>
      Boolean(this.looked.has(pair(obj, frame)) || this.object(obj)?.hidden || this.isLocked(obj, frame)
        || isPrompted(obj, frame)), isPrompted);
  }

  /** The user saw the masks of these frames. */
  look(obj, first, last) {
    for (let frame = first; frame <= last; frame++) this.looked.add(pair(obj, frame));
  }
}

// --- Link: messages --------------------------------------------------------------------------------------------------

/** Runs `job` for the newest argument: while one runs, newer arguments replace the one that waits. */
export function latestWins(job) {
  let waiting = null;
  let running = false;
  return async (argument) => {
    waiting = { argument };
    if (running) return;
    running = true;
    while (waiting) {
      const next = waiting.argument;
      waiting = null;
      await job(next);
    }
    running = false;
  };
}

const ANSWERS = { hover: 'hover', masks: 'results', candidates: 'candidates', frame: 'frame' }; // of all else: state

/** Numbers the questions, hands answers to those who asked, and notices when news went missing. */
export class Link {
  /** @param {Transport} transport @param {(message: object, buffers: DataView[], asked: string?) => void} onMessage */
  constructor(transport, onMessage) {
    this.transport = transport;
    this.onMessage = onMessage;
    this.rid = Math.floor(Math.random() * 2 ** 40); // two views of one widget hear each other's answers
    this.rev = null;
    this.questions = new Map();
    this.heard = performance.now(); // when there was no reason to worry
    this.unsubscribe = transport.onMessage((message, buffers) => this.receive(message, buffers ?? []));
  }

  /** Sends a message. @returns {Promise<object?>} its last answer or error, or null after `patience` milliseconds */
  ask(op, fields = {}, patience = 0) {
    const rid = this.rid++;
    if (!this.questions.size) this.heard = performance.now();
    const answer = new Promise((resolve) => {
      this.questions.set(rid, { op, resolve });
      if (patience) setTimeout(() => this.settle(rid, null), patience);
    });
    this.transport.send({ v: 1, rid, op, rev: this.rev, ...fields });
    return answer;
  }

  /** Milliseconds for which the host has said nothing. */
  get silence() {
    return performance.now() - this.heard;
  }

  /** Nobody will answer any more what was asked until now. */
  giveUp() {
    for (const rid of [...this.questions.keys()]) this.settle(rid, null);
  }

  settle(rid, answer) {
    this.questions.get(rid)?.resolve(answer);
    this.questions.delete(rid);
  }

  receive(message, buffers) {
    const question = this.questions.get(message.rid);
    this.heard = performance.now();
    const isNext = this.rev === null || message.rev === this.rev || message.rev === this.rev + 1;
    const lacksScores = (message.scores_since ?? -1) > (this.rev ?? -1); // another view asked, which knew more
    const missed = lacksScores || (message.op !== 'state' && !question && !isNext && Number.isFinite(message.rev));
    if (message.op === 'state' || message.rev > (this.rev ?? -1)) this.rev = message.rev ?? 0;
    if (message.op === 'error' && message.rid != null && !question) return; // another view asked
    this.onMessage(message, buffers, question?.op ?? null);
    const isLast = message.op === 'error' || message.op === (ANSWERS[question?.op] ?? 'state');
    if (question && isLast) this.settle(message.rid, { ...message, buffers });
    if (missed) this.sync();
  }

  /** Asks for everything, once at a time. */
  sync() {
    this.syncing ??= this.ask('sync', { rev: null }).then(() => (this.syncing = null));
  }

  close() {
    if (typeof this.unsubscribe === 'function') this.unsubscribe();
  }
}

// --- Pictures of frames ----------------------------------------------------------------------------------------------

const PICTURES_KEPT = 48;

const pictureOf = (jpeg) => createImageBitmap(new Blob([jpeg], { type: 'image/jpeg' }));

/** Frames as images: from URLs, or asked for one by one. The last few are kept. */
class Pictures {
  /** @param {Transport} transport @param {Link} link */
  constructor(transport, link) {
    this.transport = transport;
    this.link = link;
    this.forget();
  }

  forget() {
    /** @type {Map<number, Promise<CanvasImageSource>>} */
    this.loading = new Map();
    /** @type {Map<number, CanvasImageSource>} */
    this.ready = new Map();
  }

  /** @param {number} frame @returns {Promise<CanvasImageSource>} */
  load(frame) {
    if (this.ready.has(frame)) return Promise.resolve(this.ready.get(frame));
    if (!this.loading.has(frame)) {
      this.expect(frame, this.transport.frameUrl ? this.download(frame) : this.request(frame));
    }
    return this.loading.get(frame);
  }

  /** A picture that came without being asked for, or before the answer: a busy kernel answers late. */
  accept(frame, jpeg) {
    if (!this.ready.has(frame)) this.expect(frame, pictureOf(jpeg));
  }

  /** @param {number} frame @param {Promise<CanvasImageSource>} coming */
  expect(frame, coming) {
    this.loading.set(frame, this.keep(frame, coming, this.ready));
  }

  async keep(frame, coming, shelf) {
    try {
      const picture = await coming;
      shelf.set(frame, picture);
      if (shelf.size > PICTURES_KEPT) shelf.delete(shelf.keys().next().value);
      return picture;
    } finally {
      this.loading.delete(frame);
    }
  }

  async download(frame) {
    const image = new Image();
    image.src = this.transport.frameUrl(frame);
    await image.decode();
    return image;
  }

  async request(frame) {
    const answer = await this.link.ask('frame', { frame }, 30_000);
    if (!answer?.buffers?.length) throw new Error('no picture came', { cause: answer?.op });
    return pictureOf(answer.buffers[0]);
  }

  /** Loads frames ahead of their use; a failure shows when they are used. */
  prefetch(frames) {
    for (const frame of frames) this.load(frame).catch(() => {});
  }
}

// --- Stage: painting -------------------------------------------------------------------------------------------------

const DOT = 7; // radius of a click's dot
const BADGE = 8; // radius of the cross that deletes a prompt
const REACH = { dot: 11, line: 5 }; // how near the pointer must be
const PREVIEW_OPACITY = 0.45;

/** Where the cross of a prompt is, in pixels of the stage. */
function badgeOf(mark, place) {
  if (mark.kind === 'box') return place({ x: mark.box[2], y: mark.box[1] });
  const { x, y } = place(mark);
  return { x: x + DOT + 6, y: y - DOT - 6 };
}

/** Whether the pointer is on a prompt: on its dot, or on the line of its box. */
function touches(mark, at, place) {
  if (mark.kind === 'point') return distance(place(mark), at) <= REACH.dot;
  const [a, b] = [place({ x: mark.box[0], y: mark.box[1] }), place({ x: mark.box[2], y: mark.box[3] })];
  const outside = Math.max(a.x - at.x, at.x - b.x, a.y - at.y, at.y - b.y);
  const inside = Math.min(at.x - a.x, b.x - at.x, at.y - a.y, b.y - at.y);
  return outside <= REACH.line && inside <= REACH.line;
}

/** Whether two marks stand for the same prompt. */
const sameMark = (a, b) =>
  Boolean(a && b) && a.obj === b.obj && a.frame === b.frame && a.kind === b.kind && a.index === b.index;

/**
 * The picture with masks on one canvas; prompts, preview, stroke and brush on another above it, so that moving the
 * pointer never repaints the picture.
 */
class Stage {
  /** @param {Studio} studio */
  constructor(studio) {
    this.studio = studio;
    this.back = h('canvas', { class: 'layer' });
    this.front = h('canvas', { class: 'layer' });
    this.element = h('div', { class: 'stage' }, this.back, this.front);
    this.picture = null;
    this.size = { width: 1, height: 1 };
    this.view = { scale: 1, x: 0, y: 0 };
    /** @type {Sight | null} */
    this.sight = null;
    /** @type {Tint | null} */
    this.preview = null; // what a click would give, or the candidate under the pointer
    this.pointer = null; // where the mouse is
    this.cursor = null; // where the keys' cursor is, in fractions of the frame
    this.band = null; // a box that is being drawn
    this.stroke = null; // the object being painted: {obj, frame, color, runs}, with the runs that were there before
    this.hovered = null; // marks that show their cross
    this.selected = null;
    this.clicked = null; // where and when the last click was
    this.place = (point) => toStage(this.view, this.frame, point);
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.element);
  }

  get frame() {
    return this.studio.session.clip ?? { width: 16, height: 9 };
  }

  /** New canvases for another clip. */
  reset() {
    this.picture = null;
    this.overlay = new MaskLayer(this.frame);
    this.scratch = new MaskLayer(this.frame); // preview, or thumbnails
    this.paper = null;
    this.fit();
  }

  resize() {
    const ratio = window.devicePixelRatio || 1;
    this.size = { width: this.element.clientWidth, height: this.element.clientHeight };
    for (const canvas of [this.back, this.front]) {
      canvas.width = Math.round(this.size.width * ratio);
      canvas.height = Math.round(this.size.height * ratio);
      canvas.getContext('2d').setTransform(ratio, 0, 0, ratio, 0, 0);
    }
    this.show(this.sight);
  }

  fit() {
    this.show(null);
  }

  /** @param {Sight | null} sight */
  show(sight) {
    this.sight = sight;
    this.view = viewOf(sight, this.frame, this.size);
    this.studio.refresh('masks', 'marks', 'panels');
  }

  /** @param {number} factor @param {Point} at in pixels of the stage; its middle if not given */
  zoom(factor, at = { x: this.size.width / 2, y: this.size.height / 2 }) {
    const least = Math.min(fitView(this.frame, this.size).scale * ZOOM.least, 1);
    this.moveTo(zoomView(this.view, factor, at, least, ZOOM.most));
  }

  pan(dx, dy) {
    this.moveTo({ ...this.view, x: this.view.x + dx, y: this.view.y + dy });
  }

  /** Shows a part of the frame, of which some always stays in sight. */
  moveTo(view) {
    const keep = 48;
    const [width, height] = [this.frame.width * view.scale, this.frame.height * view.scale];
    this.show(sightOf({
      scale: view.scale,
      x: clamp(view.x, keep - width, this.size.width - keep),
      y: clamp(view.y, keep - height, this.size.height - keep),
    }, this.frame, this.size));
  }

  /** A pointer's place in pixels of the stage. */
  at(event) {
    const bounds = this.element.getBoundingClientRect();
    return { x: event.clientX - bounds.left, y: event.clientY - bounds.top };
  }

  toFrame(at) {
    return toFrame(this.view, this.frame, at);
  }

  /** Whether a click is the second one of a double click, which means no more than the first. @param {Point} at */
  isSecondClick(at) {
    const last = this.clicked;
    this.clicked = { at, time: performance.now() };
    return last !== null && this.clicked.time - last.time < DOUBLE_CLICK && distance(last.at, at) < DRAG;
  }

  draw(context, image) {
    const { x, y, scale } = this.view;
    context.drawImage(image, x, y, this.frame.width * scale, this.frame.height * scale);
  }

  /** Decodes and tints the masks of the frame on show. */
  tint() {
    const { session, shown, look } = this.studio;
    const tints = this.studio.selectedLast(session.objects)
      .filter(({ obj }) => this.studio.isVisible(obj) && this.stroke?.obj !== obj && session.mask(obj, shown))
      .map(({ obj, color }) => ({ color, runs: session.mask(obj, shown) }));
    this.overlay.paint(tints, this.style(look.outline ? 0 : look.opacity));
  }

  /** Edges are about two pixels wide on the screen, whatever the zoom. */
  style(opacity) {
    return { opacity, thickness: Math.max(1, Math.round(1.75 / this.view.scale)) };
  }

  paintBack() {
    const context = this.back.getContext('2d');
    context.clearRect(0, 0, this.size.width, this.size.height);
    if (!this.picture) return;
    this.tint();
    context.imageSmoothingEnabled = this.view.scale < 3;
    this.draw(context, this.picture);
    this.draw(context, this.overlay.canvas);
  }

  /** Shows a mask that is not the object's own yet. @param {Tint | null} tint */
  setPreview(tint) {
    if (!tint && !this.preview) return;
    this.preview = tint;
    if (tint) this.scratch.paint([tint], this.style(PREVIEW_OPACITY));
    this.studio.refresh('marks');
  }

  paintFront() {
    const context = this.front.getContext('2d');
    context.clearRect(0, 0, this.size.width, this.size.height);
    if (!this.picture) return;
    context.imageSmoothingEnabled = this.view.scale < 3;
    if (this.preview) this.draw(context, this.scratch.canvas);
    if (this.stroke) this.paintStroke(context);
    for (const mark of this.studio.visibleMarks()) this.paintMark(context, mark);
    if (this.band) this.paintBox(context, this.band, this.studio.activeColor, true);
    this.paintBrush(context);
    if (this.cursor) this.paintCursor(context);
  }

  /** A cross with an open middle. */
  paintCursor(context) {
    const { x, y } = this.place(this.cursor);
    for (const [style, width] of [['rgb(0 0 0 / .7)', 5], ['#ffffff', 2]]) {
      context.strokeStyle = style;
      context.lineWidth = width;
      context.lineCap = 'round';
      context.beginPath();
      for (const side of [-1, 1]) {
        context.moveTo(x + side * 5, y);
        context.lineTo(x + side * 15, y);
        context.moveTo(x, y + side * 5);
        context.lineTo(x, y + side * 15);
      }
      context.stroke();
    }
  }

  paintMark(context, mark) {
    const color = this.studio.session.object(mark.obj)?.color ?? this.studio.activeColor;
    const isActive = sameMark(mark, this.hovered) || sameMark(mark, this.selected);
    context.globalAlpha = mark.pending ? 0.7 : 1;
    if (mark.kind === 'box') this.paintBox(context, mark.box, color, false);
    else this.paintPoint(context, mark, color);
    if (isActive && !mark.pending) this.paintBadge(context, mark);
    context.globalAlpha = 1;
  }

  paintBox(context, [x0, y0, x1, y1], color, dashed) {
    const [a, b] = [this.place({ x: x0, y: y0 }), this.place({ x: x1, y: y1 })];
    for (const [style, width] of [['rgb(0 0 0 / .55)', 4], [color, 2]]) {
      context.setLineDash(dashed && width === 2 ? [6, 4] : []);
      context.strokeStyle = style;
      context.lineWidth = width;
      context.strokeRect(a.x, a.y, b.x - a.x, b.y - a.y);
    }
    context.setLineDash([]);
  }

  /** Positive: filled, with a plus. Negative: hollow, with a minus. */
  paintPoint(context, mark, color) {
    const { x, y } = this.place(mark);
    disc(context, x, y, DOT + 2.5, 'rgb(0 0 0 / .45)');
    disc(context, x, y, DOT + 1.5, mark.positive ? '#ffffff' : color);
    disc(context, x, y, DOT - 0.5, mark.positive ? color : '#ffffff');
    context.strokeStyle = mark.positive ? '#ffffff' : '#1b1e25';
    context.lineWidth = 2;
    context.beginPath();
    context.moveTo(x - 3.5, y);
    context.lineTo(x + 3.5, y);
    if (mark.positive) {
      context.moveTo(x, y - 3.5);
      context.lineTo(x, y + 3.5);
    }
    context.stroke();
  }

  paintBadge(context, mark) {
    const { x, y } = badgeOf(mark, this.place);
    disc(context, x, y, BADGE + 1, '#ffffff');
    disc(context, x, y, BADGE, '#1b1e25');
    context.strokeStyle = '#ffffff';
    context.lineWidth = 1.75;
    context.beginPath();
    for (const side of [-1, 1]) {
      context.moveTo(x - 3, y - 3 * side);
      context.lineTo(x + 3, y + 3 * side);
    }
    context.stroke();
  }

  paintBrush(context) {
    if (!this.pointer || !this.studio.isPainting) return;
    const radius = this.studio.brushRadius * this.view.scale;
    ring(context, this.pointer, radius + 1, 'rgb(0 0 0 / .6)');
    ring(context, this.pointer, radius, this.studio.tool === 'eraser' ? '#ffffff' : this.studio.activeColor);
  }

  /** The mark under the pointer, and whether the pointer is on its cross. */
  markAt(at) {
    const marks = this.studio.visibleMarks().filter((mark) => !mark.pending).reverse();
    const isActive = (mark) => sameMark(mark, this.hovered) || sameMark(mark, this.selected);
    const onBadge = marks.find((mark) => isActive(mark) && distance(badgeOf(mark, this.place), at) <= BADGE + 2);
    return { mark: onBadge ?? marks.find((mark) => touches(mark, at, this.place)) ?? null, onBadge: Boolean(onBadge) };
  }

  // A stroke: the object's mask lies opaque on `paper`, where painting adds to it and erasing takes away.

  beginStroke(obj, frame, color) {
    const { session } = this.studio;
    this.paper ??= h('canvas', { width: this.frame.width, height: this.frame.height }).getContext('2d', {
      willReadFrequently: true,
    });
    const image = this.paper.createImageData(this.frame.width, this.frame.height);
    const pixels = new Uint32Array(image.data.buffer);
    fillRuns(pixels, session.mask(obj, frame) ?? [], pixelOf(color, 255));
    this.paper.putImageData(image, 0, 0);
    this.stroke = { obj, frame, color, runs: runsFromPixels(pixels) };
    this.studio.refresh('masks', 'marks');
  }

  /** Paints from one place to the next, both in fractions of the frame. */
  extendStroke(from, to, radius, erase) {
    const { width, height } = this.frame;
    this.paper.globalCompositeOperation = erase ? 'destination-out' : 'source-over';
    this.paper.strokeStyle = this.stroke.color;
    this.paper.lineWidth = radius * 2;
    this.paper.lineCap = 'round';
    this.paper.beginPath();
    this.paper.moveTo(from.x * width, from.y * height);
    this.paper.lineTo(to.x * width + 0.01, to.y * height); // a line without length would leave no dot
    this.paper.stroke();
    this.studio.refresh('marks');
  }

  /** @returns {Uint32Array} runs of all that is painted now */
  endStroke() {
    const { width, height } = this.frame;
    const image = this.paper.getImageData(0, 0, width, height);
    this.cancelStroke();
    return runsFromPixels(new Uint32Array(image.data.buffer));
  }

  cancelStroke() {
    this.stroke = null;
    this.studio.refresh('masks', 'marks');
  }

  paintStroke(context) {
    context.globalAlpha = Math.max(this.studio.look.opacity, 0.35);
    this.draw(context, this.paper.canvas);
    context.globalAlpha = 1;
  }

  /** A part of the frame with one mask, for a thumbnail. */
  paintThumbnail(canvas, tint, part) {
    const context = canvas.getContext('2d');
    const crop = (image, scale) => {
      const source = [part.x, part.y, part.width, part.height].map((value) => value * scale);
      context.drawImage(image, ...source, 0, 0, canvas.width, canvas.height);
    };
    const { picture } = this;
    const pixels = picture.videoWidth || picture.naturalWidth || picture.width;
    crop(picture, pixels / this.frame.width); // a host may send pictures smaller than the clip
    this.scratch.paint([tint], { opacity: 0.6, thickness: Math.max(1, Math.round((1.5 * part.width) / canvas.width)) });
    crop(this.scratch.canvas, 1);
    if (this.preview) this.scratch.paint([this.preview], this.style(PREVIEW_OPACITY));
  }
}

function disc(context, x, y, radius, color) {
  context.fillStyle = color;
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

function ring(context, { x, y }, radius, color) {
  context.strokeStyle = color;
  context.lineWidth = 1.5;
  context.beginPath();
  context.arc(x, y, Math.max(radius, 1), 0, 2 * Math.PI);
  context.stroke();
}

// --- Tools: gestures of the pointer ----------------------------------------------------------------------------------

const DRAG = 6; // CSS pixels from which on a press draws a box
const DOUBLE_CLICK = 300; // milliseconds in which two clicks are one

/** Moves the view along. @returns {Gesture} */
function panGesture(stage, start) {
  let last = start;
  return {
    move(at) {
      stage.pan(at.x - last.x, at.y - last.y);
      last = at;
    },
  };
}

/** A click, or a box if the pointer goes far. @returns {Gesture} */
function pressGesture(studio, start, { button, shiftKey }) {
  const { stage, shown } = studio;
  const from = stage.toFrame(start);
  const isNegative = button === 2 || shiftKey || !studio.positive;
  const box = (at) => corners(from, stage.toFrame(at));
  return {
    move(at) {
      if (button !== 0 || (!stage.band && distance(start, at) < DRAG)) return;
      stage.band = box(at);
      studio.refresh('marks');
    },
    end(at) {
      const [x0, y0, x1, y1] = box(at);
      if (!stage.band) {
        if (within(from) && !stage.isSecondClick(start)) studio.click(shown, from, !isNegative);
      } else if (x1 > x0 && y1 > y0) {
        studio.drawBox(shown, [x0, y0, x1, y1]);
      }
      this.cancel();
    },
    cancel() {
      stage.band = null;
      studio.refresh('marks');
    },
  };
}

/** Paints or erases; all of it is sent at the end, if it changed anything. @returns {Gesture} */
function strokeGesture(studio, start, { button, shiftKey }) {
  const { stage } = studio;
  const erase = studio.tool === 'eraser' || button === 2 || shiftKey;
  let last = stage.toFrame(start);
  const extend = (at) => {
    const next = stage.toFrame(at);
    stage.extendStroke(last, next, studio.brushRadius, erase);
    last = next;
  };
  stage.beginStroke(studio.target, studio.shown, studio.activeColor);
  extend(start);
  return {
    move(at, event) {
      const steps = event.getCoalescedEvents?.() ?? [];
      for (const step of steps.length ? steps : [event]) extend(stage.at(step));
    },
    end() {
      const { obj, frame, runs } = stage.stroke;
      const painted = stage.endStroke();
      if (!sameRuns(painted, runs)) studio.paintMask(obj, frame, painted); // else what was said stays as it is
    },
    cancel() {
      stage.cancelStroke();
    },
  };
}

/** Two fingers: zoom and pan. @returns {Gesture} */
function pinchGesture(stage, fingers) {
  const read = () => {
    const [a, b] = [...fingers.values()];
    return { middle: { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 }, apart: Math.max(distance(a, b), 1) };
  };
  let last = read();
  return {
    move() {
      if (fingers.size < 2) return;
      const next = read();
      stage.pan(next.middle.x - last.middle.x, next.middle.y - last.middle.y);
      stage.zoom(next.apart / last.apart, next.middle);
      last = next;
    },
  };
}

/** Turns pointer events on the stage into gestures. */
class Tools {
  /** @param {Studio} studio */
  constructor(studio) {
    this.studio = studio;
    this.stage = studio.stage;
    /** @type {Gesture | null} */
    this.gesture = null;
    this.fingers = new Map();
    this.handPressed = false; // space is down
    this.handUsed = false;
    this.hover = latestWins((question) => this.askHover(question));
    this.listen(this.stage.element);
  }

  listen(element) {
    const on = (name, handle, options) => element.addEventListener(name, (event) => handle.call(this, event), options);
    on('pointerdown', this.down);
    on('pointermove', this.move);
    on('pointerup', this.up);
    on('pointercancel', this.cancel);
    on('pointerleave', this.leave);
    on('mousedown', (event) => event.button === 1 && event.preventDefault()); // it pans the view; nothing else scrolls
    on('wheel', this.wheel, { passive: false });
    on('contextmenu', (event) => {
      event.preventDefault();
      event.stopPropagation();
    });
  }

  down(event) {
    if (!this.studio.session.clip || event.target.closest('.message')) return;
    const at = this.stage.at(event);
    this.stage.element.setPointerCapture(event.pointerId);
    this.stage.cursor = null;
    if (event.pointerType === 'touch') this.fingers.set(event.pointerId, at);
    this.stage.setPreview(null);
    if (this.fingers.size === 2) {
      this.gesture?.cancel?.();
      this.gesture = pinchGesture(this.stage, this.fingers);
    } else if (!this.gesture) {
      this.gesture = this.begin(at, event);
    }
  }

  /** @returns {Gesture | null} */
  begin(at, event) {
    if (event.button === 1 || this.handPressed) {
      this.handUsed = true;
      return panGesture(this.stage, at);
    }
    if (event.button > 2 || !this.studio.mayChange()) return null;
    this.studio.player.pause();
    this.studio.messages.hideNews();
    if (this.studio.isPainting) return strokeGesture(this.studio, at, event);
    const { mark, onBadge } = this.stage.markAt(at);
    this.studio.selectMark(mark);
    if (onBadge) this.studio.removePrompt(mark);
    return mark ? null : pressGesture(this.studio, at, event);
  }

  move(event) {
    const at = this.stage.at(event);
    if (this.fingers.has(event.pointerId)) this.fingers.set(event.pointerId, at);
    if (event.pointerType !== 'touch') this.stage.pointer = at;
    if (this.gesture) this.gesture.move(at, event);
    else if (event.pointerType !== 'touch') this.point(at, event);
    if (this.studio.isPainting) this.studio.refresh('marks');
  }

  up(event) {
    this.fingers.delete(event.pointerId);
    const { gesture } = this;
    this.gesture = null;
    gesture?.end?.(this.stage.at(event));
  }

  cancel(event) {
    if (event) this.fingers.delete(event.pointerId);
    this.gesture?.cancel?.();
    this.gesture = null;
  }

  leave() {
    this.stage.pointer = null;
    this.stage.hovered = null;
    this.stage.setPreview(null);
    this.studio.refresh('marks');
  }

  /** The wheel zooms once the canvas is in use; before, it scrolls the page past it. */
  wheel(event) {
    if (!this.studio.hasFocus && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode === 1 ? 16 : 1);
    this.stage.zoom(Math.exp(-pixels * (event.ctrlKey ? 0.01 : 0.002)), this.stage.at(event));
  }

  /** The mouse moves without a button: show a prompt's cross, or what a click would give. */
  point(at, event) {
    const mark = this.studio.isPainting ? null : this.stage.markAt(at).mark;
    if (!sameMark(mark, this.stage.hovered)) this.studio.refresh('marks');
    this.stage.hovered = mark;
    this.stage.element.classList.toggle('on-mark', Boolean(mark));
    const place = this.stage.toFrame(at);
    if (mark || !within(place) || !this.studio.mayPreview()) return this.stage.setPreview(null);
    return this.hover({ ...place, positive: this.studio.positive && !event.shiftKey });
  }

  async askHover({ x, y, positive }) {
    const { studio, stage } = this;
    const [obj, frame] = [studio.selected, studio.shown];
    const answer = await studio.link.ask('hover', { frame, obj, x, y, positive }, 3000);
    const isStill = (stage.pointer || stage.cursor) && !this.gesture && !stage.hovered && studio.mayPreview();
    if (answer?.op !== 'hover' || !isStill || frame !== studio.shown || obj !== studio.selected) return;
    stage.setPreview({ runs: runsFromMessage(answer, answer.buffers), color: studio.activeColor });
  }

  /** Space: held it is a hand, tapped it plays. */
  holdHand(isDown) {
    if (isDown) {
      if (!this.handPressed) this.handUsed = false;
    } else if (this.handPressed && !this.handUsed) {
      this.studio.player.toggle();
    }
    this.handPressed = isDown;
    this.stage.element.classList.toggle('hand', isDown);
  }
}

// --- Player ----------------------------------------------------------------------------------------------------------

const AHEAD = { pictures: 8, masks: 96 }; // frames to fetch before they are shown

/** Plays the clip with its masks at its own rate: a hidden video if there is one, else frame by frame. */
class Player {
  /** @param {Studio} studio @param {Transport} transport */
  constructor(studio, transport) {
    this.studio = studio;
    this.transport = transport;
    this.isPlaying = false;
    this.handle = 0;
    this.video = null;
  }

  /** Gets ready for another clip. */
  open() {
    this.close();
    const { videoUrl } = this.transport;
    if (!videoUrl || !('requestVideoFrameCallback' in HTMLVideoElement.prototype)) return;
    this.video = h('video', {
      class: 'offscreen', src: videoUrl, preload: 'auto', playsinline: true, muted: true, 'aria-hidden': 'true',
      onended: () => this.finish(), onerror: () => this.dropVideo(),
    });
    this.video.muted = true; // the attribute alone is the default for a reload
    this.studio.element.append(this.video);
  }

  /** The browser cannot play it: go on with frames. */
  dropVideo() {
    const resume = this.isPlaying;
    this.close();
    if (resume) this.play();
  }

  close() {
    this.pause();
    this.video?.removeAttribute('src');
    this.video?.remove();
    this.video = null;
  }

  toggle() {
    if (this.isPlaying) this.pause();
    else this.play();
  }

  play() {
    const { session, range } = this.studio;
    if (!session.clip || session.isStill || this.isPlaying) return;
    this.last = range.last ?? session.clip.frames - 1;
    const first = range.first ?? 0;
    const at = this.studio.wanted;
    this.start = at < first || at >= this.last ? first : at;
    this.isPlaying = true;
    this.studio.stage.setPreview(null);
    if (this.video?.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA) this.playVideo();
    else this.playFrames(); // also while the host still makes the video
    this.studio.refresh('panels');
  }

  async playVideo() {
    const { rate } = this.studio.session.clip;
    const follow = (now, { mediaTime }) => {
      if (!this.isPlaying) return;
      const frame = Math.round(mediaTime * rate);
      if (frame > this.last) return this.finish();
      this.studio.present(frame, this.video);
      this.handle = this.video.requestVideoFrameCallback(follow);
    };
    this.video.currentTime = (this.start + 0.01) / rate;
    this.handle = this.video.requestVideoFrameCallback(follow);
    await this.video.play().catch((error) => {
      if (error.name !== 'AbortError') this.dropVideo(); // a pause in between is no failure
    });
  }

  playFrames() {
    const { pictures, session } = this.studio;
    let began = null;
    let shown = this.start - 1;
    const tick = (now) => {
      if (!this.isPlaying) return;
      began ??= now;
      const frame = this.start + Math.floor(((now - began) * session.clip.rate) / 1000);
      if (frame > this.last) return this.finish();
      let ready = frame;
      while (ready > shown && !pictures.ready.has(ready)) ready -= 1; // a slow host's frames come late, not never
      if (ready > shown) this.studio.present((shown = ready), pictures.ready.get(ready));
      const free = Math.max(AHEAD.pictures - pictures.loading.size, 0);
      const next = Array.from({ length: free }, (_, i) => frame + 1 + i);
      pictures.prefetch(next.filter((index) => index <= this.last));
      this.handle = requestAnimationFrame(tick);
    };
    this.handle = requestAnimationFrame(tick);
  }

  pause() {
    if (!this.isPlaying) return;
    this.isPlaying = false;
    if (this.video) {
      this.video.pause();
      this.video.cancelVideoFrameCallback?.(this.handle);
    }
    cancelAnimationFrame(this.handle);
    this.studio.goTo(this.studio.shown); // the exact picture instead of the video's
  }

  /** The end was reached, whichever frame was shown last. */
  finish() {
    this.pause();
    this.studio.goTo(this.last);
  }
}

// --- Timeline --------------------------------------------------------------------------------------------------------

const LANE = 22; // CSS pixels; mask_canvas.css gives the names of the lanes the same height
const RIBBON = { height: 14, least: 3 };
const RULER = 20;
const HANDLE = 6; // how near the pointer must be to an end of the range

/** A ruler, a lane for each object with its score ribbon and prompts, and the playhead. Drawn from typed arrays. */
class Timeline {
  /** @param {Studio} studio */
  constructor(studio) {
    this.studio = studio;
    this.ruler = h('canvas', { class: 'ruler', height: RULER });
    this.lanes = h('canvas', { class: 'ribbons' });
    this.labels = h('div', { class: 'labels', 'aria-hidden': 'true' });
    this.scroller = h('div', { class: 'lanes' }, this.labels, this.lanes);
    this.before = h('div', { class: 'outside' });
    this.after = h('div', { class: 'outside' });
    this.playhead = h('div', { class: 'playhead' });
    this.tip = h('div', { class: 'tip', role: 'tooltip', hidden: true });
    this.element = h('div', {
      class: 'timeline', role: 'slider', tabindex: 0, 'aria-label': 'Timeline', 'aria-valuemin': 0,
    },
    h('div', { class: 'ruler-row' }, h('span', { class: 'corner' }, 'Frame'), this.ruler), this.scroller,
    h('div', { class: 'over' }, this.before, this.after, this.playhead), this.tip);
    this.drag = null; // 'first', 'last' or 'frame'
    this.listen();
    this.observer = new ResizeObserver(() => studio.refresh('ribbon'));
    this.observer.observe(this.element);
  }

  listen() {
    this.element.addEventListener('pointerdown', (event) => this.down(event));
    this.element.addEventListener('pointermove', (event) => this.move(event));
    this.element.addEventListener('pointerup', () => (this.drag = null));
    this.element.addEventListener('pointercancel', () => (this.drag = null));
    this.element.addEventListener('pointerleave', () => (this.tip.hidden = true));
  }

  get frames() {
    return this.studio.session.clip.frames;
  }

  get width() {
    return this.ruler.clientWidth;
  }

  /** The frame under a pointer. */
  frameAt(event) {
    const bounds = this.ruler.getBoundingClientRect();
    return clamp(Math.floor(((event.clientX - bounds.left) / bounds.width) * this.frames), 0, this.frames - 1);
  }

  objectAt(event) {
    const lane = Math.floor((event.clientY - this.lanes.getBoundingClientRect().top) / LANE);
    return event.clientY < this.scroller.getBoundingClientRect().top ? null : this.studio.session.objects[lane] ?? null;
  }

  down(event) {
    if (event.button !== 0) return;
    const object = this.objectAt(event);
    if (object) this.studio.select(object.obj);
    if (event.clientX < this.ruler.getBoundingClientRect().left) return;
    this.element.setPointerCapture(event.pointerId);
    this.drag = (!object && this.handleAt(event)) || 'frame';
    this.move(event);
  }

  /** The end of the range near the pointer. @returns {'first' | 'last' | null} */
  handleAt(event) {
    const { first, last } = this.studio.range;
    const x = event.clientX - this.ruler.getBoundingClientRect().left;
    const isNear = (edge) => Math.abs((edge / this.frames) * this.width - x) <= HANDLE;
    if (first !== null && isNear(first)) return 'first';
    return last !== null && isNear(last + 1) ? 'last' : null;
  }

  move(event) {
    const frame = this.frameAt(event);
    const { first, last } = this.studio.range;
    if (this.drag === 'frame') this.studio.seek(frame);
    else if (this.drag === 'first') this.studio.setRange({ first: Math.min(frame, last ?? frame) });
    else if (this.drag === 'last') this.studio.setRange({ last: Math.max(frame, first ?? frame) });
    this.explain(event, frame);
  }

  explain(event, frame) {
    const object = this.objectAt(event);
    const track = object && this.studio.session.tracks.get(object.obj);
    const words = [`Frame ${frame}`, timecode(frame, this.studio.session.clip.rate)];
    if (object) words.push(object.name, scoreInWords(track, frame));
    if (object && this.studio.session.isOutdated(object.obj, frame)) words.push(OUTDATED);
    this.tip.textContent = words.join(' · ');
    this.tip.hidden = false;
    const bounds = this.element.getBoundingClientRect();
    const x = clamp(event.clientX - bounds.left, this.tip.offsetWidth / 2, bounds.width - this.tip.offsetWidth / 2);
    this.tip.style.left = `${x}px`;
  }

  /** Scrolls to the lane of an object. */
  reveal(obj) {
    const lane = this.studio.session.objects.findIndex((object) => object.obj === obj);
    const top = lane * LANE;
    const { scrollTop, clientHeight } = this.scroller;
    if (lane >= 0) this.scroller.scrollTop = clamp(scrollTop, top + LANE - clientHeight, top);
  }

  /** Draws ruler and lanes. */
  paint() {
    const { objects, tracks } = this.studio.session;
    const ink = getComputedStyle(this.element).color;
    this.paintRuler(ink);
    this.updateLabels(objects);
    const context = sized(this.lanes, this.width, Math.max(objects.length, 1) * LANE);
    const hatch = hatching(context, ink);
    objects.forEach((object, lane) => {
      context.globalAlpha = object.hidden ? 0.4 : 1;
      const y = lane * LANE;
      context.fillStyle = ink;
      context.globalAlpha *= 0.06;
      context.fillRect(0, y + 3, this.width, LANE - 6);
      context.globalAlpha = object.hidden ? 0.4 : 1;
      const track = tracks.get(object.obj);
      if (track) this.paintRibbon(context, y + (LANE - RIBBON.height) / 2, object.obj, track, hatch);
      context.globalAlpha = object.hidden ? 0.4 : 1;
      this.paintLocks(context, y, object.obj, ink);
      this.paintPrompts(context, y + LANE / 2, object);
    });
  }

  paintRuler(ink) {
    const context = sized(this.ruler, this.width, RULER);
    const step = tickStep(this.frames, this.width);
    context.fillStyle = ink;
    context.font = '10px system-ui, sans-serif';
    for (let frame = 0; frame < this.frames; frame += step) {
      const x = Math.round(this.centre(frame));
      context.globalAlpha = 0.25;
      context.fillRect(x, RULER - 5, 1, 5);
      context.globalAlpha = 0.65;
      context.textAlign = x < 12 ? 'left' : 'center';
      if (x < this.width - 16) context.fillText(String(frame), x < 12 ? Math.max(x - 3, 0) : x, RULER - 8);
    }
  }

  centre(frame) {
    return ((frame + 0.5) / this.frames) * this.width;
  }

  updateLabels(objects) {
    const rows = [...this.labels.children];
    objects.forEach(({ obj, name, color }, lane) => {
      const row = rows[lane] ?? this.labels.appendChild(h('div', { class: 'label' }));
      row.textContent = name;
      row.style.setProperty('--color', color);
      const old = this.studio.session.outdatedFrames(obj);
      row.title = old ? outdatedInWords(name, old) : name;
      row.classList.toggle('outdated', old > 0);
      row.classList.toggle('current', obj === this.studio.selected);
    });
    for (const row of rows.slice(objects.length)) row.remove();
    if (objects.length > rows.length) this.reveal(this.studio.selected);
  }

  /** Height and colour say the predicted IoU; hatched where the object is not visible, faint where tracking is due. */
  paintRibbon(context, y, obj, track, hatch) {
    const { session } = this.studio;
    const opacity = context.globalAlpha;
    const columns = Math.min(this.frames, Math.max(Math.floor(this.width), 1));
    const ribbon = ribbonColumns(track, columns);
    for (let column = 0; column < columns; column++) {
      if (Number.isNaN(ribbon.iou[column])) continue;
      const x = Math.round((column / columns) * this.width);
      const width = Math.round(((column + 1) / columns) * this.width) - x;
      const height = Math.max(RIBBON.least, RIBBON.height * clamp(ribbon.iou[column], 0, 1));
      const isOld = session.isOutdated(obj, Math.floor((column * this.frames) / columns));
      context.globalAlpha = opacity * (isOld ? 0.35 : 1);
      context.fillStyle = ribbon.hidden[column] ? hatch : iouColor(ribbon.iou[column]);
      if (ribbon.hidden[column]) context.fillRect(x, y, width, RIBBON.height);
      else context.fillRect(x, y + RIBBON.height - height, width, height);
    }
  }

  paintLocks(context, y, obj, ink) {
    context.fillStyle = ink;
    for (const [locked, frame] of this.studio.session.lockedFrames) {
      if (locked === obj) context.fillRect(Math.floor(this.centre(frame)) - 2, y + LANE - 4, 5, 3);
    }
  }

  /** A dot for clicks, a square for a box, a diamond for a painted mask. */
  paintPrompts(context, y, { obj, color }) {
    for (const prompt of this.studio.session.prompts) {
      if (prompt.obj !== obj) continue;
      context.save();
      context.translate(this.centre(prompt.frame), y);
      if (prompt.mask) context.rotate(Math.PI / 4);
      context.beginPath();
      if (prompt.mask || prompt.box) context.rect(-4, -4, 8, 8);
      else context.arc(0, 0, 4.5, 0, 2 * Math.PI);
      context.fillStyle = color;
      context.strokeStyle = '#ffffff';
      context.lineWidth = 1.5;
      context.fill();
      context.stroke();
      context.restore();
    }
  }

  /** Puts playhead and range in their places. */
  update() {
    const { session, wanted, range } = this.studio;
    const percent = (frame) => `${(100 * frame) / this.frames}%`;
    this.playhead.style.left = percent(wanted + 0.5);
    this.before.style.cssText = `left: 0; width: ${percent(range.first ?? 0)}`;
    this.after.style.cssText = `right: 0; width: ${percent(this.frames - 1 - (range.last ?? this.frames - 1))}`;
    this.before.classList.toggle('edge-right', range.first !== null);
    this.after.classList.toggle('edge-left', range.last !== null);
    this.element.setAttribute('aria-valuemax', this.frames - 1);
    this.element.setAttribute('aria-valuenow', wanted);
    this.element.setAttribute('aria-valuetext', `Frame ${wanted} of ${session.clip.frames}`);
  }
}

/** A canvas made sharp for the screen, and empty. */
function sized(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.height = `${height}px`;
  const context = canvas.getContext('2d');
  context.scale(ratio, ratio);
  return context;
}

/** Faint diagonal lines. */
function hatching(context, ink) {
  const tile = h('canvas', { width: 6, height: 6 });
  const pen = tile.getContext('2d');
  pen.strokeStyle = ink;
  pen.globalAlpha = 0.4;
  pen.beginPath();
  for (const shift of [-6, 0, 6]) {
    pen.moveTo(shift, 6);
    pen.lineTo(shift + 6, 0);
  }
  pen.stroke();
  return context.createPattern(tile, 'repeat');
}

const MEANING = {
  iou: 'Predicted IoU: how well the model thinks that its mask fits, from 0 to 1. Below 0.70, have a look.',
  score: 'Object score: above 0 the model sees the object in this frame, below 0 it is hidden or gone.',
};

const OUTDATED = 'older than your last change';

const outdatedInWords = (name, frames) => `${name} changed: ${count(frames, 'mask')} ${OUTDATED}. Track again.`;

/** @param {Track | undefined} track */
function scoreInWords(track, frame) {
  const score = track?.score[frame] ?? NaN;
  if (Number.isNaN(score)) return 'no mask yet';
  return score > 0 ? `predicted IoU ${track.iou[frame].toFixed(2)} · visible` : 'not visible';
}

/** What the words mean, and the number behind them. @param {Track | undefined} track */
function scoreExplained(track, frame) {
  const score = track?.score[frame] ?? NaN;
  return Number.isNaN(score) ? '' : `${MEANING.iou}\n${MEANING.score} Here: ${score.toFixed(1)}.`;
}

// --- Elements --------------------------------------------------------------------------------------------------------

const ICONS = {
  click: 'M4.5 3.5 10 17l1.9-5.6L17.5 9.5z',
  brush: 'M9.5 10.5c-2.6-.4-4.3 1.1-4.3 3.3 0 1.4-.9 2.4-2.2 2.7 3.6 1.2 8.3.3 8.5-3.7zM9.5 10.5 17 3l-5.5 9.8',
  eraser: 'm3.5 12 8-8.5 5 5-7.5 8H7.5zM7 8.3l5.2 5M6 16.5h11',
  plus: 'M10 4.5v11M4.5 10h11',
  minus: 'M4.5 10h11',
  undo: 'M7.5 4 4 7.5 7.5 11M4 7.5h8a4.25 4.25 0 0 1 0 8.5H8',
  redo: 'M12.5 4 16 7.5 12.5 11M16 7.5H8A4.25 4.25 0 0 0 8 16h4',
  fit: 'M3.5 7.5v-4h4M12.5 3.5h4v4M16.5 12.5v4h-4M7.5 16.5h-4v-4',
  opacity: 'M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM10 3v14M10 6h5.5M10 9h6.8M10 12h6.6M10 15h4.5',
  outline: 'M10.5 3.5c3.5 0 6 2.3 6 5.2 0 4.5-3 7.8-7 7.8-3.5 0-6-2.2-6-5.4 0-4.2 3-7.6 7-7.6z',
  solo: 'M10 6.8a3.2 3.2 0 1 0 0 6.4 3.2 3.2 0 0 0 0-6.4zM10 2v2.5M10 15.5V18M2 10h2.5M15.5 10H18',
  eye: 'M2 10s3-5.5 8-5.5S18 10 18 10s-3 5.5-8 5.5S2 10 2 10zM10 7.7a2.3 2.3 0 1 0 0 4.6 2.3 2.3 0 0 0 0-4.6z',
  eyeOff: 'M4 7c-1.3 1.4-2 3-2 3s3 5.5 8 5.5l3.2-.8M8 4.7l2-.2c5 0 8 5.5 8 5.5s-.7 1.3-2 2.7M4 3.5l12 13',
  lock: 'M5 9h10v7.5H5zM7 9V6.5a3 3 0 0 1 6 0V9',
  unlock: 'M5 9h10v7.5H5zM7 9V6.5a3 3 0 0 1 5.8-1',
  trash: 'M4 5.5h12M8 5.5v-2h4v2M5.5 5.5l.8 11h7.4l.8-11M8.5 8.5v5M11.5 8.5v5',
  close: 'm5.5 5.5 9 9M14.5 5.5l-9 9',
  first: 'M14.5 4.5 9 10l5.5 5.5M5.5 4.5v11',
  previous: 'M12.5 4.5 7 10l5.5 5.5',
  next: 'M7.5 4.5 13 10l-5.5 5.5',
  last: 'M5.5 4.5 11 10l-5.5 5.5M14.5 4.5v11',
  play: 'M6 3.8 16 10 6 16.2z',
  pause: 'M6 4.5h2.5v11H6zM11.5 4.5H14v11h-2.5z',
  rangeIn: 'M9 4H5v12h4M9 10h7M13 7l3 3-3 3',
  rangeOut: 'M11 4h4v12h-4M11 10H4M7 7l-3 3 3 3',
  backward: 'M17 10H4M8.5 5.5 4 10l4.5 4.5',
  both: 'M3 10h14M6.5 6.5 3 10l3.5 3.5M13.5 6.5 17 10l-3.5 3.5',
  forward: 'M3 10h13M11.5 5.5 16 10l-4.5 4.5',
  problem: 'M5 17.5V3.5h9.5L12.5 7l2 3.5H5',
  stop: 'M5.5 5.5h9v9h-9z',
};

/** An element. Functions among the attributes listen; strings among the children are text, never markup. */
function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** @param {keyof ICONS} name */
function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  svg.setAttribute('viewBox', '0 0 20 20');
  svg.setAttribute('aria-hidden', 'true');
  path.setAttribute('d', ICONS[name]);
  svg.append(path);
  return svg;
}

/** A button with an icon, words or both; `label` is its name, and with the key its tooltip. */
function button({ icon: name, text, label, key, kind = '', press }) {
  const attributes = { type: 'button', class: `button ${kind}`, 'aria-label': label, onclick: press };
  const title = key ? `${label} (${key})` : label;
  return h('button', { ...attributes, title }, name ? icon(name) : null, text ? h('span', {}, text) : null);
}

/** Shows an icon in the place of another. */
function setIcon(element, name) {
  const path = element.querySelector('path');
  if (path.getAttribute('d') !== ICONS[name]) path.setAttribute('d', ICONS[name]);
}

function setPressed(element, isPressed) {
  element.setAttribute('aria-pressed', String(Boolean(isPressed)));
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setLabel(element, label) {
  element.setAttribute('aria-label', label);
  element.title = label;
}

const group = (label, ...children) => h('div', { class: 'group', role: 'group', 'aria-label': label }, ...children);

// --- Shortcuts -------------------------------------------------------------------------------------------------------

const TIMED = new Set(['Time', 'Tracking']); // a picture has none of it

/** Every key, in the order of the sheet. @type {[string, [string[], string, string, (studio: Studio) => void][]][]} */
const SHORTCUTS = [
  ['Prompts', [
    [['c'], 'C', 'Click, or drag a box', (s) => s.setTool('click')],
    [['b'], 'B', 'Brush', (s) => s.setTool('brush')],
    [['e'], 'E', 'Eraser', (s) => s.setTool('eraser')],
    [['x'], 'X', 'Clicks add or take away', (s) => s.setPositive(!s.positive)],
    [['['], '[', 'Smaller brush', (s) => s.setBrushSize(s.brushRadius / 1.25)],
    [[']'], ']', 'Larger brush', (s) => s.setBrushSize(s.brushRadius * 1.25)],
    [['p'], 'P', 'Cursor for the arrow keys', (s) => s.toggleCursor()],
    [[], 'Enter', 'Click at the cursor', () => {}], // while it is there: see Studio.moveCursor
    [[], 'Shift+Enter', 'Not this, at the cursor', () => {}],
    [['1', '2', '3'], '1 2 3', 'Choose a candidate', (s, key) => s.choose(Number(key))],
    [['Delete', 'Backspace'], 'Del', 'Delete the prompt', (s) => s.removeSelectedMark()],
    [['Shift+Delete', 'Shift+Backspace'], 'Shift+Del', 'Clear this frame', (s) => s.clearFrame()],
  ]],
  ['Objects', [
    [['n'], 'N', 'New object', (s) => s.addObject()],
    [['ArrowUp'], '↑', 'Object above', (s) => s.selectNext(-1)],
    [['ArrowDown'], '↓', 'Object below', (s) => s.selectNext(1)],
    [['F2'], 'F2', 'Rename', (s) => s.objectList.rename(s.selected)],
    [['h'], 'H', 'Hide or show', (s) => s.toggleObject('hidden')],
    [['Shift+l'], 'Shift+L', 'Lock or unlock the object', (s) => s.toggleObject('locked')],
  ]],
  ['View and history', [
    [['+', '='], '+', 'Zoom in', (s) => s.stage.zoom(1.25)],
    [['-'], '−', 'Zoom out', (s) => s.stage.zoom(1 / 1.25)],
    [['0'], '0', 'Fit', (s) => s.stage.fit()],
    [['m'], 'M', 'Outlines only', (s) => s.toggleLook('outline')],
    [['s'], 'S', 'Selected object only', (s) => s.toggleLook('solo')],
    [['?'], '?', 'This sheet', (s) => s.help.open()],
    [['Escape'], 'Esc', 'Leave what was begun', (s) => s.escape()],
    [['Ctrl+z', 'z'], 'Ctrl+Z', 'Undo', (s) => s.undo()],
    [['Ctrl+Shift+z', 'Ctrl+y', 'y'], 'Ctrl+Shift+Z', 'Redo', (s) => s.redo()],
  ]],
  ['Time', [
    [[], 'Space', 'Play or pause', () => {}], // down and up differ: see Tools.holdHand
    [['ArrowLeft'], '←', 'Previous frame', (s) => s.step(-1)],
    [['ArrowRight'], '→', 'Next frame', (s) => s.step(1)],
    [['Shift+ArrowLeft'], 'Shift+←', 'Ten frames back', (s) => s.step(-10)],
    [['Shift+ArrowRight'], 'Shift+→', 'Ten frames on', (s) => s.step(10)],
    [['Home'], 'Home', 'First frame', (s) => s.step(-Infinity)],
    [['End'], 'End', 'Last frame', (s) => s.step(Infinity)],
    [['i'], 'I', 'Range starts here', (s) => s.setRange({ first: s.wanted })],
    [['o'], 'O', 'Range ends here', (s) => s.setRange({ last: s.wanted })],
    [['r'], 'R', 'Whole clip', (s) => s.setRange({ first: null, last: null })],
    [['j'], 'J', 'Next problem', (s) => s.nextProblem()],
    [['Shift+j'], 'Shift+J', 'Problem before', (s) => s.previousProblem()],
  ]],
  ['Tracking', [
    [['t'], 'T', 'Track both ways', (s) => s.track('both')],
    [[','], ',', 'Track backward', (s) => s.track('backward')],
    [['.'], '.', 'Track forward', (s) => s.track('forward')],
    [['l'], 'L', 'Lock this frame’s mask', (s) => s.lockFrame()],
    [['k'], 'K', 'Pause or resume', (s) => s.togglePause()],
    [['Shift+k'], 'Shift+K', 'Cancel tracking', (s) => s.cancelTracking()],
  ]],
];

const BY_KEY = new Map(SHORTCUTS.flatMap(([, rows]) => rows.flatMap((row) => row[0].map((key) => [key, row]))));

const MOUSE = ['Mouse', [
  ['Click', 'This belongs to it'],
  ['Right-click', 'This does not (or Shift)'],
  ['Drag', 'Box around it'],
  ['Wheel', 'Zoom'],
  ['Middle drag', 'Move the picture'],
  ['Space+drag', 'Move the picture'],
  ['Two fingers', 'Zoom and move'],
]];

/** A key as the table writes it; Shift is named where the key itself does not show it. */
export function keyName(event) {
  const isLetter = /^[a-z]$/i.test(event.key);
  const isTyped = event.getModifierState?.('AltGraph') ?? false; // AltGr writes brackets on many keyboards
  if (event.altKey && !isTyped) return null;
  const modifiers = [];
  if ((event.ctrlKey || event.metaKey) && !isTyped) modifiers.push('Ctrl');
  if (event.shiftKey && (isLetter || event.key.length > 1)) modifiers.push('Shift');
  return [...modifiers, isLetter ? event.key.toLowerCase() : event.key].join('+');
}

/** A button for a shortcut, which says and does what the table says. @param {Studio} studio */
function keyButton(studio, key, look) {
  const [, shown, does, run] = BY_KEY.get(key);
  return button({ label: does, key: shown, press: () => run(studio, key), ...look });
}

// --- Panels ----------------------------------------------------------------------------------------------------------

/** Tools, view and history, above the stage. */
class Toolbar {
  /** @param {Studio} studio */
  constructor(studio) {
    this.studio = studio;
    const key = (name, look) => keyButton(studio, name, look);
    this.tools = new Map([
      ['click', key('c', { icon: 'click' })],
      ['brush', key('b', { icon: 'brush' })],
      ['eraser', key('e', { icon: 'eraser' })],
    ]);
    this.add = key('x', { icon: 'plus', label: 'Clicks add to the object', press: () => studio.setPositive(true) });
    this.take = key('x', { icon: 'minus', label: 'Clicks take away', press: () => studio.setPositive(false) });
    this.polarity = group('What a click means', this.add, this.take);
    this.polarity.classList.add('segmented');
    this.size = h('input', {
      type: 'range', min: 1, max: 100, 'aria-label': 'Size of the brush', title: 'Size of the brush ([ and ])',
      oninput: (event) => studio.setBrushSize(Number(event.target.value)),
    });
    this.sizeText = h('output', { class: 'number' });
    this.brush = group('Brush', this.size, this.sizeText);
    this.undo = key('Ctrl+z', { icon: 'undo' });
    this.redo = key('Ctrl+Shift+z', { icon: 'redo' });
    this.percent = h('output', { class: 'number zoom', 'aria-label': 'Zoom' });
    this.opacity = h('input', {
      type: 'range', min: 0, max: 100, 'aria-label': 'Opacity of the masks', title: 'Opacity of the masks',
      oninput: (event) => studio.setLook({ opacity: Number(event.target.value) / 100 }),
    });
    this.outline = key('m', { icon: 'outline' });
    this.solo = key('s', { icon: 'solo' });
    this.element = h('div', { class: 'toolbar', role: 'toolbar', 'aria-label': 'Tools and view' },
      group('Tools', ...this.tools.values()), group('History', this.undo, this.redo), this.polarity, this.brush,
      h('div', { class: 'spacer' }),
      group('Masks', h('span', { class: 'slider-icon' }, icon('opacity')), this.opacity, this.outline, this.solo),
      group('Zoom', key('-', { icon: 'minus' }), this.percent, key('+', { icon: 'plus' }), key('0', { icon: 'fit' })),
      key('?', { text: '?', label: 'Keys and mouse', kind: 'help' }));
  }

  update() {
    const { session, tool, positive, look, stage, isPainting, brushRadius } = this.studio;
    for (const [name, element] of this.tools) setPressed(element, name === tool);
    setPressed(this.add, positive);
    setPressed(this.take, !positive);
    this.polarity.hidden = isPainting;
    this.brush.hidden = !isPainting;
    this.size.max = Math.round((session.clip?.width ?? 600) / 6);
    this.size.value = brushRadius;
    setText(this.sizeText, `${Math.round(brushRadius * 2)} px`);
    this.undo.disabled = !session.canUndo || Boolean(session.job);
    this.redo.disabled = !session.canRedo || Boolean(session.job);
    this.opacity.value = Math.round(look.opacity * 100);
    this.opacity.disabled = look.outline;
    setPressed(this.outline, look.outline);
    setPressed(this.solo, look.solo);
    setText(this.percent, `${Math.round(stage.view.scale * 100)}%`);
  }
}

/** The objects, one row for each. */
class ObjectList {
  /** @param {Studio} studio */
  constructor(studio) {
    this.studio = studio;
    this.rows = new Map();
    this.list = h('ul', { class: 'objects', 'aria-label': 'Objects' });
    this.empty = h('p', { class: 'quiet' }, 'None yet. Click the thing you want in the picture.');
    this.add = keyButton(studio, 'n', { icon: 'plus', text: 'New' });
    this.element = h('section', { class: 'panel grow', 'aria-label': 'Objects' },
      h('header', {}, h('h2', {}, 'Objects'), this.add), this.empty, this.list);
    new ResizeObserver(() => this.reveal(studio.selected)).observe(this.list); // candidates take its room
  }

  update() {
    const { session } = this.studio;
    this.empty.hidden = session.objects.length > 0;
    for (const [obj, row] of this.rows) {
      if (session.object(obj)) continue;
      row.element.remove();
      this.rows.delete(obj);
    }
    const grown = session.objects.some(({ obj }) => !this.rows.has(obj));
    session.objects.forEach((object, place) => {
      const row = this.rows.get(object.obj) ?? new ObjectRow(this.studio, object.obj);
      this.rows.set(object.obj, row);
      row.update(object);
      if (this.list.children[place] !== row.element) this.list.insertBefore(row.element, this.list.children[place]);
    });
    if (grown) this.reveal(this.studio.selected);
  }

  rename(obj) {
    this.rows.get(obj)?.rename();
  }

  reveal(obj) {
    this.rows.get(obj)?.element.scrollIntoView({ block: 'nearest' });
  }
}

class ObjectRow {
  /** @param {Studio} studio @param {number} obj */
  constructor(studio, obj) {
    this.studio = studio;
    this.obj = obj;
    const edit = (fields) => studio.editObject(obj, fields);
    const current = () => studio.session.object(obj);
    this.color = h('input', {
      type: 'color', onchange: (event) => edit({ color: event.target.value }),
      oninput: (event) => this.swatch.style.setProperty('--color', event.target.value),
    });
    this.swatch = h('label', { class: 'swatch', title: 'Colour' }, this.color);
    this.name = h('button', {
      type: 'button', class: 'name', onclick: () => studio.select(obj), ondblclick: () => this.rename(),
    });
    this.score = h('span', { class: 'score number' });
    const small = (name, press) => button({ icon: name, label: '', kind: 'small', press }); // update() names them
    this.hide = small('eye', () => edit({ hidden: !current().hidden }));
    this.lock = small('unlock', () => edit({ locked: !current().locked }));
    this.remove = small('trash', () => studio.removeObject(obj));
    this.element = h('li', { class: 'object', onclick: (event) => event.target === this.element && studio.select(obj) },
      this.swatch, this.name, this.score, this.hide, this.lock, this.remove);
  }

  /** @param {SceneObject} object */
  update({ name, color, hidden, locked }) {
    const { session, selected, shown } = this.studio;
    setText(this.name, name);
    this.name.title = `${name}: select; double-click to rename (F2)`;
    setText(this.score, briefScore(session.tracks.get(this.obj), shown));
    this.score.title = scoreExplained(session.tracks.get(this.obj), shown);
    this.swatch.style.setProperty('--color', color);
    this.color.value = color;
    this.color.setAttribute('aria-label', `Colour of ${name}`);
    this.element.classList.toggle('hidden-object', hidden);
    this.element.classList.toggle('current', this.obj === selected);
    setPressed(this.name, this.obj === selected);
    setIcon(this.hide, hidden ? 'eyeOff' : 'eye');
    setIcon(this.lock, locked ? 'lock' : 'unlock');
    setLabel(this.hide, `${hidden ? 'Show' : 'Hide'} ${name}`);
    setLabel(this.lock, `${locked ? 'Unlock' : 'Lock'} ${name}`);
    setLabel(this.remove, `Remove ${name}`);
    this.hide.classList.toggle('on', hidden);
    this.lock.classList.toggle('on', locked);
  }

  rename() {
    const object = this.studio.session.object(this.obj);
    const input = h('input', { type: 'text', class: 'name', maxlength: 80, 'aria-label': 'Name of the object' });
    let isOpen = true;
    const finish = (keep) => {
      if (!isOpen) return;
      isOpen = false;
      const name = input.value.trim();
      input.replaceWith(this.name);
      this.studio.focus();
      if (keep && name && name !== object.name) this.studio.editObject(this.obj, { name });
    };
    input.value = object.name;
    input.addEventListener('blur', () => finish(true));
    input.addEventListener('keydown', ({ key }) => ['Enter', 'Escape'].includes(key) && finish(key === 'Enter'));
    this.name.replaceWith(input);
    input.select();
    input.focus();
  }
}

/** A row's score: the predicted IoU, or that the object is not visible. */
function briefScore(track, frame) {
  const score = track?.score[frame] ?? NaN;
  if (Number.isNaN(score)) return '';
  return score > 0 ? track.iou[frame].toFixed(2) : 'not visible';
}

/** The selected object on the frame on show: its score, its prompts, its lock. */
class Inspector {
  /** @param {Studio} studio */
  constructor(studio) {
    this.studio = studio;
    this.title = h('h2', {});
    this.score = h('p', { class: 'score-line' });
    this.chips = h('div', { class: 'chips', role: 'group', 'aria-label': 'Prompts of this frame' });
    this.lock = keyButton(studio, 'l', { icon: 'unlock', kind: 'small' });
    this.clear = keyButton(studio, 'Shift+Delete', { icon: 'trash', kind: 'small' });
    this.element = h('section', { class: 'panel', 'aria-label': 'This frame' },
      h('header', {}, this.title, group('This frame', this.lock, this.clear)), this.score, this.chips);
  }

  update() {
    const { session, selected, shown } = this.studio;
    const object = session.object(selected);
    this.element.hidden = !object;
    if (!object) return;
    const prompt = session.prompt(selected, shown);
    setText(this.title, session.isStill ? object.name : `${object.name} in frame ${shown}`);
    const words = sentence(scoreInWords(session.tracks.get(selected), shown));
    setText(this.score, session.isOutdated(selected, shown) ? `${words} · ${OUTDATED}` : words);
    this.score.title = scoreExplained(session.tracks.get(selected), shown);
    this.updateChips(prompt);
    const isLocked = session.isLocked(selected, shown);
    setIcon(this.lock, isLocked ? 'lock' : 'unlock');
    setLabel(this.lock, isLocked ? 'Unlock this frame’s mask (L)' : 'Lock this frame’s mask against tracking (L)');
    this.lock.classList.toggle('on', isLocked);
    this.lock.hidden = session.isStill;
    this.lock.disabled = !isLocked && !session.mask(selected, shown);
    this.clear.disabled = !prompt;
  }

  updateChips(prompt) {
    const signature = JSON.stringify(prompt);
    if (signature === this.signature) return;
    this.signature = signature;
    const { obj, frame, points, box, mask } = prompt ?? { points: [] };
    const chip = (words, label, target) => {
      const press = () => this.studio.removePrompt({ obj, frame, ...target });
      const cross = button({ icon: 'close', label: `Delete ${label}`, kind: 'tiny', press });
      return h('span', { class: 'chip' }, words, cross);
    };
    const chips = points.map(([, , positive], index) =>
      chip(`${positive ? '+' : '−'} ${index + 1}`, `click ${index + 1}`, { kind: 'point', index }));
    if (box) chips.push(chip('Box', 'the box', { kind: 'box' }));
    if (mask) chips.push(chip(isAsPainted(prompt) ? 'Painted' : 'From painting', 'what was painted', { kind: 'mask' }));
    this.chips.replaceChildren(...chips);
    this.chips.hidden = !chips.length;
  }
}

/** Whether the mask is exactly what was painted, or given. */
const isAsPainted = (prompt) => Boolean(prompt?.mask && !prompt.points.length && !prompt.box);

const sentence = (words) => words[0].toUpperCase() + words.slice(1);

/** What one click may mean, to choose from. */
class CandidateCards {
  /** @param {Studio} studio */
  constructor(studio) {
    this.studio = studio;
    this.cards = h('div', { class: 'cards' });
    this.element = h('section', { class: 'panel', 'aria-label': 'Candidates' },
      h('header', {}, h('h2', {}, 'Which one did you mean?')), this.cards);
  }

  update() {
    const { session, selected, shown, stage } = this.studio;
    const candidates = session.isAmbiguous(selected, shown) ? session.candidates.get(pair(selected, shown)) : null;
    this.element.hidden = !candidates?.length || !stage.picture || this.studio.player.isPlaying;
    if (this.element.hidden) return;
    const drawn = [candidates, stage.picture, this.studio.activeColor];
    if (drawn.some((part, i) => part !== this.drawn?.[i])) this.draw(candidates);
    this.drawn = drawn;
    const chosen = session.chosenCandidate(selected, shown);
    [...this.cards.children].forEach((card, index) => setPressed(card, index + 1 === chosen));
  }

  draw(candidates) {
    const { stage, activeColor } = this.studio;
    const ratio = window.devicePixelRatio || 1;
    const part = surroundings(candidates.map(({ runs }) => runs), stage.frame, 16 / 9);
    const cards = candidates.map(({ iou, runs }, index) => {
      const picture = h('canvas', { width: 160 * ratio, height: 90 * ratio });
      stage.paintThumbnail(picture, { runs, color: activeColor }, part);
      const facts = h('span', { class: 'facts' }, h('kbd', {}, String(index + 1)),
        h('span', { class: 'number' }, iou.toFixed(2)), h('small', {}, 'predicted IoU'));
      return h('button', {
        type: 'button', class: 'card', 'aria-label': `Candidate ${index + 1}, predicted IoU ${iou.toFixed(2)}`,
        title: `Take this one (${index + 1})\n${MEANING.iou}`, onclick: () => this.studio.choose(index + 1),
        onpointerenter: () => stage.setPreview({ runs, color: activeColor }),
        onpointerleave: () => stage.setPreview(null),
      }, picture, facts);
    });
    this.cards.replaceChildren(...cards);
  }
}

/** The part of the frame around some masks, of a given aspect where the frame allows it. */
export function surroundings(masks, frame, aspect) {
  const bounds = boundsOfRuns(masks, frame.width) ?? { x: 0, y: 0, ...frame };
  const wanted = Math.max(bounds.height * 1.25, (bounds.width * 1.25) / aspect, 24);
  const height = Math.min(wanted, frame.height, frame.width / aspect);
  const width = height * aspect;
  return {
    x: clamp(bounds.x + (bounds.width - width) / 2, 0, frame.width - width),
    y: clamp(bounds.y + (bounds.height - height) / 2, 0, frame.height - height),
    width,
    height,
  };
}

/** Moving in time, and tracking: under the stage. */
class TimeBar {
  /** @param {Studio} studio */
  constructor(studio) {
    this.studio = studio;
    const key = (name, look) => keyButton(studio, name, look);
    this.play = button({ icon: 'play', label: 'Play', kind: 'play', press: () => studio.player.toggle() });
    this.frame = h('input', {
      type: 'text', inputmode: 'numeric', class: 'number', 'aria-label': 'Frame',
      onfocus: (event) => event.target.select(),
      onkeydown: ({ key }) => key === 'Enter' && studio.focus(), onchange: (event) => this.enter(event.target.value),
    });
    this.total = h('span', { class: 'number quiet' });
    this.time = h('span', { class: 'number quiet time' });
    this.clearRange = key('r', { icon: 'close' });
    this.element = h('div', { class: 'time-bar', role: 'toolbar', 'aria-label': 'Time and tracking' },
      group('Playback', key('Home', { icon: 'first', kind: 'ends' }), key('ArrowLeft', { icon: 'previous' }), this.play,
        key('ArrowRight', { icon: 'next' }), key('End', { icon: 'last', kind: 'ends' })),
      group('Position', this.frame, this.total, this.time),
      group('Range', key('i', { icon: 'rangeIn' }), key('o', { icon: 'rangeOut' }), this.clearRange),
      key('j', { icon: 'problem', text: 'Next problem', kind: 'problem' }),
      h('div', { class: 'spacer' }), this.trackGroup(), this.jobGroup());
  }

  trackGroup() {
    const { studio } = this;
    const toggle = () => studio.toggleOnlySelected();
    this.only = button({ text: 'All objects', label: 'Track the selected object only', kind: 'only', press: toggle });
    this.track = [
      keyButton(studio, ',', { icon: 'backward', kind: 'accent' }),
      keyButton(studio, 't', { icon: 'both', text: 'Track', kind: 'primary' }),
      keyButton(studio, '.', { icon: 'forward', kind: 'accent' }),
    ];
    this.tracking = group('Track', this.only, ...this.track);
    return this.tracking;
  }

  jobGroup() {
    const { studio } = this;
    this.bar = h('div', { class: 'bar', role: 'progressbar', 'aria-label': 'Tracked frames' }, h('i', {}));
    this.progress = h('span', { class: 'number progress', 'aria-live': 'off' });
    this.pause = keyButton(studio, 'k', { icon: 'pause', kind: 'play' });
    this.cancel = keyButton(studio, 'Shift+k', { icon: 'stop', text: 'Cancel' });
    this.job = group('Tracking', this.bar, this.progress, this.pause, this.cancel);
    return this.job;
  }

  enter(text) {
    if (/^-?\d+$/.test(text.trim())) this.studio.seek(Number(text));
    else this.update();
  }

  update() {
    const { session, selected, wanted, range, player, onlySelected } = this.studio;
    const { clip, job } = session;
    this.element.hidden = !clip || session.isStill;
    if (this.element.hidden) return;
    setIcon(this.play, player.isPlaying ? 'pause' : 'play');
    setLabel(this.play, player.isPlaying ? 'Pause (Space)' : 'Play (Space)');
    if (!this.frame.matches(':focus')) this.frame.value = wanted;
    setText(this.total, `/ ${clip.frames - 1}`);
    setText(this.time, timecode(wanted, clip.rate));
    const hasRange = range.first !== null || range.last !== null;
    this.clearRange.hidden = !hasRange;
    this.updateDue(hasRange);
    setPressed(this.only, onlySelected);
    const name = session.object(selected)?.name;
    setText(this.only.firstChild, onlySelected && name ? `Only ${name}` : 'All objects');
    this.only.hidden = session.objects.length < 2 && !onlySelected;
    for (const element of this.track) element.setAttribute('aria-disabled', !session.prompts.length); // it says why
    this.tracking.hidden = Boolean(job);
    this.job.hidden = !job;
    if (job) this.updateJob(job);
  }

  /** Says on the button what has changed since it was tracked. */
  updateDue(hasRange) {
    const { session } = this.studio;
    const due = session.objects.filter(({ obj, locked }) => !locked && session.outdatedFrames(obj));
    const reasons = due.map(({ obj, name }) => outdatedInWords(name, session.outdatedFrames(obj)));
    const words = due.length ? 'Track again' : 'Track';
    const [, both] = this.track;
    setText(both.querySelector('span'), hasRange ? 'Track range' : words);
    both.title = ['Track both ways (T)', ...reasons].join('\n');
    both.classList.toggle('due', due.length > 0);
  }

  updateJob({ done, total, eta, paused }) {
    const words = [total ? `${done} of ${total}` : 'Starting …'];
    if (this.studio.isLost) words.push('connection lost');
    else if (this.studio.isCancelling) words.unshift('Cancelling …');
    else if (paused) words.push('paused');
    else if (total && Number.isFinite(eta)) words.push(`${duration(eta)} left`);
    setText(this.progress, words.join(' · '));
    this.cancel.disabled = this.studio.isCancelling;
    this.pause.disabled = this.studio.isCancelling;
    this.bar.classList.toggle('paused', paused);
    this.bar.firstChild.style.width = `${total ? (100 * done) / total : 0}%`;
    this.bar.setAttribute('aria-valuemax', total);
    this.bar.setAttribute('aria-valuenow', done);
    setIcon(this.pause, paused ? 'play' : 'pause');
    setLabel(this.pause, paused ? 'Resume tracking (K)' : 'Pause tracking (K)');
  }
}

/** Which clip, which model, and what the ribbon means: the last line. */
class StatusLine {
  /** @param {Studio} studio */
  constructor(studio) {
    this.studio = studio;
    this.clip = h('span', { class: 'clip' });
    this.model = h('span', { class: 'model' });
    const meaning = ['The lanes of the timeline: the higher and greener, the surer.', MEANING.iou, MEANING.score];
    this.legend = h('span', { class: 'legend', title: meaning.join('\n') },
      h('span', {}, 'Predicted IoU'), '0.4', h('i', { class: 'scale' }), '0.9',
      h('i', { class: 'hatched' }), h('span', { class: 'hatch-word' }, 'not visible'));
    this.element = h('footer', { class: 'status' }, this.clip, this.model, this.legend);
  }

  update() {
    const { clip, model, isStill } = this.studio.session;
    const size = clip && `${clip.width} × ${clip.height}`;
    const length = clip && !isStill ? ` · ${count(clip.frames, 'frame')} · ${+clip.rate.toFixed(2)} fps` : '';
    setText(this.clip, clip ? `${clip.name} · ${size}${length}` : '');
    this.clip.title = clip?.notice ?? '';
    setText(this.model, model.note || model.name);
    this.model.title = model.note || model.name;
    this.model.classList.toggle('noted', Boolean(model.note));
    this.legend.hidden = !clip || isStill;
  }
}

/** One sentence over the picture, for a while: an error for longer than a note. */
class MessageBar {
  constructor() {
    this.text = h('span', {});
    this.remedy = h('button', { type: 'button', class: 'button remedy', onclick: () => this.act() });
    this.close = button({ icon: 'close', label: 'Dismiss', kind: 'small', press: () => this.hide() });
    this.box = h('div', { class: 'message', hidden: true }, this.text, this.remedy, this.close);
    this.element = h('div', { class: 'messages', role: 'status', 'aria-live': 'polite' }, this.box);
  }

  /**
   * @param {string} text @param {'error' | 'note'} kind
   * @param {{text: string, press: () => void}} [remedy]  what one may want to do about it
   */
  say(text, kind, remedy) {
    clearTimeout(this.timer);
    this.box.dataset.kind = kind;
    this.box.hidden = false;
    this.text.textContent = text;
    this.remedy.textContent = remedy?.text ?? '';
    this.remedy.hidden = !remedy;
    this.press = remedy?.press;
    this.isNews = kind === 'note' && !remedy;
    this.timer = setTimeout(() => this.hide(), kind === 'error' || remedy ? 15000 : 6000);
  }

  act() {
    this.hide();
    this.press();
  }

  /** Work goes on: what only had to be said goes, an error or a remedy stays. */
  hideNews() {
    if (this.isNews) this.hide();
  }

  /** @returns {boolean} whether there was anything to hide */
  hide() {
    const wasOpen = !this.box.hidden;
    this.box.hidden = true;
    return wasOpen;
  }
}

/** All keys on one sheet. */
class HelpSheet {
  /** @param {Studio} studio */
  constructor(studio) {
    this.studio = studio;
    const table = ([title, rows]) => h('section', {}, h('h3', {}, title),
      h('dl', {}, ...rows.flatMap(([keys, does]) => [h('dt', {}, h('kbd', {}, keys)), h('dd', {}, does)])));
    const close = button({ icon: 'close', label: 'Close', key: 'Esc', press: () => this.element.close() });
    this.tables = new Map(SHORTCUTS.map(([title, rows]) =>
      [title, table([title, rows.map(([, shown, does]) => [shown, does])])]));
    this.element = h('dialog', { class: 'help', 'aria-label': 'Keys and mouse', onclose: () => studio.focus() },
      h('header', {}, h('h2', {}, 'Keys and mouse'), close),
      h('div', { class: 'columns' }, table(MOUSE), ...this.tables.values()));
    this.element.addEventListener('click', (event) => event.target === this.element && this.element.close());
  }

  open() {
    for (const [title, section] of this.tables) section.hidden = this.studio.session.isStill && TIMED.has(title);
    this.element.showModal();
  }
}

/** The way to a first masklet, for someone who has never been here; it goes with the steps, and then for ever. */
class Guide {
  /** @param {Studio} studio */
  constructor(studio) {
    this.studio = studio;
    this.isOver = Boolean(recall('localStorage', KEPT.guided));
    this.steps = [
      ['Click', 'the thing you want.'],
      ['Choose', 'the mask you meant, or click again.'],
      ['Track', 'it through the clip.'],
    ].map(([verb, rest]) => h('li', {}, h('span', {}, h('b', {}, verb), ` ${rest}`)));
    this.dismiss = button({ icon: 'close', label: 'Dismiss the guide', kind: 'small', press: () => this.end() });
    this.element = h('div', { class: 'guide', role: 'note', 'aria-label': 'First steps', hidden: true },
      h('ol', {}, ...this.steps), this.dismiss);
  }

  update() {
    const { session } = this.studio;
    if (!this.isOver && this.reached === this.steps.length) this.end();
    this.element.hidden = this.isOver || !session.clip;
    if (this.element.hidden) return;
    this.steps[2].hidden = session.isStill;
    this.steps.forEach((step, place) => {
      step.classList.toggle('done', place < this.reached);
      step.setAttribute('aria-current', place === this.reached ? 'step' : 'false');
    });
  }

  /** How many steps are done. */
  get reached() {
    const { session, pending } = this.studio;
    const masks = ({ score }) => score.reduce((sum, value) => sum + !Number.isNaN(value), 0);
    const isTracked = [...session.tracks.values()].some((track) => masks(track) > 1);
    const isMeant = session.prompts.some(({ obj, frame, candidate }) => candidate || !session.isAmbiguous(obj, frame));
    if (session.job || isTracked || (isMeant && session.isStill)) return 3;
    if (isMeant) return 2;
    return session.prompts.length || pending.size ? 1 : 0;
  }

  end() {
    this.isOver = true;
    this.element.hidden = true;
    keep('localStorage', KEPT.guided, true);
    this.studio.refresh('panels');
  }
}

// --- Studio: what everything above serves ----------------------------------------------------------------------------

const MASK_BLOCK = 32; // frames whose masks are asked for together
const GOES_BACK = new Set(['undo', 'redo']);
const REWRITES = new Set(['hello', 'sync', ...GOES_BACK]); // after these every mask may be another
const DRAWN_AHEAD = new Set(['mask', 'choose', 'edit_object']); // an error takes back what was shown at once
const WHILE_TRACKING = new Set(['edit_object', 'track', 'pause', 'resume', 'cancel']); // all else waits for its end
const PULSE = { beat: 2000, silence: 4000, kernel: 30000 }; // milliseconds: how often to look after a host that owes news,
// when to ask whether it is alive, and when to say that one that cannot be asked is silent
const GLANCE = 1500; // milliseconds in which a frame is looked at
const CURSOR = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const CURSOR_STEP = { near: 6, far: 30 }; // CSS pixels, without and with Shift
const KERNEL_SILENT = 'The kernel has not answered for half a minute. If no cell is running, reload the page.';
const TEXT_FIELD = 'input:not([type=range], [type=color])';
const FIRST_COLOR = '#3d8bfd'; // of an object that the host has not made yet

/** One canvas: what the user sees and does now, over what the session knows. */
class Studio {
  /** @param {Transport} transport @param {{hover?: boolean}} options */
  constructor(transport, options) {
    this.options = options;
    this.session = new Session();
    this.selected = null;
    this.shown = 0; // the frame on the stage
    this.wanted = 0; // the frame of the playhead
    this.tool = 'click';
    this.positive = true;
    this.brushRadius = 12; // pixels of the frame
    this.look = { opacity: 0.45, outline: false, solo: false };
    this.range = { first: null, last: null };
    this.onlySelected = false;
    this.following = false; // the playhead goes along with tracking
    this.isCancelling = false;
    this.isLost = false; // the host does not answer
    this.isSilent = false; // the kernel has not answered for long, which was said
    /** @type {Problem[]} */
    this.visited = []; // problems that were jumped to
    this.place = -1; // among them
    /** @type {Set<Mark>} */
    this.pending = new Set();
    this.dirty = new Set();
    this.repaint = 0;
    this.link = new Link(transport, (message, buffers, asked) => this.receive(message, buffers, asked));
    this.pictures = new Pictures(transport, this.link);
    this.stage = new Stage(this);
    this.player = new Player(this, transport);
    this.build();
    this.show = latestWins((frame) => this.fetchAndPresent(frame));
    this.feelPulse = latestWins(() => this.lookAfterHost(transport));
    this.pulse = setInterval(() => this.feelPulse(), PULSE.beat);
    this.link.ask('hello');
  }

  build() {
    this.tools = new Tools(this);
    this.toolbar = new Toolbar(this);
    this.objectList = new ObjectList(this);
    this.inspector = new Inspector(this);
    this.cards = new CandidateCards(this);
    this.timeBar = new TimeBar(this);
    this.timeline = new Timeline(this);
    this.status = new StatusLine(this);
    this.messages = new MessageBar();
    this.panels = [this.toolbar, this.objectList, this.cards, this.inspector, this.timeBar, this.status];
    this.help = new HelpSheet(this);
    this.guide = new Guide(this);
    this.hint = h('p', { class: 'hint' });
    this.skeleton = h('div', { class: 'skeleton' });
    this.spoken = h('div', { class: 'offscreen', role: 'status', 'aria-live': 'polite' });
    this.stage.element.append(this.skeleton, this.hint, this.guide.element, this.messages.element);
    this.leave = () => this.keepView();
    this.comeBack = () => this.catchUp();
    window.addEventListener('pagehide', this.leave);
    window.addEventListener('focus', this.comeBack);
    document.addEventListener('visibilitychange', this.comeBack);
    this.element = h('div', {
      class: 'studio', tabindex: 0, role: 'application', 'aria-label': 'Masklet Studio',
      'data-lm-suppress-shortcuts': 'true', 'data-jp-suppress-context-menu': 'true',
      onkeydown: (event) => this.keyDown(event), onkeyup: (event) => this.keyUp(event),
      onpointerdown: (event) => this.takeKeys(event), onmousedown: (event) => this.keepKeys(event),
      onpointerup: (event) => event.target.type === 'range' && this.focus(),
    },
    this.toolbar.element,
    h('div', { class: 'middle' }, this.stage.element,
      h('aside', { class: 'side' }, this.objectList.element, this.cards.element, this.inspector.element)),
    this.timeBar.element, this.timeline.element, this.status.element, this.help.element, this.spoken);
    this.refresh('panels');
  }

  close() {
    this.keepView();
    window.removeEventListener('pagehide', this.leave);
    window.removeEventListener('focus', this.comeBack);
    document.removeEventListener('visibilitychange', this.comeBack);
    clearTimeout(this.glance);
    clearInterval(this.pulse);
    this.player.close();
    this.link.close();
    cancelAnimationFrame(this.repaint);
    this.stage.observer.disconnect();
    this.timeline.observer.disconnect();
  }

  // What is painted -----------------------------------------------------------------------------------------------

  /** Redraws parts before the screen's next picture: masks, marks, ribbon, playhead, panels. */
  refresh(...parts) {
    for (const part of parts) this.dirty.add(part);
    this.repaint ||= requestAnimationFrame(() => this.paint());
  }

  paint() {
    const { dirty } = this;
    this.dirty = new Set();
    this.repaint = 0;
    const { clip, isStill } = this.session;
    if (dirty.has('masks')) this.stage.paintBack();
    if (dirty.has('marks')) this.stage.paintFront();
    this.timeline.element.hidden = !clip || isStill;
    if (clip && !isStill) {
      if (dirty.has('ribbon')) this.timeline.paint();
      if (dirty.has('ribbon') || dirty.has('playhead')) this.timeline.update();
    }
    if (dirty.has('panels')) this.updatePanels();
    const painted = { bubbles: true, composed: true, detail: this.shown };
    if (dirty.has('masks')) this.element.dispatchEvent(new CustomEvent('painted', painted));
  }

  updatePanels() {
    for (const panel of this.panels) panel.update();
    this.guide.update();
    this.stage.element.dataset.tool = this.tool;
    setText(this.hint, this.nextHint());
    this.hint.hidden = !this.hint.textContent;
    this.updateSkeleton();
  }

  /** Where the first picture will be. */
  updateSkeleton() {
    this.skeleton.hidden = !this.session.clip || Boolean(this.stage.picture);
    if (this.skeleton.hidden) return;
    const { view: { scale, x, y }, frame: { width, height } } = this.stage;
    this.skeleton.style.cssText = `left: ${x}px; top: ${y}px; width: ${width * scale}px; height: ${height * scale}px`;
  }

  /** What a newcomer could do now; nothing once there is a prompt. */
  nextHint() {
    const { clip, prompts } = this.session;
    if (this.link.rev === null) return 'Connecting …';
    if (!clip) return 'Open a clip or a picture to begin.';
    if (prompts.length || this.pending.size || !this.guide.isOver) return '';
    return 'Click the thing you want. Right-click what does not belong to it. Drag to draw a box.';
  }

  /** The video's or an image's picture of a frame goes on the stage. */
  present(frame, picture) {
    if (frame !== this.shown) this.stage.setPreview(null);
    this.shown = frame;
    this.stage.picture = picture;
    if (this.player.isPlaying) this.wanted = frame;
    this.lookSoon();
    this.fetchMasks();
    this.fetchCandidates();
    this.refresh('masks', 'marks', 'playhead', 'panels');
  }

  /** Whoever stays at a frame has looked at the problem there. */
  lookSoon() {
    clearTimeout(this.glance);
    if (this.player.isPlaying || this.following) return;
    this.glance = setTimeout(() => {
      const isHere = ({ obj, first, last }) => obj === this.selected && first <= this.shown && this.shown <= last;
      const here = this.session.problems().find(isHere);
      if (here) this.session.look(here.obj, here.first, here.last);
    }, GLANCE);
  }

  async fetchAndPresent(frame) {
    try {
      const picture = await this.pictures.load(frame);
      if (!this.player.isPlaying) this.present(frame, picture);
      if (this.following && !this.pictures.transport.frameUrl) return; // the host sends them
      this.pictures.prefetch([frame + 1, frame - 1].filter((near) => near >= 0 && near < this.session.clip.frames));
    } catch ({ cause }) {
      if (cause === 'error') return; // the host's own words are on show
      this.messages.say(`Frame ${frame} could not be loaded; check the connection and go to it again.`, 'error');
    }
  }

  fetchMasks() {
    const ahead = this.player.isPlaying ? AHEAD.masks : MASK_BLOCK / 2;
    const block = (frame) => Math.floor(frame / MASK_BLOCK) * MASK_BLOCK;
    for (let first = block(this.shown); first <= this.shown + ahead; first += MASK_BLOCK) {
      const missing = this.session.missingMasks(first, first + MASK_BLOCK - 1);
      if (missing) this.link.ask('masks', missing);
    }
  }

  fetchCandidates() {
    const { session, selected, shown } = this;
    const key = pair(selected, shown);
    if (this.pending.size || session.candidates.has(key) || !session.isAmbiguous(selected, shown)) return;
    session.candidates.set(key, []); // asked
    this.link.ask('candidates', { frame: shown, obj: selected });
  }

  isVisible(obj) {
    return obj === null || (!this.session.object(obj)?.hidden && (!this.look.solo || obj === this.selected));
  }

  /** @returns {Mark[]} prompts of the frame on show, also those the host has not answered */
  visibleMarks() {
    const pending = [...this.pending].filter(({ frame }) => frame === this.shown);
    return this.selectedLast([...this.session.marks(this.shown), ...pending].filter(({ obj }) => this.isVisible(obj)));
  }

  /** What belongs to the selected object is drawn over all else. @template {{obj: number}} T @param {T[]} things */
  selectedLast(things) {
    const isSelected = ({ obj }) => obj === this.selected;
    return [...things.filter((thing) => !isSelected(thing)), ...things.filter(isSelected)];
  }

  get activeColor() {
    return this.session.object(this.selected)?.color ?? FIRST_COLOR;
  }

  get isPainting() {
    return this.tool !== 'click';
  }

  // What the host says --------------------------------------------------------------------------------------------

  receive(message, buffers, asked) {
    const handle = {
      state: () => this.onState(message, asked),
      results: () => this.onResults(message, buffers),
      candidates: () => this.session.applyCandidates(message, buffers),
      frame: () => this.pictures.accept(message.frame, buffers[0]),
      progress: () => this.onProgress(message),
      done: () => this.onDone(message),
      error: () => this.onError(message, asked),
    }[message.op];
    if (!handle || (!this.session.clip && ['results', 'candidates', 'progress', 'frame'].includes(message.op))) return;
    handle();
    this.refresh('panels');
  }

  onState(message, asked) {
    const { clip, token, job } = this.session;
    const before = { ...this.session };
    this.session.applyState(asked === 'track' ? { ...message, job: message.job ?? job } : message);
    if (!job && this.session.job) this.follow(); // another view, or code, began
    if (asked === null || REWRITES.has(asked)) this.session.doubtMasks();
    this.isCancelling &&= Boolean(this.session.job);
    this.selected = this.selectedAfter(before, asked);
    this.stage.selected = this.stage.hovered = null;
    const isOther = token !== message.token || JSON.stringify(clip) !== JSON.stringify(message.clip);
    if (!this.session.clip) this.stage.picture = null;
    else if (isOther) this.open();
    else this.fetchMasks();
    this.fetchCandidates();
    this.refresh('masks', 'marks', 'ribbon');
  }

  /** Which object is selected now: a new one, the one that an undo or redo was about, or another one than a lost one. */
  selectedAfter(before, asked) {
    const { objects } = this.session;
    const changed = GOES_BACK.has(asked) ? changedObjects(before, this.session) : [];
    if (asked === 'add_object') return objects.at(-1).obj;
    if (changed.length && !changed.includes(this.selected)) return changed.at(-1);
    if (this.session.object(this.selected)) return this.selected;
    return objects.filter(({ locked }) => !locked).at(-1)?.obj ?? null;
  }

  /** Another clip, or the same one after a reload. */
  open() {
    this.messages.hide();
    this.pictures.forget();
    this.stage.reset();
    if (!this.session.isStill) this.player.open();
    this.pending.clear();
    this.forgetProblems();
    this.range = { first: null, last: null };
    this.onlySelected = false;
    this.brushRadius = Math.max(3, Math.round(this.session.clip.width / 80));
    this.wanted = 0;
    this.restoreView(recall('sessionStorage', KEPT.view + this.session.token));
    this.goTo(this.wanted);
    if (this.session.clip.notice) this.messages.say(this.session.clip.notice, 'error');
  }

  /** What the user sees, for the same tab after a reload. */
  keepView() {
    if (!this.session.clip) return;
    const { selected, tool, positive, brushRadius, look, range, onlySelected, stage: { sight } } = this;
    const wanted = this.following ? this.home : this.wanted;
    const view = { selected, wanted, tool, positive, brushRadius, look, range, onlySelected, sight };
    keep('sessionStorage', KEPT.view + this.session.token, view);
  }

  restoreView(kept) {
    if (!kept) return;
    const { selected, sight, ...fields } = kept;
    Object.assign(this, fields);
    if (this.session.object(selected)) this.selected = selected;
    this.stage.show(sight);
  }

  /** Another tab may have gone on with the same session; whoever follows tracking hears of it anyway. */
  catchUp() {
    const { session, link, pending, tools } = this;
    if (!document.hidden && session.clip && !session.job && !pending.size && !tools.gesture) link.sync();
  }

  /** Notices when the host that owes an answer, or news of tracking, is gone, and when it is back. */
  async lookAfterHost(transport) {
    const { link, session, isLost } = this;
    const isOwed = link.questions.size || (session.job && !session.job.paused);
    if (!transport.isAlive) return this.watchKernel(isOwed);
    if (!isLost && !(isOwed && link.silence > PULSE.silence)) return;
    this.isLost = !(await transport.isAlive());
    if (this.isLost && !isLost) this.sayLost();
    if (isLost && !this.isLost) this.comeBackToHost();
    this.refresh('panels');
  }

  /** A notebook's kernel may be busy for long, or not hear a page that was reloaded at a bad moment: only people can tell. */
  watchKernel(isOwed) {
    const isSilent = Boolean(isOwed) && this.link.silence > PULSE.kernel;
    if (isSilent && !this.isSilent) this.messages.say(KERNEL_SILENT, 'note');
    this.isSilent = isSilent;
  }

  comeBackToHost() {
    this.messages.hide();
    this.link.giveUp();
    this.session.asked.clear();
    this.link.sync();
  }

  sayLost() {
    this.messages.say('Connection lost, trying again … What was finished is kept.', 'error');
  }

  onResults(message, buffers) {
    this.session.applyResults(message, buffers);
    this.refresh('ribbon');
    if (message.frame === this.shown) this.refresh('masks');
  }

  onProgress(message) {
    this.session.job = message;
    if (this.following && !this.player.isPlaying) this.goTo(message.frame);
  }

  onDone({ status, message }) {
    const { job } = this.session;
    const done = job?.done ?? 0;
    this.endJob();
    if (status === 'failed') this.messages.say(message ?? 'Tracking failed; what was finished is kept.', 'error');
    else if (!job) return; // heard before, from another stream
    else if (status === 'cancelled') this.messages.say(`Cancelled. ${count(done, 'finished frame')} kept.`, 'note');
    else this.sayTracked(done);
  }

  endJob() {
    this.session.job = null;
    this.isCancelling = false;
    if (this.following) this.goTo(this.home);
    this.following = false;
    this.forgetProblems();
  }

  sayTracked(frames) {
    const { length } = this.session.problems();
    const look = { text: 'Show the first (J)', press: () => this.nextProblem() };
    if (!length) this.messages.say(`Tracked ${count(frames, 'frame')}.`, 'note');
    else this.messages.say(`Tracked ${count(frames, 'frame')}. Worth a look: ${count(length, 'place')}.`, 'note', look);
  }

  onError(message, asked) {
    if (asked === 'hover') return; // nobody pressed anything; a click will say it
    this.messages.say(message.message, 'error');
    if (asked === 'track') this.endJob();
    if (asked === 'cancel') this.isCancelling = false;
    if (asked === 'masks') this.session.asked.clear();
    if (DRAWN_AHEAD.has(asked)) this.link.sync();
    this.refresh('masks', 'marks');
  }

  // What the user does: prompts -----------------------------------------------------------------------------------

  /** Sends a change; its mark stays on the stage until the answer is there. @param {Mark} [mark] */
  async change(op, fields, mark) {
    const isRefused = (this.isLost || !WHILE_TRACKING.has(op)) && this.isBusy();
    const answer = isRefused ? null : await this.link.ask(op, fields);
    this.pending.delete(mark);
    this.refresh('marks', 'panels');
    return answer;
  }

  /** Sends a prompt about the selected object, or about a new one where there is none. @param {Mark} mark */
  async prompt(op, frame, fields, mark) {
    this.pending.add(mark);
    this.refresh('marks', 'panels');
    const obj = await this.promptedObject();
    if (obj === null) {
      this.pending.delete(mark);
      return;
    }
    mark.obj = obj;
    this.session.candidates.delete(pair(obj, frame));
    const before = this.session.prompt(obj, frame);
    const answer = await this.change(op, { frame, obj, ...fields }, mark);
    if (isAsPainted(before) && answer?.op === 'state') this.sayRedrawn(op);
    this.fetchCandidates();
  }

  /** @param {number} frame @param {Point} at @param {boolean} positive */
  click(frame, { x, y }, positive) {
    if (!positive && !this.isBegun(frame)) {
      return this.messages.say('Click what belongs to it first; then take away what does not.', 'note');
    }
    const mark = { obj: this.target, frame, kind: 'point', index: -1, x, y, positive, pending: true };
    return this.prompt('click', frame, { x, y, positive }, mark);
  }

  /** Whether there is anything of the object that could be taken away. */
  isBegun(frame) {
    const { session, target, pending } = this;
    return Boolean(pending.size || session.mask(target, frame) || session.prompts.some(({ obj }) => obj === target));
  }

  /** @param {number} frame @param {number[]} box */
  drawBox(frame, box) {
    const [x0, y0, x1, y1] = box;
    const mark = { obj: this.target, frame, kind: 'box', index: -1, box, pending: true };
    return this.prompt('box', frame, { x0, y0, x1, y1 }, mark);
  }

  /** @param {number | null} obj @param {number} frame @param {Uint32Array} runs all that is painted now */
  async paintMask(obj, frame, runs) {
    const target = obj ?? (await this.promptedObject());
    if (target === null) return;
    const replaced = this.session.prompt(target, frame);
    this.session.setMask(target, frame, runs);
    this.session.candidates.delete(pair(target, frame));
    this.refresh('masks');
    const answer = await this.change('mask', { frame, obj: target, rle: base64FromRuns(runs) });
    if (replaced && answer?.op === 'state') this.sayReplaced(replaced);
  }

  /** A painted mask stands for all that was said on its frame before. */
  sayReplaced({ points, box }) {
    const gone = [...(points.length ? [count(points.length, 'click')] : []), ...(box ? ['the box'] : [])];
    if (!gone.length) return;
    const undo = { text: 'Undo', press: () => this.undo() };
    const what = `it replaces ${gone.join(' and ')} on this frame`;
    this.messages.say(`What you paint is the whole mask: ${what}.`, 'note', undo);
  }

  /** With a click or a box on top of it, a painting is where the model begins, and no longer the mask. */
  sayRedrawn(op) {
    const undo = { text: 'Undo', press: () => this.undo() };
    this.messages.say(`The model draws the mask anew from your painting and this ${op}.`, 'note', undo);
  }

  /** @param {number} candidate 1 to 3 */
  choose(candidate) {
    const { selected, shown, session } = this;
    const runs = session.candidates.get(pair(selected, shown))?.[candidate - 1]?.runs;
    if (!runs || !session.isAmbiguous(selected, shown) || !this.mayChange()) return;
    session.prompt(selected, shown).candidate = candidate;
    session.setMask(selected, shown, runs);
    this.stage.setPreview(null);
    this.refresh('masks', 'panels');
    this.change('choose', { frame: shown, obj: selected, candidate });
  }

  /** Whether prompts about the selected object are welcome; says why not. */
  mayChange() {
    const { session, target, shown } = this;
    const object = session.object(target);
    const refuse = (text, press) => this.messages.say(text, 'note', { text: 'Unlock', press });
    if (this.isBusy()) return false;
    if (object?.locked) refuse(`${object.name} is locked.`, () => this.editObject(target, { locked: false }));
    else if (session.isLocked(target, shown)) refuse(`${object.name} is locked on this frame.`, () => this.lockFrame());
    else return true;
    return false;
  }

  /** Whether objects are being tracked and nothing else may change them, or nobody is there who could; says so. */
  isBusy() {
    const { job } = this.session;
    const cancel = { text: 'Cancel tracking', press: () => this.cancelTracking() };
    if (this.isLost) this.sayLost();
    else if (job) this.messages.say('Objects cannot be changed while tracking runs.', 'note', cancel);
    return this.isLost || Boolean(job);
  }

  mayPreview() {
    const object = this.session.object(this.selected);
    const isBusy = this.player.isPlaying || this.pending.size || this.session.job;
    return this.options.hover !== false && object && !object.locked && !object.hidden && !this.isPainting && !isBusy;
  }

  /** @param {Mark | null} mark */
  selectMark(mark) {
    this.stage.selected = mark;
    if (mark) this.select(mark.obj);
    this.refresh('marks');
  }

  removeSelectedMark() {
    if (this.stage.selected) this.removePrompt(this.stage.selected);
  }

  /** @param {{obj: number, frame: number, kind: string, index?: number}} prompt */
  removePrompt({ obj, frame, kind, index }) {
    this.stage.selected = this.stage.hovered = null;
    this.select(obj);
    if (!this.mayChange()) return;
    this.change('remove_prompt', kind === 'point' ? { frame, obj, kind, index } : { frame, obj, kind });
  }

  clearFrame() {
    const { selected, shown } = this;
    if (this.session.prompt(selected, shown) && this.mayChange()) this.change('clear', { frame: shown, obj: selected });
  }

  lockFrame() {
    const { session, selected, shown } = this;
    const locked = !session.isLocked(selected, shown);
    if (locked && !session.mask(selected, shown)) return;
    this.change('lock_frame', { frame: shown, obj: selected, locked });
  }

  undo() {
    this.goBack('undo', this.session.canUndo);
  }

  redo() {
    this.goBack('redo', this.session.canRedo);
  }

  /** @param {'undo' | 'redo'} op */
  goBack(op, isPossible) {
    this.messages.hide();
    if (!isPossible) return;
    this.session.canUndo ||= op === 'redo'; // at once: keys may be quicker than the host
    this.session.canRedo ||= op === 'undo';
    this.change(op);
  }

  // What the user does: objects -----------------------------------------------------------------------------------

  /** @returns {Promise<number | null>} the new object, or null if the host refused */
  addObject() {
    const adding = this.change('add_object').then((answer) => {
      if (this.adding === adding) this.adding = null;
      return answer?.objects?.at(-1).obj ?? null;
    });
    this.adding = adding;
    return adding;
  }

  /** The object that a prompt is about, or null while it is being made. */
  get target() {
    return this.adding ? null : this.selected;
  }

  /** The same, made where there is none. */
  async promptedObject() {
    return this.target ?? this.adding ?? this.addObject();
  }

  select(obj) {
    if (obj === this.selected) return;
    this.selected = obj;
    this.stage.setPreview(null);
    this.objectList.reveal(obj);
    this.timeline.reveal(obj);
    this.fetchCandidates();
    this.refresh('masks', 'marks', 'ribbon', 'panels');
  }

  selectNext(by) {
    const { objects } = this.session;
    const place = objects.findIndex(({ obj }) => obj === this.selected);
    const next = objects[clamp(place + by, 0, objects.length - 1)];
    if (next) this.select(next.obj);
  }

  /** Shows the change at once. @param {Partial<SceneObject>} fields */
  editObject(obj, fields) {
    Object.assign(this.session.object(obj), fields);
    this.refresh('masks', 'marks', 'ribbon', 'panels');
    this.change('edit_object', { obj, ...fields });
  }

  /** @param {'hidden' | 'locked'} name */
  toggleObject(name) {
    const object = this.session.object(this.selected);
    if (object) this.editObject(object.obj, { [name]: !object[name] });
  }

  removeObject(obj) {
    this.change('remove_object', { obj });
  }

  // What the user does: time and tracking -------------------------------------------------------------------------

  /** Moves the playhead; the stage follows when the picture is there. */
  goTo(frame) {
    this.wanted = clamp(frame, 0, this.session.clip.frames - 1);
    this.refresh('playhead', 'panels');
    this.show(this.wanted);
  }

  /** The same, because the user wants to be there. */
  seek(frame) {
    if (!this.session.clip) return;
    this.following = false;
    this.player.pause();
    this.stage.selected = null;
    this.goTo(frame);
  }

  step(by) {
    this.seek(this.wanted + by);
  }

  /** @param {{first?: number | null, last?: number | null}} ends */
  setRange(ends) {
    const { first, last } = { ...this.range, ...ends };
    const isCrossed = first !== null && last !== null && first > last;
    this.range = isCrossed ? { first: last, last: first } : { first, last };
    this.refresh('playhead', 'panels');
  }

  /** Goes on to the worst place that nobody looked at, or again to one after which `previousProblem` went back. */
  nextProblem() {
    if (this.place === this.visited.length - 1) {
      const [worst] = this.session.problems();
      if (!worst) return this.sayNoProblem();
      this.visited.push(worst);
    }
    this.place += 1;
    return this.goToProblem();
  }

  previousProblem() {
    if (this.place <= 0) return this.messages.say('There is no problem before this one.', 'note');
    this.place -= 1;
    return this.goToProblem();
  }

  goToProblem() {
    const { obj, frame, first, last, why } = this.visited[this.place];
    this.session.look(obj, first, last);
    const left = this.session.problems().length + this.visited.length - 1 - this.place;
    const more = left ? `${left} more.` : 'The last one.';
    if (this.session.object(obj)) this.select(obj);
    this.seek(frame);
    this.messages.say(`${this.session.object(obj)?.name ?? 'Removed object'}, frame ${frame}: ${why}. ${more}`, 'note');
  }

  sayNoProblem() {
    const { tracks } = this.session;
    if (!tracks.size) this.messages.say('Nothing was tracked yet; afterwards this key shows where to look.', 'note');
    else this.messages.say('No problem is left: you have looked at every doubtful frame.', 'note');
  }

  forgetProblems() {
    this.visited = [];
    this.place = -1;
  }

  /** @param {'forward' | 'backward' | 'both'} direction */
  track(direction) {
    const { session, range } = this;
    if (!session.clip || session.isStill || this.isBusy() || !this.mayTrack()) return;
    this.player.pause();
    const fields = { direction };
    if (range.first !== null) fields.first = range.first;
    if (range.last !== null) fields.last = range.last;
    if (this.onlySelected && this.selected !== null) fields.objects = [this.selected];
    session.job = { done: 0, total: 0, frame: this.wanted, seconds: 0, eta: null, paused: false };
    this.follow();
    this.change('track', fields);
    this.refresh('panels');
  }

  /** Whether there is an object to track; says why not, and which ones stay as they are. */
  mayTrack() {
    const { session, selected, onlySelected } = this;
    const wanted = session.objects.filter(({ obj }) => !onlySelected || obj === selected);
    const hasPrompt = (obj) => session.prompts.some((prompt) => prompt.obj === obj);
    const known = wanted.filter(({ obj }) => hasPrompt(obj) || session.tracks.has(obj));
    const locked = known.filter((object) => object.locked);
    const names = locked.map(({ name }) => name).join(', ');
    const unlock = () => locked.forEach(({ obj }) => this.editObject(obj, { locked: false }));
    if (!known.length) this.messages.say('Click an object first; then it can be tracked.', 'note');
    else if (known.length === locked.length) {
      this.messages.say(`Nothing to track: ${names} locked.`, 'note', { text: 'Unlock', press: unlock });
    } else if (locked.length) this.messages.say(`Locked, so left as they are: ${names}.`, 'note');
    return known.length > locked.length;
  }

  /** Goes along with tracking, and back in the end. */
  follow() {
    this.home = this.wanted;
    this.following = true;
  }

  toggleOnlySelected() {
    this.onlySelected = !this.onlySelected;
    this.refresh('panels');
  }

  togglePause() {
    const { job } = this.session;
    if (!job) return;
    job.paused = !job.paused;
    this.change(job.paused ? 'pause' : 'resume');
  }

  cancelTracking() {
    if (!this.session.job || this.isCancelling) return;
    this.isCancelling = true;
    this.messages.hide();
    this.change('cancel');
    this.refresh('panels');
  }

  /** Leaves the nearest thing that can be left; tracking is work, which no key ends by the way. */
  escape() {
    if (this.tools.gesture) this.tools.cancel();
    else if (this.stage.cursor) this.toggleCursor();
    else if (this.stage.selected) this.selectMark(null);
    else if (this.messages.hide()) return;
    else if (this.isPainting) this.setTool('click');
    else if (this.session.job) this.messages.say('Tracking goes on. K pauses it, Shift+K cancels it.', 'note');
  }

  // What the user does: the keys' cursor --------------------------------------------------------------------------

  toggleCursor() {
    const { stage } = this;
    const middle = stage.toFrame({ x: stage.size.width / 2, y: stage.size.height / 2 });
    const place = within(middle) ? middle : { x: 0.5, y: 0.5 };
    stage.setPreview(null);
    if (!this.session.clip) return;
    stage.cursor = stage.cursor ? null : place;
    const help = 'Arrow keys move the cursor, Enter clicks.';
    setText(this.spoken, stage.cursor ? `${help} ${this.placeInWords()}` : 'The arrow keys change the frame again.');
    this.refresh('marks');
  }

  /** What a key does while the cursor is there. @returns {boolean} whether it does anything */
  moveCursor(name) {
    const { stage } = this;
    const [, shift, key] = /^(Shift\+)?(.*)$/.exec(name ?? '');
    if (key === 'Enter') {
      if (this.mayChange()) this.click(this.shown, stage.cursor, !shift && this.positive);
      return true;
    }
    if (!CURSOR[key]) return false;
    const [dx, dy] = CURSOR[key].map((way) => (way * (shift ? CURSOR_STEP.far : CURSOR_STEP.near)) / stage.view.scale);
    const { x, y } = stage.cursor;
    stage.cursor = { x: clamp(x + dx / stage.frame.width, 0, 1), y: clamp(y + dy / stage.frame.height, 0, 1) };
    setText(this.spoken, this.placeInWords());
    if (this.mayPreview()) this.tools.hover({ ...stage.cursor, positive: this.positive });
    this.refresh('marks');
    return true;
  }

  /** Where the cursor is, and on which object. */
  placeInWords() {
    const { width, height } = this.stage.frame;
    const { x, y } = this.stage.cursor;
    const pixel = Math.min(Math.floor(y * height), height - 1) * width + Math.min(Math.floor(x * width), width - 1);
    const isOn = ({ obj }) => covers(this.session.mask(obj, this.shown) ?? [], pixel);
    const names = this.session.objects.filter(isOn).map(({ name }) => `on ${name}`);
    return [`${Math.round(x * 100)} % across`, `${Math.round(y * 100)} % down`, ...names].join(', ');
  }

  // What the user does: tools, view, keys -------------------------------------------------------------------------

  /** @param {'click' | 'brush' | 'eraser'} tool */
  setTool(tool) {
    this.tool = tool;
    this.stage.setPreview(null);
    this.refresh('marks', 'panels');
  }

  setPositive(positive) {
    this.positive = positive;
    this.stage.setPreview(null);
    this.refresh('panels');
  }

  /** @param {number} radius in pixels of the frame */
  setBrushSize(radius) {
    this.brushRadius = clamp(radius, 1, (this.session.clip?.width ?? 600) / 6);
    this.refresh('marks', 'panels');
  }

  setLook(fields) {
    Object.assign(this.look, fields);
    this.refresh('masks', 'marks', 'panels');
  }

  /** @param {'outline' | 'solo'} name */
  toggleLook(name) {
    this.setLook({ [name]: !this.look[name] });
  }

  focus() {
    this.element.focus({ preventScroll: true, focusVisible: false });
  }

  get hasFocus() {
    return this.element.matches(':focus-within');
  }

  /**
   * Whatever is pressed, with any button, finger or pen, the keys are the studio's from then on: a page that keeps a
   * press from moving the focus would run its own commands. A text field takes them by itself.
   */
  takeKeys({ target }) {
    if (!target.matches(TEXT_FIELD) && !target.closest('dialog')) this.focus();
  }

  /** A button pressed by the mouse leaves the keys where they are: space plays, it does not press the button again. */
  keepKeys(event) {
    if (event.target.closest('button') && !event.target.closest('dialog')) event.preventDefault();
  }

  /** No key reaches the page around; single keys would run its commands. */
  keyDown(event) {
    event.stopPropagation();
    const target = event.target;
    if (target.matches(TEXT_FIELD) || target.closest('dialog')) return;
    const name = keyName(event);
    if (name === ' ' && !target.matches('button')) {
      event.preventDefault();
      if (!event.repeat) this.tools.holdHand(true);
      return;
    }
    if (this.stage.cursor && !target.matches('button, input') && this.moveCursor(name)) {
      event.preventDefault();
      return;
    }
    const [, , , run] = BY_KEY.get(name) ?? [];
    if (!run || (target.type === 'range' && name.startsWith('Arrow'))) return;
    event.preventDefault();
    run(this, event.key);
  }

  keyUp(event) {
    event.stopPropagation();
    if (event.key === ' ') this.tools.holdHand(false);
  }
}

// --- Mounting --------------------------------------------------------------------------------------------------------

/**
 * Puts a canvas into an element, inside a shadow root that keeps the host page's styles out.
 * @param {HTMLElement} element
 * @param {Transport} transport
 * @param {{css?: string, styleUrl?: string, theme?: 'auto' | 'light' | 'dark', hover?: boolean}} options
 *   mask_canvas.css comes as a text or from an address; the element's attribute data-theme can change the theme later;
 *   without `hover` no previews are asked for.
 * @returns {{focus(): void, destroy(): void}}
 */
export function mount(element, transport, options = {}) {
  const root = element.shadowRoot ?? element.attachShadow({ mode: 'open' });
  const studio = new Studio(transport, options);
  const recolorAgain = afterwards(() => studio.refresh('ribbon'), 500);
  const recolor = () => {
    studio.refresh('ribbon');
    recolorAgain(); // JupyterLab hides the page while it changes its theme, and what is hidden has no width
  };
  const darkness = window.matchMedia('(prefers-color-scheme: dark)');
  const themes = new MutationObserver(recolor);
  element.dataset.theme ||= options.theme ?? 'auto';
  element.dataset.lmSuppressShortcuts = 'true'; // to the page outside, the focused element is this one
  element.dataset.jpSuppressContextMenu = 'true';
  const style = options.styleUrl
    ? h('link', { rel: 'stylesheet', href: options.styleUrl })
    : h('style', {}, options.css ?? '');
  root.replaceChildren(style, studio.element);
  themes.observe(element, { attributeFilter: ['data-theme'] });
  darkness.addEventListener('change', recolor);
  return {
    focus: () => studio.focus(),
    /** What the user looks at, once it stays so. */
    get view() {
      return studio.player.isPlaying || studio.following ? null : { frame: studio.wanted, selected: studio.selected };
    },
    show({ frame, selected }) {
      if (frame !== undefined && frame !== studio.wanted) studio.seek(frame);
      if (studio.session.object(selected)) studio.select(selected);
    },
    destroy() {
      themes.disconnect();
      darkness.removeEventListener('change', recolor);
      recolorAgain.cancel();
      studio.close();
      root.replaceChildren();
    },
  };
}

// --- In a notebook ---------------------------------------------------------------------------------------------------

/** Whether the notebook around is light or dark: JupyterLab, VS Code and Colab each say it in their own way. */
function notebookTheme() {
  const { jpThemeLight, vscodeThemeKind } = document.body.dataset;
  if (jpThemeLight) return jpThemeLight === 'true' ? 'light' : 'dark';
  if (vscodeThemeKind) return vscodeThemeKind.endsWith('light') ? 'light' : 'dark';
  return { light: 'light', dark: 'dark' }[document.documentElement.getAttribute('theme')] ?? 'auto';
}

const KERNEL_GONE = 'The kernel that had this widget is gone; run its cell again.';

/** Calls `job` once nothing has asked for it for some milliseconds. */
function afterwards(job, milliseconds) {
  let timer = 0;
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(job, milliseconds);
  };
  later.cancel = () => clearTimeout(timer);
  return later;
}

/**
 * A widget's view, for anywidget. All views of a widget, and code, share the frame on show and the selection. Until the
 * kernel answers there is a picture of how it was, which is all that a notebook without a kernel can show. The picture
 * that the notebook keeps in case there is no view at all is hidden as long as there is one.
 */
export default {
  render({ model, el }) {
    const place = h('div', { style: 'block-size: 100%; display: none' });
    const still = h('img', {
      src: model.get('_still'), alt: 'A frame with its masks; run the cell to go on',
      style: 'display: block; max-inline-size: 100%; max-block-size: 100%',
    });
    const listen = (name, callback) => {
      model.on(name, callback);
      return () => model.off(name, callback);
    };
    let hear = () => {};
    const transport = {
      send: (message) => {
        try {
          model.send(message);
        } catch { // no kernel has this widget any more
          if (message.op !== 'hover') hear({ v: 1, rid: message.rid, op: 'error', message: KERNEL_GONE });
        }
      },
      onMessage: (callback) => {
        hear = callback;
        return listen('msg:custom', callback);
      },
      frameUrl: null,
      videoUrl: null,
    };
    const canvas = mount(place, transport, { css: model.get('_canvas_style'), theme: notebookTheme() });
    const follow = (...names) => canvas.show(Object.fromEntries(names.map((name) => [name, model.get(name)])));
    const report = afterwards(() => {
      const { view } = canvas;
      if (!view || (view.frame === model.get('frame') && view.selected === model.get('selected'))) return;
      model.set('frame', view.frame);
      model.set('selected', view.selected);
      model.save_changes();
    }, 200);
    const begin = listen('msg:custom', ({ op }) => {
      if (op !== 'state') return;
      begin();
      still.remove();
      place.style.display = '';
      follow('frame', 'selected');
      place.addEventListener('painted', report);
    });
    const endings = [begin, ...['frame', 'selected'].map((name) => listen(`change:${name}`, () => follow(name)))];
    const themes = new MutationObserver(() => { place.dataset.theme = notebookTheme(); });
    themes.observe(document.body, { attributeFilter: ['data-jp-theme-light', 'data-vscode-theme-kind'] });
    const standIn = `.${model.get('_stand_in_class')}`;
    const hidden = h('style', {}, `.jp-OutputArea-child:has(${standIn}), ${standIn} { display: none !important; }`);
    place.addEventListener('mousedown', (event) => event.stopPropagation()); // JupyterLab would select cells by it
    el.append(hidden, still, place);
    return () => {
      endings.forEach((end) => end());
      report.cancel();
      themes.disconnect();
      canvas.destroy();
      el.replaceChildren();
    };
  },
};
