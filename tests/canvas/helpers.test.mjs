// The pure parts of the canvas: codec, tinting, geometry, scores, session, messages.
import assert from 'node:assert/strict';
import test from 'node:test';

import * as canvas from '../../widgets/static/mask_canvas.js';

const runs = (...lengths) => Uint32Array.from(lengths);
const track = (iou, score, area = iou.map(() => 0.1)) =>
  ({ iou: Float32Array.from(iou), score: Float32Array.from(score), area: Float32Array.from(area) });
const packed = (values) => canvas.base64FromBytes(new Uint8Array(Float32Array.from(values).buffer));

// Codec

test('runs are uint32, little endian, in base64', () => {
  assert.equal(canvas.base64FromRuns(runs(1, 2, 65536)), 'AQAAAAIAAAAAAAEA');
  assert.deepEqual(canvas.runsFromMessage({ rle: 'AQAAAAIAAAAAAAEA' }), runs(1, 2, 65536));
});

test('runs come from a buffer at any offset', () => {
  const bytes = new Uint8Array([9, 1, 0, 0, 0, 2, 0, 0, 0]);
  const view = new DataView(bytes.buffer, 1, 8);
  assert.deepEqual(canvas.runsFromMessage({ rle_buffer: 1 }, [null, view]), runs(1, 2));
});

test('a long base64 text survives the way there and back', () => {
  const bytes = Uint8Array.from({ length: 200_000 }, (_, i) => (i * 7) % 256);
  assert.deepEqual(canvas.bytesFromBase64(canvas.base64FromBytes(bytes)), bytes);
});

test('pixels at least half opaque become runs that start with background', () => {
  const [opaque, half, faint] = [0xff000000, 0x80000000, 0x7f000000];
  assert.deepEqual(canvas.runsFromPixels(Uint32Array.of(faint, opaque, half, 0)), runs(1, 2, 1));
  assert.deepEqual(canvas.runsFromPixels(Uint32Array.of(opaque, opaque)), runs(0, 2));
  assert.deepEqual(canvas.runsFromPixels(Uint32Array.of(0, 0)), runs(2));
});

test('filling runs and reading them back gives the same runs', () => {
  const pixels = new Uint32Array(12);
  canvas.fillRuns(pixels, runs(2, 3, 1, 4, 2), 0xffffffff);
  assert.deepEqual(canvas.runsFromPixels(pixels), runs(2, 3, 1, 4, 2));
});

test('runs that claim more than the picture fill no more than the picture', () => {
  const pixels = new Uint32Array(4);
  canvas.fillRuns(pixels, runs(2, 99), 1);
  assert.deepEqual([...pixels], [0, 0, 1, 1]);
});

test('a run over the end of a row is a span in each row', () => {
  const spans = [];
  canvas.forEachSpan(runs(2, 6, 4), 4, (...span) => spans.push(span));
  assert.deepEqual(spans, [[0, 2, 4], [1, 0, 4]]);
});

test('masks are the same where all their runs are', () => {
  const runs = Uint32Array.of(2, 3, 4);
  assert.ok(canvas.sameRuns(runs, Uint32Array.of(2, 3, 4)));
  assert.ok(!canvas.sameRuns(runs, Uint32Array.of(2, 4, 3)));
  assert.ok(!canvas.sameRuns(runs, Uint32Array.of(2, 3)));
  assert.ok(!canvas.sameRuns(Uint32Array.of(2, 3), runs));
});

test('the bounds of several masks hold them all, and nothing has none', () => {
  assert.deepEqual(canvas.boundsOfRuns([runs(5, 1, 10), runs(10, 1, 5)], 4), { x: 1, y: 1, width: 2, height: 2 });
  assert.equal(canvas.boundsOfRuns([runs(16)], 4), null);
});

// Tinting

test('a colour becomes a little-endian RGBA pixel', () => {
  assert.equal(canvas.pixelOf('#112233', 0x80), 0x80332211);
});

