// OpenAI's Agents SDK for JavaScript: a realtime session over a WebSocket, with its own defaults.
import { readFileSync } from "node:fs";
import { RealtimeAgent, RealtimeSession, tool } from "@openai/agents-realtime";

const env = process.env;
const TURNS = [["monday", "tuesday"], ["cow", "moo"]];
const PATIENCE_MS = 40_000;

function report(capability, ok, detail = "") {
  console.log(JSON.stringify({ capability, ok, detail: String(detail).slice(0, 300) }));
}

function sound(name) {
  const wav = readFileSync(`${env.INTEROP_SOUNDS}/${name}-24000.wav`);
  const body = wav.subarray(wav.indexOf("data") + 8);
  const all = Buffer.concat([body, Buffer.alloc(2 * 24_000 * 1.2)]);
  return all.buffer.slice(all.byteOffset, all.byteOffset + all.length);
}

async function open(url = env.ENGINE_URL, tools = [], config = {}) {
  const agent = new RealtimeAgent({ name: "Helper", tools });
  const session = new RealtimeSession(agent, { transport: "websocket", config });
  const state = { bytes: 0, errors: [], turns: [], wake: () => {} };
  session.on("error", (error) => state.errors.push(JSON.stringify(error)));
  session.transport.on("audio", (event) => { state.bytes += event.data.byteLength; state.onAudio?.(); });
  session.transport.on("*", (event) => {
    if (event.type === "response.done") {
      const parts = (event.response.output ?? []).flatMap((item) => item.content ?? []);
      const text = parts.map((part) => part.transcript ?? part.text ?? "").join("");
      state.turns.push([event.response.status, text]);
      state.wake();
    }
  });
  await session.connect({ url, apiKey: env.ENGINE_TOKEN });
  return [session, state];
}

async function answer(state) {
  const end = Date.now() + PATIENCE_MS;
  while (!state.turns.length) {
    if (state.errors.length) throw new Error(state.errors.join("; "));
    if (Date.now() > end) throw new Error("no answer in time");
    await new Promise((resolve) => { state.wake = resolve; setTimeout(resolve, 500); });
  }
  return state.turns.shift();
}

function judge(capability, [, text], word, state) {
  report(capability, text.toLowerCase().includes(word) && state.bytes > 19_000 && !state.errors.length,
    `${(state.bytes / 48_000).toFixed(1)} s: ${text} ${state.errors.join("; ")}`);
  state.bytes = 0;
}

const tests = {
  async turns() {
    const [session, state] = await open();
    for (const [name, word] of TURNS) {
      session.sendAudio(sound(name));
      judge("turns", await answer(state), word, state);
    }
    session.close();
  },
  async "VAD off"() {
    const [session, state] = await open(env.ENGINE_URL, [], { audio: { input: { turnDetection: null } } });
    session.sendAudio(sound(TURNS[0][0]), { commit: true });
    session.transport.sendEvent({ type: "response.create" });
    judge("VAD off", await answer(state), TURNS[0][1], state);
    session.close();
  },
  async tool() {
    const getTime = tool({
      name: "get_time", description: "The time.", strict: false,
      parameters: { type: "object", properties: { city: { type: "string" } }, required: [], additionalProperties: true },
      execute: async () => "12:30",
    });
    const [session, state] = await open(env.TOOL_ENGINE_URL, [getTime]);
    session.sendAudio(sound("time"));
    let found = await answer(state);
    while (!found[1]) found = await answer(state);
    judge("tool", found, "twelve", state);
    session.close();
  },
  async picture() {
    const [session, state] = await open();
    const url = `data:image/jpeg;base64,${readFileSync(env.INTEROP_PICTURE).toString("base64")}`;
    session.addImage(url, { triggerResponse: false });
    session.sendAudio(sound("cup"));
    judge("picture", await answer(state), "red", state);
    session.close();
  },
  async interruption() {
    const [session, state] = await open();
    session.sendAudio(sound(TURNS[0][0]));
    await new Promise((resolve) => { state.onAudio = resolve; setTimeout(resolve, PATIENCE_MS); });
    session.interrupt();
    session.sendAudio(sound(TURNS[1][0]));
    let found = await answer(state);
    while (!found[1].toLowerCase().includes(TURNS[1][1])) found = await answer(state);
    judge("interruption", found, TURNS[1][1], state);
    session.close();
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
