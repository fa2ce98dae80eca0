// The recorder's browser half: a microphone where the browser gives one, and a file chosen by hand. See recorder.py.

const TICK_MS = 250;

// mono PCM16 in a wav file, at the rate that the browser decoded to; resampling is Python's work
function wavOf(audio) {
  const length = audio.length;
  const mono = new Float32Array(length);
  for (let channel = 0; channel < audio.numberOfChannels; channel++) {
    const values = audio.getChannelData(channel);
    for (let i = 0; i < length; i++) mono[i] += values[i] / audio.numberOfChannels;
  }
  const view = new DataView(new ArrayBuffer(44 + 2 * length));
  const text = (offset, letters) => [...letters].forEach((c, i) => view.setUint8(offset + i, c.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, audio.sampleRate, true);
  view.setUint32(28, 2 * audio.sampleRate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, 2 * length, true);
  mono.forEach((value, i) => view.setInt16(44 + 2 * i, Math.max(-32768, Math.min(32767, Math.round(value * 32768))), true));
  return view;
}

// why there is no microphone, in words that say what to do
function refusal(error) {
  if (error.name === "NotAllowedError") return "The browser was not allowed to use the microphone: allow it for this page, or choose a file.";
  if (error.name === "NotFoundError") return "No microphone was found: plug one in, or choose a file.";
  return `The microphone cannot be used (${error.message || error.name}): choose a file.`;
}

function render({ model, el }) {
  el.dataset.lmSuppressShortcuts = "true"; // letters typed on a button are no commands to JupyterLab
  const box = document.createElement("div");
  box.className = "q2a-recorder";
  box.style.padding = "4px";
  const button = document.createElement("button");
  button.type = "button";
  button.className = "jupyter-button widget-button";
  const file = document.createElement("input");
  file.type = "file";
  file.accept = "audio/*";
  file.setAttribute("aria-label", "choose a sound file");
  const sound = document.createElement("audio");
  sound.controls = true;
  sound.setAttribute("aria-label", "your clip");
  const said = document.createElement("p");
  said.setAttribute("role", "status");
  box.append(button, " ", file, sound, said);
  el.append(box);

  let recorder = null;
  let clock = null;
  let address = null;

  const draw = () => {
    button.textContent = recorder ? "Stop" : "Record";
    said.textContent = model.get("said");
    sound.style.display = address === null ? "none" : "block";
  };
  const tell = (words) => {
    said.textContent = words;
  };
  const send = (view, name) => {
    if (view.byteLength > model.get("most_bytes")) {
      tell(`${name} has ${(view.byteLength / 1e6).toFixed(1)} MB; expected at most ${(model.get("most_bytes") / 1e6).toFixed(0)} MB.`);
      return;
    }
    if (address !== null) URL.revokeObjectURL(address);
    address = URL.createObjectURL(new Blob([view]));
    sound.src = address;
    model.set("sent_name", name);
    model.set("sent", view);
    model.set("sent_count", model.get("sent_count") + 1);
    model.save_changes();
    draw();
  };
  const finish = async (chunks, stream) => {
    stream.getTracks().forEach((track) => track.stop());
    clearInterval(clock);
    recorder = null;
    draw();
    const context = new AudioContext();
    try {
      const bytes = await new Blob(chunks).arrayBuffer();
      send(wavOf(await context.decodeAudioData(bytes)), "your recording");
    } catch (error) {
      tell("Nothing was recorded: record for at least half a second.");
    } finally {
      context.close();
    }
  };
  const record = async () => {
    if (!navigator.mediaDevices) {
      tell("The browser gives a microphone only to pages at localhost or over https: choose a file.");
      return;
    }
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    } catch (error) {
      tell(refusal(error));
      return;
    }
    const chunks = [];
    recorder = new MediaRecorder(stream);
    recorder.ondataavailable = (event) => chunks.push(event.data);
    recorder.onstop = () => finish(chunks, stream);
    recorder.start();
    const began = performance.now();
    const most = model.get("most_seconds");
    clock = setInterval(() => {
      const seconds = (performance.now() - began) / 1000;
      if (recorder && recorder.state === "recording") {
        tell(`recording: ${seconds.toFixed(0)} of at most ${most} s`);
        if (seconds >= most) recorder.stop();
      }
    }, TICK_MS);
    draw();
    tell("recording: speak now");
  };

  button.addEventListener("click", () => (recorder ? recorder.stop() : record()));
  file.addEventListener("change", async () => {
    const [chosen] = file.files;
    if (chosen) send(new DataView(await chosen.arrayBuffer()), chosen.name);
  });
  model.on("change:said", draw);
  draw();
  return () => {
    model.off("change:said", draw);
    clearInterval(clock);
    if (recorder && recorder.state === "recording") {
      recorder.onstop = null;
      recorder.stream.getTracks().forEach((track) => track.stop());
    }
    if (address !== null) URL.revokeObjectURL(address);
  };
}

export default { render };