test('a mask is a faint inside with a solid edge', () => {
  const pixels = new Uint32Array(49);
  const square = runs(8, 5, 2, 5, 2, 5, 2, 5, 2, 5, 8); // 5 x 5 in the middle of 7 x 7
  canvas.tintMasks(pixels, 7, [{ runs: square, color: '#0000ff' }], { opacity: 0.4, thickness: 1 });
  const alpha = (x, y) => pixels[y * 7 + x] >>> 24;
  assert.equal(alpha(0, 0), 0);
  assert.deepEqual([alpha(1, 1), alpha(3, 1), alpha(1, 3), alpha(5, 5)], [255, 255, 255, 255]);
  assert.deepEqual([alpha(2, 2), alpha(3, 3), alpha(4, 4)], [102, 102, 102]);
});

test('the border of the picture is no edge of a mask', () => {
  const pixels = new Uint32Array(9);
  canvas.tintMasks(pixels, 3, [{ runs: runs(0, 9), color: '#ff0000' }], { opacity: 0.5, thickness: 1 });
  assert.ok(pixels.every((pixel) => pixel >>> 24 === 128));
});

test('of two masks the later one lies on top, and both have edges where they meet', () => {
  const pixels = new Uint32Array(8);
  const tints = [{ runs: runs(0, 6, 2), color: '#ff0000' }, { runs: runs(4, 4), color: '#00ff00' }];
  canvas.tintMasks(pixels, 8, tints, { opacity: 0, thickness: 1 });
  assert.deepEqual([...pixels], [0xff, 0xff, 0xff, 0xff0000ff, 0xff00ff00, 0xff00, 0xff00, 0xff00].map((p) => p >>> 0));
});

test('outlines only: the inside has no opacity', () => {
  const pixels = new Uint32Array(9);
  canvas.tintMasks(pixels, 9, [{ runs: runs(2, 5, 2), color: '#ffffff' }], { opacity: 0, thickness: 1 });
  assert.deepEqual([...pixels].map((pixel) => pixel >>> 24), [0, 0, 255, 0, 0, 0, 255, 0, 0]);
});

// Geometry, colours, words

test('a frame that fits is centred with a margin', () => {
  assert.deepEqual(canvas.fitView({ width: 100, height: 50 }, { width: 232, height: 232 }), { scale: 2, x: 16, y: 66 });
});

test('zooming keeps the place under the pointer, within limits', () => {
  const frame = { width: 100, height: 50 };
  const view = { scale: 2, x: 16, y: 66 };
  const at = { x: 50, y: 90 };
  const zoomed = canvas.zoomView(view, 3, at, 1, 32);
  assert.equal(zoomed.scale, 6);
  assert.deepEqual(canvas.toFrame(zoomed, frame, at), canvas.toFrame(view, frame, at));
  assert.equal(canvas.zoomView(view, 100, at, 1, 32).scale, 32);
  assert.equal(canvas.zoomView(view, 0.01, at, 1, 32).scale, 1);
});

test('a place on the stage and in the frame are each other’s inverse', () => {
  const [view, frame] = [{ scale: 1.5, x: 20, y: 8 }, { width: 64, height: 48 }];
  const there = canvas.toFrame(view, frame, { x: 68, y: 44 });
  assert.deepEqual(there, { x: 0.5, y: 0.5 });
  assert.deepEqual(canvas.toStage(view, frame, there), { x: 68, y: 44 });
});

test('a predicted IoU runs from red over amber to green', () => {
  assert.equal(canvas.iouColor(0), 'rgb(225 85 84)');
  assert.equal(canvas.iouColor(0.65), 'rgb(224 164 58)');
  assert.equal(canvas.iouColor(1), 'rgb(46 164 140)');
});

test('durations and timecodes are for people', () => {
  assert.deepEqual([0, 12.4, 75, 3700].map(canvas.duration), ['0 s', '12 s', '1 min 15 s', '1 h 1 min']);
  assert.equal(canvas.timecode(0, 24), '0:00.00');
  assert.equal(canvas.timecode(36, 24), '0:01.50');
  assert.equal(canvas.timecode(1800, 25), '1:12.00');
});

