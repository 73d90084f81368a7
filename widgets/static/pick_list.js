element.addEventListener('click', (event) => {
  const target = event.target.closest('[data-pick]');
  if (target) trigger('pick', { pick: target.dataset.pick });
});
