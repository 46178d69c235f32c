"""Sound in and out: microphone, echo cancellation, segmenter, speaker, and WAV files in their place.

The usual chain::

    player = Player(emit, device=None)                 # emit(PlayerEvent): called from the player's thread
    listener = Listener(Microphone(device=None), emit, # emit(ListenerEvent): called from the source's thread
                        segmenter=Segmenter(), canceller=EchoCanceller(), reference=player.reference)
    player.start(); listener.start()
    listener.mute() / unmute() / force_start() / force_end()
    player.play(reply_id, samples_24k); player.finish(reply_id); player.flush() / pause() / resume()
    listener.stop(); player.stop()

Headless: `WavSource` in place of `Microphone`, `WavPlayer` in place of `Player`. Nothing is imported from
sounddevice, onnxruntime, webrtcvad or livekit before the part that needs it is made.
"""
