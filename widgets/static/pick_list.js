element.addEventListener('click', (event) => {
  const target = event.target.closest('[data-pick], [data-remove]');
  if (target) trigger('remove' in target.dataset ? 'remove' : 'pick', { ...target.dataset });
});
