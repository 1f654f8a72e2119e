// Requests to the server this page came from, and its errors as sentences.

import { signIn } from "./signin.js";

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The JSON answer of a route. Asks for a key where one is needed. Throws ApiError with the server's sentence. */
export async function api(path, options = {}) {
  const answered = await send(path, options);
  return answered.json();
}

/** The answer's text, at most `limit` characters of it. */
export async function text(path, limit) {
  const answered = await send(path, {});
  const whole = await answered.text();
  return { text: whole.slice(0, limit), cut: whole.length > limit };
}

async function send(path, { method = "GET", json, body, signal } = {}) {
  const headers = json === undefined ? {} : { "Content-Type": "application/json" };
  const sent = json === undefined ? body : JSON.stringify(json);
  for (;;) {
    const answered = await reach(path, { method, headers, body: sent, signal });
    if (answered.ok) return answered;
    const told = await answered.json().catch(() => null);
    const message = told?.error?.message ?? `the server answered ${answered.status}`;
    if (answered.status !== 401 || !(await signIn())) throw new ApiError(answered.status, message);
  }
}

async function reach(path, options) {
  try {
    return await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "the server can't be reached; is genarium serve still running?");
  }
}

/** Hand in a file; its id is its content's. */
export async function upload(file) {
  const body = new FormData();
  body.append("file", file);
  return (await api("/v1/files", { method: "POST", body })).id;
}

const kept = new Map();
/** A list that hardly changes, asked for once in a while. */
export function listed(path, seconds = 30) {
  const known = kept.get(path);
  if (known && Date.now() - known.at < 1000 * seconds) return known.list;
  const list = api(path).then((answer) => answer.data);
  list.catch(() => kept.delete(path));
  kept.set(path, { at: Date.now(), list });
  return list;
}

/** Every task's schema by its name, once the page has begun. */
export const schemas = new Map();
export async function loadTasks() {
  for (const schema of (await api("/v1/tasks")).data) schemas.set(schema.title, schema);
}

/** Whether the task draws, so that another seed makes another result. */
export const isSeeded = (task) => "seed" in (schemas.get(task)?.properties ?? {});

export const models = () => listed("/v1/models");

/** The model that was promoted for a task, which is used where none is named; undefined where it is its starter. */
export const inUse = async (task) => (await models()).find((one) => one.promoted_for.includes(task))?.id;
export const indexes = () => listed("/v1/indexes", 5);
