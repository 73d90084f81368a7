"""What the page and the notebook share: pictures to look at, and the messages that come back from a browser."""