test('ruler labels have room', () => {
  assert.equal(canvas.tickStep(120, 1100), 10);
  assert.equal(canvas.tickStep(10_000, 1100), 1000);
  assert.equal(canvas.tickStep(3, 1100), 1);
});

test('a thumbnail shows the masks with some room, inside the frame', () => {
  const part = canvas.surroundings([runs(0, 4, 92, 4)], { width: 10, height: 10 }, 1);
  assert.deepEqual(part, { x: 0, y: 0, width: 10, height: 10 });
  const corner = canvas.surroundings([runs(200 * 99 + 160, 40)], { width: 200, height: 100 }, 2);
  assert.deepEqual(corner, { x: 150, y: 75, width: 50, height: 25 });
});

// Keys

test('keys are named as the table of shortcuts writes them', () => {
  const key = (event) => canvas.keyName({ ctrlKey: false, metaKey: false, shiftKey: false, altKey: false, ...event });
  assert.equal(key({ key: 'Z', ctrlKey: true, shiftKey: true }), 'Ctrl+Shift+z');
  assert.equal(key({ key: 'z', metaKey: true }), 'Ctrl+z');
  assert.equal(key({ key: '?', shiftKey: true }), '?');
  assert.equal(key({ key: 'ArrowLeft', shiftKey: true }), 'Shift+ArrowLeft');
  assert.equal(key({ key: 'x', altKey: true }), null);
  assert.equal(key({ key: '[', altKey: true, ctrlKey: true, getModifierState: (name) => name === 'AltGraph' }), '[');
});

// Scores

test('doubt: a low predicted IoU, a sudden fall, the moment of vanishing, nothing while hidden', () => {
  const scores = track([0.9, 0.4, 0.9, 0.9, 0.9, NaN], [8, 8, 2, -6, -6, NaN]);
  const doubts = [0, 1, 2, 3, 4, 5].map((frame) => canvas.doubt(scores, frame));
  assert.deepEqual(doubts.map(({ worth }) => +worth.toFixed(3)), [0.1, 0.6, 0.75, 1, 0, 0]);
  const reasons = ['not sure (0.40)', 'suddenly less sure', 'lost from sight'];
  assert.deepEqual(doubts.slice(1, 4).map(({ why }) => why), reasons);
});

test('doubt: a mask jumps when its size does, unless it is tiny or nothing', () => {
  const good = [0.9, 0.9, 0.9];
  const jumps = track(good, [8, 8, 8], [0.1, 0.4, 0.2]);
  assert.deepEqual(canvas.doubt(jumps, 1), { worth: 1, why: 'mask jumped to 4.0 times its size' });
  assert.deepEqual(canvas.doubt(jumps, 2), { worth: 0.5, why: 'mask jumped to 50 % of its size' });
  assert.equal(canvas.doubt(track(good, [8, 8, 8], [0.0001, 0.0008, 0]), 1).why, 'not sure (0.90)');
  assert.equal(canvas.doubt(track(good, [8, 8, 8], [0, 0, 0.1]), 1).why, 'not sure (0.90)');
});

test('doubt: a frame is not compared with one before it that a person spoke about, but being lost counts', () => {
  const after = track([1, 0.8, 0.8, 0.8], [10, 3, 2, -1], [0.1, 0.4, 0.4, 0]);
  assert.equal(canvas.doubt(after, 1).worth, 1);
  assert.equal(canvas.doubt(after, 1, true).why, 'not sure (0.80)');
  assert.deepEqual(canvas.doubt(after, 3, true), { worth: 0.5, why: 'lost from sight' });
  const found = canvas.findProblems(new Map([[1, after]]), () => false, (obj, frame) => frame === 0);
  assert.deepEqual(found.map(({ frame }) => frame), [3]);
});

