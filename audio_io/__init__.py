"""Sound in and out: microphone, echo cancellation, segmenter, speaker, and WAV files in their place.

The usual chain::

    host = SoundHost()                                 # the process's one PortAudio
    player = Player(host, emit, device=None)           # emit(PlayerEvent): called from the player's thread
    listener = Listener(Microphone(host, device=None), emit,  # emit(ListenerEvent): from the microphone's thread
                        segmenter=Segmenter(), canceller=EchoCanceller(), reference=player.reference)
    player.start(); listener.start()
    listener.mute() / unmute() / force_start() / force_end()
    player.play(reply_id, samples_24k); player.finish(reply_id); player.flush() / pause() / resume()
    listener.stop(); player.stop(); host.close_watch()

`device` is None for the default or a `SoundDevice.id` of `devices.list_devices()`.

Headless: `WavSource` in place of `Microphone`, `WavPlayer` in place of `Player`. Nothing is imported from
sounddevice, onnxruntime, webrtcvad or livekit before the part that needs it is made.
"""
