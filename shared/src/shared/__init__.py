"""What the six services share: vocabulary, events, messaging, storage, web frame and clients."""
