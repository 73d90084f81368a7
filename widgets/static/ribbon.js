// Press or drag anywhere in the ribbon to go to that frame.
const seek = (event) => {
  const ribbon = element.querySelector('.ribbon');
  if (!ribbon || event.buttons !== 1) return;
  const bounds = ribbon.getBoundingClientRect();
  const frames = Number(ribbon.dataset.frames);
  const frame = Math.floor(((event.clientX - bounds.left) / bounds.width) * frames);
  trigger('seek', { frame: Math.min(Math.max(frame, 0), frames - 1) });
};
element.addEventListener('pointerdown', seek);
element.addEventListener('pointermove', seek);

// While the clip with its masks plays, the playhead goes along.
const follow = (event) => {
  if (!element.isConnected) return document.removeEventListener('play', follow, true);
  const video = event.target;
  const move = () => {
    const playhead = element.querySelector('.playhead');
    if (playhead && video.isConnected && video.duration) playhead.style.left = `${(100 * video.currentTime) / video.duration}%`;
    if (video.isConnected && !video.paused) requestAnimationFrame(move);
  };
  move();
};
document.addEventListener('play', follow, true);
