// The sound of a clip: all of it or a piece, faded in and out, and where in it the loudspeaker is now.

const FADE_SECONDS = 0.005; // a cut without it sounds as a click
let context = null; // one AudioContext for all players of the page, made at the first click as browsers demand

class Sound {
  // 32,768 in `pcm` stands for `fullScale`; what lies beyond 1 is played at 1, what lies below as quiet as it is
  constructor(pcm, sampleRate, fullScale) {
    this.pcm = pcm;
    this.unit = Math.min(fullScale, 1) / 32768;
    this.sampleRate = sampleRate;
    this.source = null;
  }

  async play(from, until, ended) {
    context ??= new AudioContext();
    if (context.state !== "running") await context.resume();
    this.stop();
    const source = context.createBufferSource();
    source.buffer = this.buffer ??= this.makeBuffer();
    const gain = context.createGain();
    const now = context.currentTime;
    const stop = now + until - from;
    gain.gain.setValueAtTime(0, now);
    gain.gain.linearRampToValueAtTime(1, Math.min(now + FADE_SECONDS, (now + stop) / 2));
    gain.gain.setValueAtTime(1, Math.max(stop - FADE_SECONDS, (now + stop) / 2));
    gain.gain.linearRampToValueAtTime(0, stop);
    source.connect(gain).connect(context.destination);
    source.onended = () => this.source === source && (this.stop(), ended());
    source.start(0, from, until - from);
    Object.assign(this, { source, gain, from, reached: from, startedAt: context.currentTime });
  }

  stop() {
    if (!this.source) return;
    const source = this.source;
    this.source = null;
    this.gain.gain.cancelScheduledValues(context.currentTime);
    this.gain.gain.setTargetAtTime(0, context.currentTime, FADE_SECONDS / 3);
    source.stop(context.currentTime + 2 * FADE_SECONDS);
  }

  // what leaves the loudspeaker now, not what was last handed to it
  position() {
    const heard = context.currentTime - (context.outputLatency || context.baseLatency || 0);
    // a browser corrects its estimate of the latency while it plays; the sound does not go back
    this.reached = Math.max(this.reached, this.from + heard - this.startedAt);
    return this.reached;
  }

  makeBuffer() {
    const buffer = context.createBuffer(1, this.pcm.length, this.sampleRate);
    const channel = buffer.getChannelData(0);
    for (let i = 0; i < this.pcm.length; i++) channel[i] = this.pcm[i] * this.unit;
    return buffer;
  }
}
