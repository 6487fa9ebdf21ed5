// The official JavaScript client: plain, streamed, timeouts, n, log-probabilities, schemas, tools, errors.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

// Packages are installed beside no script of ours: in .clients, which the runner names.
const require = createRequire(`${process.env.ESPALIER_NODE}/package.json`);
const { default: OpenAI } = await import(pathToFileURL(require.resolve("openai")).href);
const { version } = JSON.parse(readFileSync(`${process.env.ESPALIER_NODE}/node_modules/openai/package.json`, "utf8"));

const url = process.env.ESPALIER_URL;
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0, timeout: 120_000 });
const messages = [
  { role: "user", content: "A box holds 12 pens. Ann buys 3 boxes and loses 4 pens. How many are left?" },
];
const schema = {
  type: "object",
  properties: { answer: { type: "integer", minimum: 0, maximum: 999 } },
  required: ["answer"],
  additionalProperties: false,
};
const tools = [{ type: "function", function: { name: "tell", parameters: schema } }];

const checks = {
  async plain() {
    const search = { strategy: "uct", budget: { simulations: 4 } };
    const reply = await client.chat.completions.create({ model: "abacus", messages, search });
    assert.ok(reply.choices[0].message.content);
    assert.equal(reply.search.strategy, "uct");
  },
  async streamed() {
    const stream = await client.chat.completions.create({
      model: "abacus:majority",
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    let content = "";
    let usages = 0;
    for await (const chunk of stream) {
      content += chunk.choices[0]?.delta?.content ?? "";
      usages += chunk.usage ? 1 : 0;
    }
    assert.ok(content);
    assert.equal(usages, 1);
  },
  async "timeout cancels"() {
    const search = { strategy: "majority", samples: 64, adaptive: false };
    const asked = { model: "abacus", messages, max_tokens: 2000, ignore_eos: true, search };
    await assert.rejects(client.chat.completions.create(asked, { timeout: 500 }), OpenAI.APIConnectionTimeoutError);
    const end = Date.now() + 5000;
    while ((await (await fetch(`${url}/health`)).json()).searches_running) {
      assert.ok(Date.now() < end, "the search goes on");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  },
  async "aborted stream"() {
    const search = { strategy: "majority", samples: 64, adaptive: false };
    const asked = { model: "abacus", messages, max_tokens: 2000, ignore_eos: true, search, stream: true };
    const stream = await client.chat.completions.create(asked);
    for await (const _ of stream) break;
    stream.controller.abort();
    const end = Date.now() + 5000;
    while ((await (await fetch(`${url}/health`)).json()).searches_running) {
      assert.ok(Date.now() < end, "the search goes on");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  },
  async n() {
    const reply = await client.chat.completions.create({ model: "abacus:majority", messages, n: 2, temperature: 1.2 });
    assert.ok(reply.choices.length <= 2);
  },
  async logprobs() {
    const reply = await client.chat.completions.create({
      model: "abacus:direct",
      messages,
      logprobs: true,
      top_logprobs: 2,
    });
    const tokens = reply.choices[0].logprobs.content;
    assert.equal(tokens.map((token) => token.token).join(""), reply.choices[0].message.content);
  },
  async "JSON schema"() {
    const response_format = { type: "json_schema", json_schema: { name: "answer", schema, strict: true } };
    const reply = await client.chat.completions.parse({ model: "abacus:majority", messages, response_format });
    assert.equal(typeof JSON.parse(reply.choices[0].message.content).answer, "number");
  },
  async tools() {
    const reply = await client.chat.completions.create({
      model: "abacus:direct",
      messages,
      tools,
      tool_choice: { type: "function", function: { name: "tell" } },
    });
    assert.equal(typeof JSON.parse(reply.choices[0].message.tool_calls[0].function.arguments).answer, "number");
  },
  async "tools, streamed"() {
    const stream = client.chat.completions.stream({
      model: "abacus:direct",
      messages,
      tools,
      tool_choice: "required",
    });
    const message = await stream.finalMessage();
    assert.equal(message.tool_calls[0].function.name, "tell");
  },
  async errors() {
    await assert.rejects(
      client.chat.completions.create({ model: "abacus", messages, temperature: 9 }),
      (error) => error instanceof OpenAI.BadRequestError && error.param === "temperature",
    );
  },
};

for (const [check, run] of Object.entries(checks)) {
  const began = performance.now();
  let detail = "";
  try {
    await run();
  } catch (error) {
    detail = String(error?.stack ?? error);
  }
  const seconds = Math.round((performance.now() - began) / 10) / 100;
  console.log(JSON.stringify({ client: "openai (JavaScript)", version, check, detail, seconds }));
}
