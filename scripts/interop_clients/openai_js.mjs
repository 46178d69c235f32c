// OpenAI's JavaScript package: its realtime WebSocket, which only speaks wss. Trusts the engine's own certificate (NODE_EXTRA_CA_CERTS).
import { readFileSync } from "node:fs";
import OpenAI from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";

const env = process.env;
const PATIENCE_MS = 40_000;

function report(capability, ok, detail = "") {
  console.log(JSON.stringify({ capability, ok, detail: String(detail).slice(0, 300) }));
}

function sound(name) {
  const wav = readFileSync(`${env.INTEROP_SOUNDS}/${name}-24000.wav`);
  return Buffer.concat([wav.subarray(wav.indexOf("data") + 8), Buffer.alloc(2 * 24_000 * 1.2)]);
}

async function open(session, url = env.ENGINE_URL) {
  const client = new OpenAI({ apiKey: env.ENGINE_TOKEN, baseURL: url.replace("wss:", "https:").replace("/realtime", "") });
  const talk = new OpenAIRealtimeWS({ model: "sightline" }, client);
  const state = { bytes: 0, text: "", done: [], call: null, error: null };
  talk.on("error", (error) => { state.error = error; });
  talk.on("response.output_audio.delta", (event) => { state.bytes += event.delta.length * 3 / 4; });
  talk.on("response.output_audio_transcript.delta", (event) => { state.text += event.delta; });
  talk.on("response.function_call_arguments.done", (event) => { state.call = event.call_id; });
  talk.on("response.done", (event) => state.done.push(event.response.status));
  await new Promise((resolve, reject) => { talk.socket.on("open", resolve); talk.socket.on("error", reject); });
  if (session) talk.send({ type: "session.update", session: { type: "realtime", ...session } });
  return [talk, state];
}

function speak(talk, name) {
  const all = sound(name);
  for (let at = 0; at < all.length; at += 4_800) {
    talk.send({ type: "input_audio_buffer.append", audio: all.subarray(at, at + 4_800).toString("base64") });
  }
}

async function until(state, ready) {
  const end = Date.now() + PATIENCE_MS;
  while (!ready()) {
    if (state.error) throw state.error;
    if (Date.now() > end) throw new Error("no answer in time");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function answer(capability, state, word) {
  await until(state, () => state.done.length);
  state.done.shift();
  report(capability, state.text.toLowerCase().includes(word) && state.bytes > 19_000,
    `${(state.bytes / 48_000).toFixed(1)} s: ${state.text}`);
  state.text = ""; state.bytes = 0;
}

const tests = {
  async turns() {
    const [talk, state] = await open();
    for (const [name, word] of [["monday", "tuesday"], ["cow", "moo"]]) {
      speak(talk, name);
      await answer("turns", state, word);
    }
    talk.close();
  },
  async "VAD off"() {
    const [talk, state] = await open({ audio: { input: { turn_detection: null } } });
    speak(talk, "monday");
    talk.send({ type: "input_audio_buffer.commit" });
    talk.send({ type: "response.create" });
    await answer("VAD off", state, "tuesday");
    talk.close();
  },
  async tool() {
    const tool = { type: "function", name: "get_time", description: "The time.", parameters: { type: "object" } };
    const [talk, state] = await open({ tools: [tool] }, env.TOOL_ENGINE_URL);
    speak(talk, "time");
    await until(state, () => state.done.length);
    state.done.shift();
    const item = { type: "function_call_output", call_id: state.call, output: "12:30" };
    talk.send({ type: "conversation.item.create", item });
    talk.send({ type: "response.create" });
    await answer("tool", state, "twelve");
    talk.close();
  },
  async picture() {
    const [talk, state] = await open();
    const image_url = `data:image/jpeg;base64,${readFileSync(env.INTEROP_PICTURE).toString("base64")}`;
    const item = { type: "message", role: "user", content: [{ type: "input_image", image_url }] };
    talk.send({ type: "conversation.item.create", item });
    speak(talk, "cup");
    await answer("picture", state, "red");
    talk.close();
  },
  async interruption() {
    const [talk, state] = await open();
    speak(talk, "monday");
    await until(state, () => state.bytes > 2_400);
    speak(talk, "cow");
    await until(state, () => state.done.length === 2);
    report("interruption", state.done[1] === "completed", state.done.join(", "));
    talk.close();
  },
};

for (const [name, test] of Object.entries(tests)) {
  try {
    await test();
  } catch (error) {
    report(name, false, error);
  }
}
process.exit(0);
