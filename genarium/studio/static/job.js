// A job on the server: started by a request, followed by its events. It continues when this page is closed.

import { api } from "./api.js";

const EVENTS = ["status", "progress", "writing", "logprob", "row", "note", "artefact", "gap"];
const AT_ONCE = 4; // a browser opens six connections to a server, and others are needed too

/** Ask for a task. Throws ApiError. */
export const start = (task, values) => api(`/v1/tasks/${task}?wait=0`, { method: "POST", json: values });

/** An artefact's recipe again, with changes; `{seed: null}` draws another seed. */
export const again = (id, changes = {}) =>
  api(`/v1/artefacts/${id}/again?wait=0`, { method: "POST", json: { arguments: changes } });

export const stop = (job) => api(`/v1/jobs/${job.id}`, { method: "DELETE" });

let open = 0;
const waiting = [];

/** Call `on[name](data)` for each of its events; the promise is of the data of `end`. The browser comes back after
 * the last event it read where the connection was lost (Last-Event-ID). */
export async function follow(job, on = {}) {
  if (open >= AT_ONCE) await new Promise((resolve) => waiting.push(resolve));
  open += 1;
  try {
    return await watch(job, on);
  } finally {
    open -= 1;
    waiting.shift()?.();
  }
}

function watch(job, on, after = 0) {
  return new Promise((resolve) => {
    const source = new EventSource(`/v1/jobs/${job.id}/events?after=${after}`);
    for (const name of EVENTS) {
      source.addEventListener(name, (event) => {
        after = event.lastEventId || after;
        on[name]?.(JSON.parse(event.data));
      });
    }
    source.addEventListener("end", (event) => {
      source.close();
      resolve(JSON.parse(event.data));
    });
    source.addEventListener("error", async () => {
      if (source.readyState !== EventSource.CLOSED) return; // it tries again by itself
      const failed = ({ message }) => ({ status: "failed", error: { message } });
      const now = await api(`/v1/jobs/${job.id}`).catch(failed); // asks for the key, where that was what was missing
      resolve(["queued", "running"].includes(now.status) ? watch(job, on, after) : now);
    });
  });
}