test('problems are the worst frames of doubtful stretches that are not settled, the worst first', () => {
  const tracks = new Map([
    [1, track([0.9, 0.5, 0.4, 0.6, 0.9, 0.6], [5, 5, 5, 5, 5, 5])],
    [2, track([0.9, 0.9, 0.3], [5, 5, 5])],
  ]);
  const settled = new Set();
  const found = () => canvas.findProblems(tracks, (obj, frame) => settled.has(`${obj}:${frame}`));
  const places = () => found().map(({ obj, frame }) => [obj, frame]);
  assert.deepEqual(places(), [[2, 2], [1, 2], [1, 5]]);
  assert.deepEqual([found()[1].first, found()[1].last], [1, 3]);
  for (const place of ['2:2', '1:1', '1:2', '1:3']) settled.add(place);
  assert.deepEqual(places(), [[1, 5]]);
});

test('a long doubtful stretch is several problems', () => {
  const weak = Array.from({ length: 70 }, () => 0.5);
  const found = canvas.findProblems(new Map([[1, track(weak, weak.map(() => 5))]]), () => false);
  assert.deepEqual(found.map(({ first, last }) => [first, last]), [[0, 29], [30, 59], [60, 69]]);
});

test('a long track is squeezed into columns that keep the worst of their frames', () => {
  const scores = canvas.emptyTrack(10_000);
  scores.iou.fill(0.9, 0, 5000);
  scores.score.fill(4, 0, 5000);
  scores.iou[1234] = 0.25;
  scores.score[4999] = -1;
  const { iou, hidden } = canvas.ribbonColumns(scores, 100);
  assert.equal(iou[12], 0.25);
  assert.equal(iou[13], Math.fround(0.9));
  assert.deepEqual([hidden[48], hidden[49]], [0, 1]);
  assert.ok(Number.isNaN(iou[50]));
});

// Session

const CLIP = { name: 'clip', width: 2, height: 2, frames: 100, rate: 25, still: false };

const row = (first, iou, score) => ({ obj: 1, first, iou: packed(iou), score: packed(score), area: packed(iou) });

const state = (fields = {}) => ({
  op: 'state', token: 't', clip: CLIP, model: { name: 'm', note: '' }, job: null, outdated: [], can_undo: true, can_redo: false,
  objects: [{ obj: 1, name: 'A', color: '#ff0000', hidden: false, locked: false }],
  prompts: [{ obj: 1, frame: 3, points: [[0.5, 0.25, true]], box: null, mask: false, candidate: 0 }],
  scores: [row(3, [0.9, NaN, 0.5], [5, NaN, 5])],
  locked_frames: [[1, 3]],
  ...fields,
});

const session = (fields) => {
  const made = new canvas.Session();
  made.applyState(state(fields));
  return made;
};

const rle = canvas.base64FromRuns(runs(1, 1, 2));
const result = (frame, iou = 0.75) => ({ frame, masks: [{ obj: 1, rle, iou, score: 4 }] });

test('a state is read: scores from their first frame on, locks, what is ambiguous', () => {
  const known = session();
  assert.equal(known.tracks.get(1).iou[3], Math.fround(0.9));
  assert.ok(Number.isNaN(known.tracks.get(1).iou[4]));
  assert.deepEqual([known.hasMasks(5), known.hasMasks(4)], [true, false]);
  assert.deepEqual([known.isLocked(1, 3), known.isLocked(1, 4)], [true, false]);
  assert.ok(known.isAmbiguous(1, 3));
  assert.deepEqual(known.marks(3), [{ obj: 1, frame: 3, kind: 'point', index: 0, x: 0.5, y: 0.25, positive: true }]);
});

test('masks that exist and are not here are asked for once', () => {
  const known = session();
  assert.deepEqual(known.missingMasks(0, 31), { first: 3, last: 5 });
  assert.equal(known.missingMasks(0, 31), null);
  known.doubtMasks();
  assert.deepEqual(known.missingMasks(-10, 31), { first: 3, last: 5 });
});

test('results replace a frame, also by nothing', () => {
  const known = session();
  known.applyResults(result(5));
  assert.deepEqual(known.mask(1, 5), runs(1, 1, 2));
  assert.equal(known.tracks.get(1).iou[5], 0.75);
  known.applyResults({ frame: 5, masks: [] });
  assert.equal(known.mask(1, 5), null);
  assert.equal(known.hasMasks(5), false);
});

test('after an undo old masks stay on show until new ones come, unless there are none any more', () => {
  const known = session();
  known.applyResults(result(3));
  known.applyResults(result(5));
  known.applyState(state({ scores: [row(3, [0.9], [5])] }));
  known.doubtMasks();
  assert.deepEqual(known.mask(1, 3), runs(1, 1, 2));
  assert.equal(known.mask(1, 5), null);
  assert.deepEqual(known.missingMasks(0, 9), { first: 3, last: 3 });
});

test('scores that changed since a revision leave the others as they were', () => {
  const known = session();
  known.applyState(state({ scores: [row(3, [0.5, 0.75], [1, 1])], scores_since: null }));
  known.applyState(state({ scores: [row(4, [NaN, 0.25], [NaN, 1])], scores_since: 8 }));
  assert.deepEqual([...known.tracks.get(1).iou.slice(3, 6)], [0.5, NaN, 0.25]);
  known.applyState(state({ scores: [row(5, [1], [1])], scores_since: null }));
  assert.deepEqual([...known.tracks.get(1).iou.slice(3, 6)], [NaN, NaN, 1]);
});

test('what differs between two states are new objects and those about which other things are said', () => {
  const object = (obj, name = 'A') => ({ obj, name, color: '#ff0000', hidden: false, locked: false });
  const said = (obj, frame) => ({ obj, frame, points: [], box: null, mask: true, candidate: 0 });
  const before = { objects: [object(1), object(2)], prompts: [said(1, 3)], lockedFrames: [[2, 0]] };
  const changed = (fields) => canvas.changedObjects(before, { ...before, ...fields });
  assert.deepEqual(changed({}), []);
  assert.deepEqual(changed({ objects: [object(1), object(2), object(3)] }), [3]);
  assert.deepEqual(changed({ objects: [object(1, 'B')] }), [1]);
  assert.deepEqual(changed({ prompts: [said(1, 3), said(2, 0)] }), [2]);
  assert.deepEqual(changed({ lockedFrames: [[1, 3], [2, 0]] }), [1]);
});

test('masks are out of date until they are tracked anew', () => {
  const known = session();
  known.applyState(state({ outdated: [[1, 3, 4], [1, 7, 7]], job: { done: 0 } }));
  assert.deepEqual([2, 3, 4, 5, 7].map((frame) => known.isOutdated(1, frame)), [false, true, true, false, true]);
  assert.deepEqual([known.outdatedFrames(1), known.outdatedFrames(2)], [3, 0]);
  known.applyResults(result(4));
  assert.equal(known.isOutdated(1, 4), false);
  known.applyState(state());
  assert.equal(known.outdatedFrames(1), 0);
});

test('another clip forgets everything of the one before', () => {
  const known = session();
  known.applyResults(result(3));
  known.applyState(state({ token: 'another' }));
  assert.equal(known.mask(1, 3), null);
});

test('without a choice the most confident candidate is in use', () => {
  const known = session();
  const candidate = (iou) => ({ iou, rle: canvas.base64FromRuns(runs(4)) });
  known.applyCandidates({ frame: 3, obj: 1, masks: [candidate(0.5), candidate(0.8), candidate(0.7)] });
  assert.equal(known.chosenCandidate(1, 3), 2);
  known.prompt(1, 3).candidate = 3;
  assert.equal(known.chosenCandidate(1, 3), 3);
});

test('a problem is where nobody looked, nobody said anything and nothing is locked', () => {
  const known = session();
  const places = () => known.problems().map(({ obj, frame }) => [obj, frame]);
  assert.deepEqual(places(), [[1, 5]]);
  known.look(1, 4, 6);
  assert.deepEqual(places(), []);
  known.job = { done: 1 };
  known.applyResults(result(5, 0.5)); // tracked anew
  assert.deepEqual(places(), [[1, 5]]);
});

test('what is in the middle of the stage stays there when the stage changes its size', () => {
  const frame = { width: 640, height: 360 };
  const [small, large] = [{ width: 800, height: 500 }, { width: 1200, height: 700 }];
  const view = { scale: 3, x: -200, y: -90 };
  assert.deepEqual(canvas.viewOf(null, frame, small), canvas.fitView(frame, small));
  const sight = canvas.sightOf(view, frame, small);
  const again = canvas.viewOf(sight, frame, small);
  for (const name of ['scale', 'x', 'y']) assert.ok(Math.abs(again[name] - view[name]) < 1e-9);
  const middle = canvas.toFrame(canvas.viewOf(sight, frame, large), frame, { x: 600, y: 350 });
  assert.ok(Math.abs(middle.x - sight.middle.x) < 1e-9);
});

test('a pixel is on a mask or beside it', () => {
  const found = [0, 1, 2, 3, 4].map((pixel) => canvas.covers(runs(1, 2, 1), pixel));
  assert.deepEqual(found, [false, true, true, false, false]);
});

// Messages

function connected() {
  const sent = [];
  const heard = [];
  let deliver;
  const transport = { send: (message) => sent.push(message), onMessage: (callback) => { deliver = callback; } };
  const link = new canvas.Link(transport, (message, buffers, asked) => heard.push([message.op, asked]));
  return { link, sent, heard, say: (message) => deliver({ v: 1, ...message }) };
}

test('a command is answered by its state, after results that belong to it', async () => {
  const { link, sent, heard, say } = connected();
  const answer = link.ask('click', { x: 0.5 });
  const { rid } = sent[0];
  assert.deepEqual(sent[0], { v: 1, rid, op: 'click', rev: null, x: 0.5 });
  say({ op: 'results', rid, rev: 1 });
  say({ op: 'state', rid, rev: 1, token: 'x' });
  assert.equal((await answer).token, 'x');
  assert.deepEqual(heard, [['results', 'click'], ['state', 'click']]);
});

test('an error is an answer, and silence is null after a while', async () => {
  const { link, sent, say } = connected();
  const refused = link.ask('click');
  say({ op: 'error', rid: sent[0].rid, rev: 0, message: 'no' });
  assert.equal((await refused).message, 'no');
  assert.equal(await link.ask('hover', {}, 5), null);
});

test('news of the same or the next revision is welcome; a gap asks for everything, once', async () => {
  const { sent, say } = connected();
  say({ op: 'state', rev: 4 });
  say({ op: 'results', rev: 4 });
  say({ op: 'results', rev: 5 });
  assert.deepEqual(sent, []);
  say({ op: 'results', rev: 8 });
  say({ op: 'results', rev: 12 });
  assert.deepEqual(sent.map((message) => message.op), ['sync']);
});

test('scores that changed since a revision that this view missed are asked for', () => {
  const { link, sent, say } = connected();
  say({ op: 'state', rev: 4, scores_since: null });
  say({ op: 'state', rev: 5, scores_since: 4 });
  assert.deepEqual(sent, []);
  link.ask('undo');
  assert.equal(sent[0].rev, 5);
  say({ op: 'state', rev: 9, scores_since: 8 });
  assert.deepEqual([sent[1].op, sent[1].rev], ['sync', null]);
});

test('the newest of many questions is asked, one at a time', async () => {
  const asked = [];
  let release;
  const ask = canvas.latestWins((question) => {
    asked.push(question);
    return new Promise((resolve) => { release = resolve; });
  });
  const done = ask(1);
  ask(2);
  ask(3);
  assert.deepEqual(asked, [1]);
  release();
  await new Promise(setImmediate);
  assert.deepEqual(asked, [1, 3]);
  release();
  await done;
});
